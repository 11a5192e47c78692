//go:build linux

package main

import (
	"bytes"
	"strconv"
)

// centrifugeProtocol is the JSON protocol of centrifuge, bidirectional, with pings
// of the application, as the stock client speaks it.
type centrifugeProtocol struct{}

func (centrifugeProtocol) path() string { return "/connection/websocket" }
func (centrifugeProtocol) lines() bool  { return true }
func (centrifugeProtocol) ping() string { return "{}" }
func (centrifugeProtocol) pong() string { return "{}" }

func (centrifugeProtocol) appendHandshake(dst []byte, id uint64, token string) []byte {
	dst = append(dst, `{"id":`...)
	dst = strconv.AppendUint(dst, id, 10)
	dst = append(dst, `,"connect":{`...)
	if token != "" {
		dst = append(dst, `"token":"`...)
		dst = append(dst, token...)
		dst = append(dst, '"')
	}
	return append(dst, `}}`...)
}

var centrifugeConnect = []byte(`,"connect":{"client":"`)

// opened needs only the kind of the answer: the server of the benchmark refuses
// a client whose token is not valid.
func (centrifugeProtocol) opened(answer []byte, _ bool) bool {
	return bytes.Contains(answer, centrifugeConnect)
}

func (centrifugeProtocol) appendCall(dst []byte, id uint64, procedure, data string) []byte {
	dst = append(dst, `{"id":`...)
	dst = strconv.AppendUint(dst, id, 10)
	dst = append(dst, `,"rpc":{"method":"`...)
	dst = append(dst, procedure...)
	dst = append(dst, `","data":`...)
	dst = append(dst, data...)
	return append(dst, `}}`...)
}

func (centrifugeProtocol) appendSubscribe(dst []byte, id uint64, channel string) []byte {
	dst = append(dst, `{"id":`...)
	dst = strconv.AppendUint(dst, id, 10)
	dst = append(dst, `,"subscribe":{"channel":"`...)
	dst = append(dst, channel...)
	return append(dst, `"}}`...)
}

func (centrifugeProtocol) appendPublish(dst []byte, id uint64, channel, data string) []byte {
	dst = append(dst, `{"id":`...)
	dst = strconv.AppendUint(dst, id, 10)
	dst = append(dst, `,"publish":{"channel":"`...)
	dst = append(dst, channel...)
	dst = append(dst, `","data":`...)
	dst = append(dst, data...)
	return append(dst, `}}`...)
}

var (
	centrifugeAnswer      = []byte(`{"id":`)
	centrifugeError       = []byte(`,"error":{"code":`)
	centrifugePublication = []byte(`{"push":{"channel":`)
)

// kind relies on the order of keys in the library.
func (centrifugeProtocol) kind(message []byte) kind {
	switch {
	case bytes.HasPrefix(message, centrifugePublication):
		return publication
	case !bytes.HasPrefix(message, centrifugeAnswer):
		return other
	case bytes.Contains(message, centrifugeError):
		return refusal
	}
	return answer
}
