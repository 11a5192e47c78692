package client

import (
	"encoding/json"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/wire"
)

// This file has the differences for servers of version 1: they send the code of
// a refused handshake beside the error, and the reason for a disconnect in an
// event before the close frame, which has only the code.

const eventDisconnect = "#disconnect"

// noteRefusal keeps the close code that comes with a refused handshake. Calls do
// not pass on what comes beside an error.
func (l *link) noteRefusal(p *wire.Packet) {
	c := l.c
	if c.opts.ProtocolVersion != wire.Version1 || len(nullIsAbsent(p.Error)) == 0 {
		return
	}
	var beside struct {
		Code any `json:"code"`
	}
	if json.Unmarshal(p.Data, &beside) != nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state == socketcluster.Connecting { // the handshake is the only call
		l.refusal = closeCodeOf(beside.Code)
	}
}

// takeDisconnect handles #disconnect of the server. If the code may not be sent,
// the close frame, which follows, ends the link.
func (l *link) takeDisconnect(data []byte) {
	var why struct {
		Code any             `json:"code"`
		Data json.RawMessage `json:"data"`
	}
	if json.Unmarshal(data, &why) != nil {
		return
	}
	code := closeCodeOf(why.Code)
	if !code.Sendable() {
		return
	}
	reason, ok := wire.ParseString(why.Data)
	if !ok {
		reason = string(nullIsAbsent(why.Data)) // any data may be one in JavaScript
	}
	l.c.mu.Lock()
	defer l.c.mu.Unlock()
	l.disconnect(code, wire.TruncateReason(reason))
}
