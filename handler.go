package socketcluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/socketcluster-go/socketcluster/internal/guard"
	"github.com/socketcluster-go/socketcluster/internal/handling"
	"github.com/socketcluster-go/socketcluster/wire"
)

// Call is a client's call of a procedure. It is answered once: by the result of
// its [Handler], or by Reply or Fail.
type Call struct {
	Socket    *Socket // nil for a call of NewCall
	ID        float64 // the client's ID of the call
	Procedure string
	Data      json.RawMessage // nil when the client gave none

	approval
	handler    Handler   // see bind
	began      time.Time // when it arrived; see Call.Context
	answerSent bool      // its answer has been sent; the socket's mu guards it, and only Compat.TokenAfterAnswer needs it
	of         *Call     // the original, if this is a copy for one of several loops; else nil
	oneWay     bool      // a transmission of a client of version 1, see handledAsCall
	detached   bool      // see Detach; only for the handler's goroutine
	answered   atomic.Bool
	foreign    *foreign // instead of a socket
}

// foreign is what a call has in place of a socket.
type foreign struct {
	ctx    context.Context
	answer func(data json.RawMessage, err error) error
}

// NewCall returns a call that no socket of a server has received. Tests of a
// [Handler] make such calls, and so does package client, whose server calls it.
// What [Call.Reply] or [Call.Fail] gets goes to answer, once: encoded data, which is
// nil if there is none, or the error as it is. They return what answer returns.
// ctx is that of [Call.Context].
func NewCall(ctx context.Context, procedure string, data json.RawMessage, answer func(data json.RawMessage, err error) error) *Call {
	return &Call{Procedure: procedure, Data: data, foreign: &foreign{ctx, answer}}
}

// Context returns the context of the socket, or that of [NewCall]. It also
// identifies the call: [Socket.SetAuthToken] uses the time at which the call
// arrived as the time of the login. A handler receives this context; a loop
// over calls can get it here.
func (c *Call) Context() context.Context { return (*callContext)(c) }

// callContext is the context of a call, without a goroutine or an allocation for
// each.
type callContext Call

type callKey struct{}

// callOf returns the call to whose handler a context belongs, or nil.
func callOf(ctx context.Context) *Call {
	c, _ := ctx.Value(callKey{}).(*Call)
	return c
}

func (c *callContext) parent() context.Context {
	if c.foreign != nil {
		return c.foreign.ctx
	}
	return socketContext{c.Socket}
}

func (c *callContext) Deadline() (time.Time, bool) { return c.parent().Deadline() }
func (c *callContext) Done() <-chan struct{}       { return c.parent().Done() }
func (c *callContext) Err() error                  { return c.parent().Err() }

func (c *callContext) Value(key any) any {
	if key == (callKey{}) {
		return (*Call)(c)
	}
	return c.parent().Value(key)
}

func (c *Call) original() *Call {
	if c.of != nil {
		return c.of
	}
	return c
}

// Answered reports whether the call has been answered.
func (c *Call) Answered() bool { return c.original().answered.Load() }

// Detach lets a [Handler] return before the call is answered. It is for
// handlers that pass calls on and must not delay the next one. Reply or Fail
// then answers the call. An answer that the handler returns is ignored; an
// error that it returns is sent at once. Only the handler may call Detach.
func (c *Call) Detach() { c.detached = true }

// Detached reports whether the handler has called Detach, once it has returned.
func (c *Call) Detached() bool { return c.detached }

// Decode decodes the data of the call into v, as [Func] does. Its error is the
// one that the client should receive.
func (c *Call) Decode(v any) error { return decodeData(c.Data, v) }

// Reply answers with data; see [Socket.Transmit] for what data can be. It waits
// while the client does not read earlier messages. If the data cannot be
// encoded, the client receives an error, and Reply returns it.
func (c *Call) Reply(data any) error {
	raw, err := encodeData(data)
	if err != nil {
		return errors.Join(err, c.Fail(err))
	}
	return c.answer(raw, nil)
}

// Fail answers with an error. The client receives a *[wire.Error], such as one
// from [Errorf], even if another error wraps it. Any other error is logged, and
// the client receives an InternalError.
func (c *Call) Fail(err error) error {
	if err == nil {
		err = errors.New("a handler answered with a nil error")
	}
	if c.foreign != nil {
		return c.answerForeign(nil, err)
	}
	failure := c.Socket.srv.publicError(err, "procedure", c.Procedure)
	if err := c.answer(nil, failure); err != nil {
		return err
	}
	if c.oneWay {
		c.Socket.emitError(failure)
	}
	return nil
}

func (c *Call) answer(data json.RawMessage, failure *wire.Error) error {
	if c.foreign != nil {
		return c.answerForeign(data, nil)
	}
	if !c.original().answered.CompareAndSwap(false, true) {
		return invalidAction("Response to request %s has already been sent", wire.AppendNumber(nil, c.ID))
	}
	if c.oneWay {
		return nil
	}
	if !c.Socket.respond(c.ID, data, failure) {
		c.Socket.emitError(errNotWritable)
		return errNotWritable
	}
	c.Socket.noteAnswer(c.original())
	return nil
}

func (c *Call) answerForeign(data json.RawMessage, err error) error {
	if !c.answered.CompareAndSwap(false, true) {
		return invalidAction("The call has already been answered")
	}
	return c.foreign.answer(data, err)
}

func (c *Call) socket() *Socket  { return c.Socket }
func (c *Call) queue() queueName { return queueName{ofCalls, c.Procedure} }
func (c *Call) size() int        { return len(c.Procedure) + len(c.Data) }

func (c *Call) actionType() string { return (*Invoke)(nil).Type() }

func (c *Call) ask(expired error) *wire.Error {
	a := &Invoke{Socket: c.Socket, Procedure: c.Procedure, Data: c.given, AuthTokenExpired: expired}
	blocked := c.Socket.srv.runMiddleware(c.Socket.Context(), c.Socket, a)
	c.Data = a.Data
	return blocked
}

// refuse answers with an error. It does nothing if the call has been answered,
// or the client has gone.
func (c *Call) refuse(failure *wire.Error) { _ = c.answer(nil, failure) }

func (c *Call) bind() (o handling.Options, ok bool) {
	h, ok := c.Socket.srv.handlers.calls.Lookup(c.Procedure)
	c.handler = h.Wrapped
	return h.Options, ok
}

func (c *Call) serve() { serveCall(c.Context(), c.handler, c) }

// clone returns a copy that shares the answer of the original.
func (c *Call) clone() packet {
	return &Call{Socket: c.Socket, ID: c.ID, Procedure: c.Procedure, Data: c.Data, approval: c.approval, began: c.began, of: c, oneWay: c.oneWay}
}

// Decode is [Call.Decode] for the data of a transmission.
func (t *Transmission) Decode(v any) error { return decodeData(t.Data, v) }

// Transmission is an event from a client that expects no answer.
type Transmission struct {
	Socket   *Socket
	Receiver string
	Data     json.RawMessage // nil when the client gave none

	approval
	receiver Receiver // see bind
}

func (t *Transmission) socket() *Socket    { return t.Socket }
func (t *Transmission) queue() queueName   { return queueName{ofTransmissions, t.Receiver} }
func (t *Transmission) size() int          { return len(t.Receiver) + len(t.Data) }
func (t *Transmission) refuse(*wire.Error) {}

func (t *Transmission) actionType() string { return (*Transmit)(nil).Type() }

func (t *Transmission) ask(expired error) *wire.Error {
	a := &Transmit{Socket: t.Socket, Receiver: t.Receiver, Data: t.given, AuthTokenExpired: expired}
	blocked := t.Socket.srv.runMiddleware(t.Socket.Context(), t.Socket, a)
	t.Data = a.Data
	return blocked
}

func (t *Transmission) bind() (o handling.Options, ok bool) {
	r, ok := t.Socket.srv.handlers.transmissions.Lookup(t.Receiver)
	t.receiver = r.Wrapped
	return r.Options, ok
}

func (t *Transmission) serve() { serveTransmission(t.Socket.Context(), t.receiver, t) }

func (t *Transmission) clone() packet {
	return &Transmission{Socket: t.Socket, Receiver: t.Receiver, Data: t.Data, approval: t.approval}
}

// Handler handles the calls of a procedure. The result of ServeCall is the
// answer: data, see [Socket.Transmit], or an error, see [Call.Fail]. The result
// is ignored if the call was detached ([Call.Detach]) or has already been
// answered, but then an error is logged. ctx is that of [Call.Context]: it ends
// with the socket, and [FromContext] returns the socket. A panic is logged and
// answered with an InternalError; the connection stays open.
//
// For clients of version 1, calls and transmissions of a name are the same
// event. On their sockets, a Handler also gets the transmissions of its name if
// there is no [Receiver]: the answer is dropped, and an error is emitted on the
// socket.
//
// The calls of one socket to one procedure are handled one after the other, in
// the order in which they arrived. Different procedures and different sockets
// are handled concurrently.
type Handler interface {
	ServeCall(ctx context.Context, c *Call) (answer any, err error)
}

// HandlerFunc makes a [Handler] of a function.
type HandlerFunc func(ctx context.Context, c *Call) (answer any, err error)

// ServeCall implements [Handler].
func (f HandlerFunc) ServeCall(ctx context.Context, c *Call) (answer any, err error) {
	return f(ctx, c)
}

// Func makes a [Handler] of a typed function: the data of the call is decoded
// into an In by [wire.Unmarshal], which is like encoding/json and also accepts
// bytes as clients send them. The result of the function is the answer. A call
// without data leaves In at its zero value. A lone surrogate in a string
// becomes U+FFFD: if a string is a name, such as that of a user, refuse strings
// that contain U+FFFD. Data that does not fit is answered with an
// InvalidArgumentsError; the log shows the place where it does not fit, and the
// type that is expected there.
//
// [FromContext] returns the socket of the client.
func Func[In, Out any](fn func(ctx context.Context, in In) (Out, error)) Handler {
	mustCall("the function of Func", fn)
	return HandlerFunc(func(ctx context.Context, c *Call) (any, error) {
		in, err := decodeAs[In](c.Data)
		if err != nil {
			return nil, err
		}
		return fn(ctx, in)
	})
}

// Proc is [Func] for a function whose answer has no data.
func Proc[In any](fn func(ctx context.Context, in In) error) Handler {
	mustCall("the function of Proc", fn)
	return HandlerFunc(func(ctx context.Context, c *Call) (any, error) {
		in, err := decodeAs[In](c.Data)
		if err != nil {
			return nil, err
		}
		return nil, fn(ctx, in)
	})
}

// decodeAs is decodeData for a new value. Raw data needs none on the heap.
func decodeAs[T any](raw json.RawMessage) (v T, err error) {
	if p, ok := any(&v).(*json.RawMessage); ok {
		*p = raw
		return v, nil
	}
	p := new(T)
	err = decodeData(raw, p)
	return *p, err
}

// decodeData decodes the data from a client. None accepts any data.
func decodeData(raw json.RawMessage, v any) error {
	switch v := v.(type) {
	case *None:
		return nil
	case *json.RawMessage:
		*v = raw // valid, and owned by the handler
		return nil
	}
	if err := wire.Unmarshal(raw, v); err != nil {
		path, expected := wire.Misfit(raw, v)
		return &misfit{path, expected}
	}
	return nil
}

// Receiver handles the transmissions of one name. The ordering is that of
// [Handler], and ctx is that of the socket. An error or a panic is emitted on
// the socket; no client sees it. On sockets of version 1 a Receiver also gets
// the calls of its name if there is no Handler; they are answered without data
// as soon as it has them.
type Receiver interface {
	ServeTransmission(ctx context.Context, t *Transmission) error
}

// ReceiverFunc makes a [Receiver] of a function.
type ReceiverFunc func(ctx context.Context, t *Transmission) error

// ServeTransmission implements [Receiver].
func (f ReceiverFunc) ServeTransmission(ctx context.Context, t *Transmission) error { return f(ctx, t) }

// Recv makes a [Receiver] of a typed function, which gets its data as that of a
// [Func] does.
func Recv[In any](fn func(ctx context.Context, in In) error) Receiver {
	mustCall("the function of Recv", fn)
	return ReceiverFunc(func(ctx context.Context, t *Transmission) error {
		var in In
		if err := decodeData(t.Data, &in); err != nil {
			return err
		}
		return fn(ctx, in)
	})
}

// A HandleOption changes how a procedure or receiver is handled.
type HandleOption func(*handling.Options)

// Concurrent lets up to n calls of one socket be handled at the same time, in
// any order. n must be 1 or more.
func Concurrent(n int) HandleOption {
	if n < 1 {
		panic(fmt.Sprintf("socketcluster: Concurrent(%d): the number must be at least 1", n))
	}
	return func(o *handling.Options) { o.Concurrent = n }
}

// handlers has the handlers and receivers of a server.
type handlers struct {
	calls         handling.Table[Handler]
	transmissions handling.Table[Receiver]
}

// Handle registers the handler of a procedure for all sockets, in place of an
// earlier one. Names are compared as they are; they have no patterns.
//
// It panics for a nil handler, and for names that the server handles itself,
// such as #publish. So do all functions that register handlers.
func (srv *Server) Handle(procedure string, h Handler, opts ...HandleOption) {
	mustReach("Handle", procedure)
	mustCall("the handler of the procedure "+procedure, h)
	srv.handlers.calls.Set(procedure, h, handling.With(opts))
}

// HandleDefault registers a function that handles all procedures without a handler.
func (srv *Server) HandleDefault(fn HandlerFunc, opts ...HandleOption) {
	mustCall("the function of HandleDefault", fn)
	srv.handlers.calls.SetDefault(fn, handling.With(opts))
}

// Receive registers the receiver of an event for all sockets, in place of an
// earlier one.
func (srv *Server) Receive(event string, r Receiver, opts ...HandleOption) {
	mustReach("Receive", event)
	mustCall("the receiver of the event "+event, r)
	srv.handlers.transmissions.Set(event, r, handling.With(opts))
}

// ReceiveDefault registers a function that receives all events without a receiver.
func (srv *Server) ReceiveDefault(fn ReceiverFunc, opts ...HandleOption) {
	mustCall("the function of ReceiveDefault", fn)
	srv.handlers.transmissions.SetDefault(fn, handling.With(opts))
}

// WrapHandlers wraps each handler of the server by the handler that wrap
// returns, including those that are registered later. The wrapper sees the name
// ([Call].Procedure), the answer, the error and the duration, and may change
// the answer, the error and the context:
//
//	srv.WrapHandlers(func(next socketcluster.Handler) socketcluster.Handler {
//		return socketcluster.HandlerFunc(func(ctx context.Context, c *socketcluster.Call) (any, error) {
//			ctx, cancel := context.WithTimeout(ctx, time.Second)
//			defer cancel()
//			return next.ServeCall(ctx, c)
//		})
//	})
//
// The first of several wrappers is the outermost. wrap is called for each
// handler, and again when another wrapper is added. To wrap only some handlers,
// wrap them where you register them. Loops over a [Stream] are not wrapped.
// With [Server.HandleDefault], clients choose the names: do not use an unknown
// name as the label of a metric.
func (srv *Server) WrapHandlers(wrap func(Handler) Handler) {
	mustCall("the function of WrapHandlers", wrap)
	srv.handlers.calls.Wrap(wrapping(wrap))
}

// WrapReceivers is [Server.WrapHandlers] for receivers.
func (srv *Server) WrapReceivers(wrap func(Receiver) Receiver) {
	mustCall("the function of WrapReceivers", wrap)
	srv.handlers.transmissions.Wrap(wrapping(wrap))
}

// wrapping returns a wrapper that panics if it returns nothing that can be called.
func wrapping[H any](wrap func(H) H) func(H) H {
	return func(h H) H {
		h = wrap(h)
		mustCall("what a function of WrapHandlers or WrapReceivers has returned", h)
		return h
	}
}

// serveCall runs a handler and answers with its result. If the handler panics,
// it answers with an error.
func serveCall(ctx context.Context, h Handler, c *Call) {
	err := guard.Call(c.Socket.srv.log, "a handler", func() error {
		if !stillIn(c) {
			return nil
		}
		answer, err := h.ServeCall(ctx, c)
		switch {
		case err != nil && c.Answered():
			c.Socket.srv.logMasked(err, "procedure", c.Procedure) // nobody else sees it
		case err != nil:
			c.Fail(err)
		case c.detached || c.Answered():
		default:
			c.Reply(answer)
		}
		return nil
	}, slog.String("procedure", c.Procedure))
	if err != nil {
		c.Fail(err)
	}
}

// serveTransmission runs a receiver.
func serveTransmission(ctx context.Context, r Receiver, t *Transmission) {
	err := guard.Call(t.Socket.srv.log, "a receiver", func() error {
		if !stillIn(t) {
			return nil
		}
		return r.ServeTransmission(ctx, t)
	}, slog.String("receiver", t.Receiver))
	if err != nil {
		t.Socket.emitError(err)
		t.Socket.srv.logFailure(err, t.Receiver)
	}
}
