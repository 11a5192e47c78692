//go:build linux

package main

// kind is the kind of a server's message.
type kind int

const (
	other       kind = iota
	answer           // to the client's call, with success
	refusal          // the same with an error
	publication      // to a channel that the client has subscribed to
)

// protocol is the protocol between a server and its clients. Its methods append
// a message to dst and return the result. They read only as much of a message
// as they need for its kind, because the servers of the benchmark are known.
type protocol interface {
	// path returns the path of the upgrade.
	path() string

	// lines reports whether a frame may contain several messages, one on each
	// line.
	lines() bool

	// ping is the message by which a server requests a pong, and pong is the
	// answer.
	ping() string
	pong() string

	// appendHandshake opens a session; without a token it is anonymous.
	appendHandshake(dst []byte, id uint64, token string) []byte

	// opened reports whether an answer to a handshake has opened the requested
	// session: that of a user, or an anonymous one.
	opened(answer []byte, anonymous bool) bool

	// appendCall calls a procedure with data, which is JSON.
	appendCall(dst []byte, id uint64, procedure, data string) []byte

	appendSubscribe(dst []byte, id uint64, channel string) []byte

	// appendPublish publishes data, which is JSON, and requests an answer.
	appendPublish(dst []byte, id uint64, channel, data string) []byte

	kind(message []byte) kind
}
