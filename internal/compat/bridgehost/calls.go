package main

import (
	"errors"
	"fmt"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/wire"
)

// called passes a call to the bridge, which knows whether there is a handler.
func (h *host) called(c *socketcluster.Call) {
	number := h.number()
	h.mu.Lock()
	h.calls[number] = c
	h.mu.Unlock()
	h.out.put(func() any {
		return procedureLine{
			T: "procedure", Socket: c.Socket.ID(), Request: number, ID: c.ID, Procedure: c.Procedure, Data: c.Data,
			Sent: c.Answered(), snapshots: with(nil, known(c.Socket)),
		}
	})
}

// received passes a transmission to the bridge.
func (h *host) received(t *socketcluster.Transmission) {
	h.out.put(func() any {
		return receiverLine{
			T: "receiver", Socket: t.Socket.ID(), Receiver: t.Receiver, Data: t.Data,
			snapshots: with(nil, known(t.Socket)),
		}
	})
}

// respond answers a call. If the client has gone, that is an event and not an
// error, as in JavaScript. If the call was answered before, that is an error.
func (h *host) respond(c *command) error {
	h.mu.Lock()
	call := h.calls[c.Request]
	h.mu.Unlock()
	if call == nil {
		return fmt.Errorf("there is no call %d", c.Request)
	}
	var err error
	if c.Error != nil {
		err = call.Fail(hydrate(c.Error))
	} else {
		err = call.Reply(payload(c.Data))
	}
	if errors.Is(err, wire.ErrInvalidAction) {
		return err
	}
	return nil
}
