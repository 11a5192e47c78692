//go:build linux

package main

import (
	"bytes"
	"strconv"
)

// scProtocol is version 2 of the protocol of SocketCluster.
type scProtocol struct{}

func (scProtocol) path() string { return "/socketcluster/" }
func (scProtocol) lines() bool  { return false }
func (scProtocol) ping() string { return "" }
func (scProtocol) pong() string { return "" }

func (p scProtocol) appendHandshake(dst []byte, id uint64, token string) []byte {
	data := `{"authToken":null}`
	if token != "" {
		data = `{"authToken":"` + token + `"}`
	}
	return p.appendCall(dst, id, "#handshake", data)
}

var (
	authenticated   = []byte(`"isAuthenticated":true`)
	unauthenticated = []byte(`"isAuthenticated":false`)
	authError       = []byte(`"authError":`)
)

// opened treats the answer to a refused token as a refusal, although the
// session is open: it is anonymous.
func (scProtocol) opened(answer []byte, anonymous bool) bool {
	if anonymous {
		return bytes.Contains(answer, unauthenticated) && !bytes.Contains(answer, authError)
	}
	return bytes.Contains(answer, authenticated)
}

func (scProtocol) appendCall(dst []byte, id uint64, procedure, data string) []byte {
	dst = append(dst, `{"event":"`...)
	dst = append(dst, procedure...)
	dst = append(dst, `","data":`...)
	dst = append(dst, data...)
	dst = append(dst, `,"cid":`...)
	dst = strconv.AppendUint(dst, id, 10)
	return append(dst, '}')
}

func (p scProtocol) appendSubscribe(dst []byte, id uint64, channel string) []byte {
	return p.appendCall(dst, id, "#subscribe", `{"channel":"`+channel+`"}`)
}

func (p scProtocol) appendPublish(dst []byte, id uint64, channel, data string) []byte {
	return p.appendCall(dst, id, "#publish", `{"channel":"`+channel+`","data":`+data+`}`)
}

var (
	scAnswer      = []byte(`{"rid":`)
	scError       = []byte(`"error":`)
	scPublication = []byte(`{"event":"#publish",`)
)

// kind relies on the order of keys, which is the same in both servers.
func (scProtocol) kind(message []byte) kind {
	switch {
	case bytes.HasPrefix(message, scPublication):
		return publication
	case !bytes.HasPrefix(message, scAnswer):
		return other
	case bytes.Contains(message, scError):
		return refusal
	}
	return answer
}
