package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/internal/guard"
	"github.com/socketcluster-go/socketcluster/internal/handling"
	"github.com/socketcluster-go/socketcluster/internal/lane"
	"github.com/socketcluster-go/socketcluster/wire"
)

// errUnknownProcedure is the answer to calls that nobody handles. The npm client
// leaves the server waiting.
var errUnknownProcedure = &wire.Error{Name: "UnknownProcedureError", Message: "The client has no such procedure"}

// Handle registers the handler of a procedure that the server may call, in place
// of an earlier one: a [socketcluster.Func], for example. [FromContext] returns
// the client. The context of a call ends with the connection.
//
// The server gets a *[wire.Error] that the handler returns; other errors are
// logged, and the server gets an InternalError. A call that nobody handles is
// answered with an UnknownProcedureError.
//
// It panics for a nil handler, and for names that the client handles itself. So
// do all functions that register handlers.
func (c *Client) Handle(procedure string, h socketcluster.Handler, opts ...socketcluster.HandleOption) {
	mustReach("Handle", procedure)
	mustCall("the handler of the procedure "+procedure, h)
	c.calls.Set(procedure, h, handling.With(opts))
}

// HandleDefault registers a function that handles all procedures without a
// handler.
func (c *Client) HandleDefault(fn socketcluster.HandlerFunc, opts ...socketcluster.HandleOption) {
	mustCall("the function of HandleDefault", fn)
	c.calls.SetDefault(fn, handling.With(opts))
}

// Receive registers the receiver of an event that the server may transmit, in
// place of an earlier one: a [socketcluster.Recv], for example. An error that it
// returns is emitted as an [ErrorEvent].
func (c *Client) Receive(event string, r socketcluster.Receiver, opts ...socketcluster.HandleOption) {
	mustReach("Receive", event)
	mustCall("the receiver of the event "+event, r)
	c.transmissions.Set(event, r, handling.With(opts))
}

// ReceiveDefault registers a function that receives all events without a
// receiver.
func (c *Client) ReceiveDefault(fn socketcluster.ReceiverFunc, opts ...socketcluster.HandleOption) {
	mustCall("the function of ReceiveDefault", fn)
	c.transmissions.SetDefault(fn, handling.With(opts))
}

// mustCall panics if f is nil, or a nil function.
func mustCall(what string, f any) {
	if guard.IsNil(f) {
		panic("client: " + what + " is nil")
	}
}

// mustReach panics if the client itself handles packets with that name (RPC-3).
func mustReach(call, name string) {
	switch name {
	case eventPublish, eventKickOut, eventSetAuthToken, eventRemoveAuthToken:
		panic(fmt.Sprintf("client: %s: the client handles %s itself", call, name))
	}
}

// queueName names a queue. A procedure and a receiver may have the same name.
type queueName struct {
	call bool
	name string
}

// nameQueue handles the calls or transmissions of one name, in order. It exists
// while it has work.
type nameQueue struct {
	c       *Client
	name    queueName
	lane    lane.Lane[task]
	users   int           // tasks that are not done; the client's mu guards it
	running chan struct{} // a semaphore, see socketcluster.Concurrent; so does it guard the field
}

// task is a call or a transmission on its way to its handler.
type task struct {
	link     *link
	call     *socketcluster.Call // or
	transmit *socketcluster.Transmission
	handler  socketcluster.Handler
	receiver socketcluster.Receiver
	size     int
	running  chan struct{} // nil: in order, one at a time
}

// taskCost is the number of bytes for which a task counts in Limits.Held, besides
// its name and data: about what its goroutine takes.
const taskCost = 4 << 10

// dispatch queues a packet of the server for its handler.
func (l *link) dispatch(p *wire.Packet) {
	c := l.c
	isCall := p.Kind == wire.KindInvoke
	t := task{link: l, size: len(p.Event) + len(p.Data) + taskCost}
	var name string
	var options handling.Options
	if isCall {
		name = c.calls.Name(p.Event)
		h, ok := c.calls.Lookup(name)
		if !ok {
			c.mu.Lock()
			l.respond(p.ID, nil, errUnknownProcedure)
			c.mu.Unlock()
			return
		}
		id := p.ID
		t.handler, options = h.Wrapped, h.Options
		t.call = socketcluster.NewCall(l.ctx, name, bytes.Clone(p.Data), func(data json.RawMessage, err error) error { return l.answer(id, name, data, err) })
		t.call.ID = id
	} else {
		name = c.transmissions.Name(p.Event)
		r, ok := c.transmissions.Lookup(name)
		if !ok {
			return // it is lost, as in JavaScript (RPC-5)
		}
		t.receiver, options = r.Wrapped, r.Options
		t.transmit = &socketcluster.Transmission{Receiver: name, Data: bytes.Clone(p.Data)}
	}
	c.hold(t.size)
	c.mu.Lock()
	defer c.mu.Unlock()
	key := queueName{isCall, name}
	q := c.queues[key]
	if q == nil {
		q = &nameQueue{c: c, name: key}
		if c.queues == nil {
			c.queues = make(map[queueName]*nameQueue)
		}
		c.queues[key] = q
	}
	q.users++
	if options.Concurrent > 1 {
		if cap(q.running) != options.Concurrent {
			q.running = make(chan struct{}, options.Concurrent)
		}
		t.running = q.running
	}
	q.lane.Push(t, q)
}

// Handle implements lane.Handler.
func (q *nameQueue) Handle(t task) {
	if t.running == nil {
		q.run(t)
		return
	}
	if !q.c.enter(t.running) {
		q.finish(t)
		return
	}
	go func() {
		defer func() { <-t.running }()
		q.run(t)
	}()
}

// enter takes a place of a semaphore. It returns false when the client is closed.
func (c *Client) enter(places chan struct{}) bool {
	select {
	case places <- struct{}{}:
		return true
	case <-c.ctx.Done():
		return false
	}
}

func (q *nameQueue) run(t task) {
	c := q.c
	defer q.finish(t) // also if a handler ends its goroutine
	if !c.enter(c.slots) {
		return
	}
	defer func() { <-c.slots }()
	switch {
	case c.ctx.Err() != nil: // closed
	case t.call != nil:
		c.serveCall(t)
	default:
		c.serveTransmission(t)
	}
}

// finish counts a task off.
func (q *nameQueue) finish(t task) {
	c := q.c
	c.release(t.size)
	c.mu.Lock()
	defer c.mu.Unlock()
	if q.users--; q.users == 0 {
		delete(c.queues, q.name)
	}
}

// serveCall runs a handler, and answers with its result. A call whose connection
// is gone is dropped, as nobody waits for its answer.
func (c *Client) serveCall(t task) {
	if t.link.ctx.Err() != nil {
		return
	}
	err := guard.Call(c.log, "a handler", func() error {
		answer, err := t.handler.ServeCall(t.call.Context(), t.call)
		switch {
		case err != nil && t.call.Answered():
			return err
		case err != nil:
			return t.call.Fail(err)
		case t.call.Detached() || t.call.Answered():
			return nil
		}
		return t.call.Reply(answer)
	}, slog.String("procedure", t.call.Procedure))
	if err != nil && !t.call.Answered() {
		err = t.call.Fail(err)
	}
	if err != nil && t.link.ctx.Err() == nil {
		c.logMasked(err, "procedure", t.call.Procedure)
	}
}

// serveTransmission runs a receiver. What has arrived is received even if the
// connection has been lost since.
func (c *Client) serveTransmission(t task) {
	ctx := context.Context(t.link.ctx)
	err := guard.Call(c.log, "a receiver", func() error { return t.receiver.ServeTransmission(ctx, t.transmit) },
		slog.String("receiver", t.transmit.Receiver))
	if err != nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.emitError(err)
	}
}

// answer answers a call of the server.
func (l *link) answer(id float64, procedure string, data json.RawMessage, err error) error {
	c := l.c
	var failure *wire.Error
	if err != nil {
		var masked bool
		if failure, masked = guard.Mask(err); masked {
			c.logMasked(err, "procedure", procedure)
		}
	}
	if err := l.out.Wait(l.ctx, c.opts.Limits.Outbox/2); err != nil {
		return errLinkEnded
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if l.ended {
		return errLinkEnded
	}
	l.respond(id, data, failure)
	return nil
}

// errLinkEnded is the error of answering after the end of the connection.
var errLinkEnded = errors.New("client: the connection of the call has ended")

// logMasked logs an error that the server does not get.
func (c *Client) logMasked(err error, name, value string) {
	c.log.LogAttrs(context.Background(), slog.LevelError, "error kept from the server", slog.Any("error", err), slog.String(name, value))
}
