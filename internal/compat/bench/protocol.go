//go:build linux

package main

// kind is what a message of a server is.
type kind int

const (
	other       kind = iota
	answer           // to the client's call, with success
	refusal          // the same with an error
	publication      // to a channel that the client has subscribed to
)

// protocol is what a server and its clients say to each other. Its methods
// append a message to dst and return the result. They look at no more of a
// message than tells its kind: the servers of the benchmark are known.
type protocol interface {
	// path is that of the upgrade.
	path() string

	// lines reports whether a frame may carry several messages, one a line.
	lines() bool

	// ping is the message by which a server asks for a pong, and pong what it
	// wants to hear.
	ping() string
	pong() string

	// appendHandshake opens a session; without a token it is anonymous.
	appendHandshake(dst []byte, id uint64, token string) []byte

	// opened reports whether an answer to a handshake has opened a session of
	// the kind that was asked for: of a user, or of nobody.
	opened(answer []byte, anonymous bool) bool

	// appendCall calls a procedure with data, which is JSON.
	appendCall(dst []byte, id uint64, procedure, data string) []byte

	appendSubscribe(dst []byte, id uint64, channel string) []byte

	// appendPublish publishes data, which is JSON, and asks for an answer.
	appendPublish(dst []byte, id uint64, channel, data string) []byte

	kind(message []byte) kind
}
