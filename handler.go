package socketcluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/socketcluster-go/socketcluster/internal/registry"
	"github.com/socketcluster-go/socketcluster/wire"
)

// Call is a client's call of a procedure. It is answered once: by what its
// [Handler] returns, or by Reply or Fail.
type Call struct {
	Socket    *Socket
	ID        float64 // the client's id of the call
	Procedure string
	Data      json.RawMessage // nil when the client gave none

	approval
	began      time.Time // when it came; see Call.Context
	answerSent bool      // its answer has been sent; the socket's mu guards it, and only Compat.TokenAfterAnswer needs it
	of         *Call     // what this is a copy of, for one of several loops; nil otherwise
	oneWay     bool      // a transmission of a client of version 1, see handledAsCall
	detached   bool      // see Detach; the handler's goroutine's
	answered   atomic.Bool
}

// Context is the context of the socket, and says besides which call it is about:
// [Socket.SetAuthToken] takes the time at which that came for the time of the
// login. A handler gets it; a loop over calls can ask for it.
func (c *Call) Context() context.Context { return callContext{socketContext{c.Socket}, c} }

// callContext makes contexts without a goroutine for each call.
type callContext struct {
	socketContext
	call *Call
}

type callKey struct{}

// callOf returns the call whose handler a context is that of, or nil.
func callOf(ctx context.Context) *Call {
	c, _ := ctx.Value(callKey{}).(*Call)
	return c
}

func (c callContext) Value(key any) any {
	if key == (callKey{}) {
		return c.call
	}
	return c.socketContext.Value(key)
}

func (c *Call) original() *Call {
	if c.of != nil {
		return c.of
	}
	return c
}

// Answered reports whether the call has been answered.
func (c *Call) Answered() bool { return c.original().answered.Load() }

// Detach lets a [Handler] return before the call is answered, for those who pass
// calls on and must not hold up the next one. Reply or Fail answers it then; an answer
// that the handler returns is ignored, an error is the answer at once. Only the handler
// may call it.
func (c *Call) Detach() { c.detached = true }

// Decode decodes the data of the call into v, as [Func] does, and fails with the error
// that the client should get.
func (c *Call) Decode(v any) error { return decodeData(c.Data, v) }

// Reply answers with data; see [Socket.Transmit] for what data can be. It waits
// while the client does not take what it was sent before. Data that cannot be
// encoded is answered with an error, and returned as one.
func (c *Call) Reply(data any) error {
	raw, err := encodeData(data)
	if err != nil {
		return errors.Join(err, c.Fail(err))
	}
	return c.answer(raw, nil)
}

// Fail answers with an error. A *[wire.Error], such as one of [Errorf], is what
// the client gets, also from within an error that wraps it; any other is logged, and the
// client receives an InternalError.
func (c *Call) Fail(err error) error {
	if err == nil {
		err = errors.New("a handler answered with a nil error")
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
	if !c.original().answered.CompareAndSwap(false, true) {
		return invalidAction("Response to request %s has already been sent", wire.AppendNumber(nil, c.ID))
	}
	if c.oneWay {
		return nil
	}
	if c.Socket.State() == Closed {
		c.Socket.emitError(errNotWritable)
		return errNotWritable
	}
	c.Socket.respond(c.ID, data, failure)
	c.Socket.noteAnswer(c.original())
	return nil
}

func (c *Call) socket() *Socket  { return c.Socket }
func (c *Call) queue() queueName { return queueName{true, c.Procedure} }
func (c *Call) size() int        { return len(c.Procedure) + len(c.Data) }

func (c *Call) ask(expired error) *wire.Error {
	a := &Invoke{Socket: c.Socket, Procedure: c.Procedure, Data: c.given, AuthTokenExpired: expired}
	blocked := c.Socket.srv.runMiddleware(c.Socket.Context(), c.Socket, a)
	c.Data = a.Data
	return blocked
}

// refuse fails if the call has been answered, or nobody is there.
func (c *Call) refuse(failure *wire.Error) { _ = c.answer(nil, failure) }

func (c *Call) handler() (run func(), concurrent int) {
	h, ok := c.Socket.srv.handlers.calls.lookup(c.Procedure)
	if !ok {
		return nil, 0
	}
	return func() { serveCall(c.Context(), h.wrapped, c) }, h.concurrent
}

// clone returns a copy whose answer is that of the original.
func (c *Call) clone() packet {
	return &Call{Socket: c.Socket, ID: c.ID, Procedure: c.Procedure, Data: c.Data, approval: c.approval, began: c.began, of: c, oneWay: c.oneWay}
}

// Decode is [Call.Decode] for the data of a transmission.
func (t *Transmission) Decode(v any) error { return decodeData(t.Data, v) }

// Transmission is an event that a client has sent and that wants no answer.
type Transmission struct {
	Socket   *Socket
	Receiver string
	Data     json.RawMessage // nil when the client gave none

	approval
}

func (t *Transmission) socket() *Socket    { return t.Socket }
func (t *Transmission) queue() queueName   { return queueName{false, t.Receiver} }
func (t *Transmission) size() int          { return len(t.Receiver) + len(t.Data) }
func (t *Transmission) refuse(*wire.Error) {}

func (t *Transmission) ask(expired error) *wire.Error {
	a := &Transmit{Socket: t.Socket, Receiver: t.Receiver, Data: t.given, AuthTokenExpired: expired}
	blocked := t.Socket.srv.runMiddleware(t.Socket.Context(), t.Socket, a)
	t.Data = a.Data
	return blocked
}

func (t *Transmission) handler() (run func(), concurrent int) {
	r, ok := t.Socket.srv.handlers.transmissions.lookup(t.Receiver)
	if !ok {
		return nil, 0
	}
	return func() { serveTransmission(t.Socket.Context(), r.wrapped, t) }, r.concurrent
}

func (t *Transmission) clone() packet {
	return &Transmission{Socket: t.Socket, Receiver: t.Receiver, Data: t.Data, approval: t.approval}
}

// Handler handles the calls of a procedure. The call is answered with what
// ServeCall returns: data, see [Socket.Transmit] for what that can be, or an error,
// see [Call.Fail]. What it returns is ignored if the call has been answered by
// then, but for an error, which is logged, or was detached ([Call.Detach]). ctx is that of [Call.Context]: it ends with the socket, and
// [FromContext] returns the socket. A panic is logged and answered as an
// InternalError; the connection stays.
//
// To clients of version 1, calls and transmissions of a name are one event. On
// their sockets a name without a [Receiver] has its transmissions handled here:
// the answer goes nowhere, and an error is emitted on the socket.
//
// The calls of one socket to one procedure are handled one after the other,
// in the order in which they came; different procedures and different sockets
// are handled side by side.
type Handler interface {
	ServeCall(ctx context.Context, c *Call) (answer any, err error)
}

// HandlerFunc is a function as a [Handler].
type HandlerFunc func(ctx context.Context, c *Call) (answer any, err error)

// ServeCall implements [Handler].
func (f HandlerFunc) ServeCall(ctx context.Context, c *Call) (answer any, err error) {
	return f(ctx, c)
}

// Func makes a [Handler] of a typed function: the data of the call is decoded
// into an In by [wire.Unmarshal], as by encoding/json and with bytes as clients
// send them, and what the function returns is the answer. A call without data
// leaves In at its zero value. A lone surrogate in a string becomes U+FFFD: where
// a string names something, such as a user, refuse those that contain it.
// Data that does not fit is answered with an InvalidArgumentsError; the log
// tells where it does not, and what is expected there.
//
// [FromContext] returns the socket of the client.
func Func[In, Out any](fn func(ctx context.Context, in In) (Out, error)) Handler {
	mustCall("the function of Func", fn)
	return HandlerFunc(func(ctx context.Context, c *Call) (any, error) {
		var in In
		if err := decodeData(c.Data, &in); err != nil {
			return nil, err
		}
		return fn(ctx, in)
	})
}

// Proc is [Func] for a function that answers with no data.
func Proc[In any](fn func(ctx context.Context, in In) error) Handler {
	mustCall("the function of Proc", fn)
	return HandlerFunc(func(ctx context.Context, c *Call) (any, error) {
		var in In
		if err := decodeData(c.Data, &in); err != nil {
			return nil, err
		}
		return nil, fn(ctx, in)
	})
}

// decodeData decodes what a client has sent. None takes anything.
func decodeData(raw json.RawMessage, v any) error {
	switch v := v.(type) {
	case *None:
		return nil
	case *json.RawMessage:
		*v = raw // valid, and the handler's own
		return nil
	}
	if err := wire.Unmarshal(raw, v); err != nil {
		path, expected := wire.Misfit(raw, v)
		return &misfit{path, expected}
	}
	return nil
}

// Receiver handles the transmissions of one name. The ordering is that of
// [Handler], and ctx is that of the socket. The error, or a panic, is emitted on
// the socket; no client gets to see it. On sockets of version 1 it also gets the
// calls of a name without a Handler, which are answered with no data as soon as it
// has been given them.
type Receiver interface {
	ServeTransmission(ctx context.Context, t *Transmission) error
}

// ReceiverFunc is a function as a [Receiver].
type ReceiverFunc func(ctx context.Context, t *Transmission) error

// ServeTransmission implements [Receiver].
func (f ReceiverFunc) ServeTransmission(ctx context.Context, t *Transmission) error { return f(ctx, t) }

// Recv makes a [Receiver] of a typed function, which gets data as that of a [Func]
// does.
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
type HandleOption func(*handlerOptions)

type handlerOptions struct{ concurrent int }

// Concurrent lets up to n calls of one socket be handled at the same time, in
// any order. n must be 1 or more.
func Concurrent(n int) HandleOption {
	if n < 1 {
		panic(fmt.Sprintf("socketcluster: Concurrent(%d): the number must be at least 1", n))
	}
	return func(o *handlerOptions) { o.concurrent = n }
}

// registered is a handler or receiver with its options.
type registered[H any] struct {
	handler H // as it was registered
	wrapped H
	handlerOptions
}

// handlerTable has the handlers, or the receivers, of a server. A lookup is one
// atomic load.
type handlerTable[H any] struct {
	names registry.Names[registered[H]]
	rest  atomic.Pointer[registered[H]] // for names that are not there

	mu    sync.Mutex // of changes
	wraps []func(H) H
}

// handlers are those of a server.
type handlers struct {
	calls         handlerTable[Handler]
	transmissions handlerTable[Receiver]
}

// Handle registers the handler of a procedure for all sockets, in place of an
// earlier one. Names are compared as they are; they have no patterns.
//
// It panics for a nil handler, and for the names that the server handles itself,
// such as #publish, as do all functions that register.
func (srv *Server) Handle(procedure string, h Handler, opts ...HandleOption) {
	mustReach("Handle", procedure)
	mustCall("the handler of the procedure "+procedure, h)
	srv.handlers.calls.set(procedure, h, opts)
}

// HandleDefault registers a function that handles all procedures without a handler.
func (srv *Server) HandleDefault(fn HandlerFunc, opts ...HandleOption) {
	mustCall("the function of HandleDefault", fn)
	srv.handlers.calls.setRest(fn, opts)
}

// Receive registers the receiver of an event for all sockets, in place of an
// earlier one.
func (srv *Server) Receive(event string, r Receiver, opts ...HandleOption) {
	mustReach("Receive", event)
	mustCall("the receiver of the event "+event, r)
	srv.handlers.transmissions.set(event, r, opts)
}

// ReceiveDefault registers a function that receives all events without a receiver.
func (srv *Server) ReceiveDefault(fn ReceiverFunc, opts ...HandleOption) {
	mustCall("the function of ReceiveDefault", fn)
	srv.handlers.transmissions.setRest(fn, opts)
}

// WrapHandlers puts a handler of wrap's around each handler of the server, those that
// are registered later too. It sees the name ([Call].Procedure), the answer and the
// error, and how long it takes, and may change each of them, or the context:
//
//	srv.WrapHandlers(func(next socketcluster.Handler) socketcluster.Handler {
//		return socketcluster.HandlerFunc(func(ctx context.Context, c *socketcluster.Call) (any, error) {
//			ctx, cancel := context.WithTimeout(ctx, time.Second)
//			defer cancel()
//			return next.ServeCall(ctx, c)
//		})
//	})
//
// The first of several is the outermost. wrap is called for each handler, and again
// when another wrap is added. To wrap some handlers only, do it where they are
// registered. Loops over a [Stream] are not wrapped. With [Server.HandleDefault], clients
// choose the names: do not make a metric's label of one that you do not know.
func (srv *Server) WrapHandlers(wrap func(Handler) Handler) {
	mustCall("the function of WrapHandlers", wrap)
	srv.handlers.calls.wrap(wrap)
}

// WrapReceivers is [Server.WrapHandlers] for receivers.
func (srv *Server) WrapReceivers(wrap func(Receiver) Receiver) {
	mustCall("the function of WrapReceivers", wrap)
	srv.handlers.transmissions.wrap(wrap)
}

func (t *handlerTable[H]) set(name string, h H, opts []HandleOption) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.names.Set(name, t.wrapped(h, withOptions(opts)))
}

func (t *handlerTable[H]) setRest(h H, opts []HandleOption) {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := t.wrapped(h, withOptions(opts))
	t.rest.Store(&r)
}

func (t *handlerTable[H]) wrap(wrap func(H) H) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.wraps = append(t.wraps, wrap)
	for name, r := range t.names.All() {
		t.names.Set(name, t.wrapped(r.handler, r.handlerOptions))
	}
	if r := t.rest.Load(); r != nil {
		all := t.wrapped(r.handler, r.handlerOptions)
		t.rest.Store(&all)
	}
}

// wrapped wraps a handler. mu must be held.
func (t *handlerTable[H]) wrapped(h H, opts handlerOptions) registered[H] {
	r := registered[H]{h, h, opts}
	for _, wrap := range slices.Backward(t.wraps) {
		r.wrapped = wrap(r.wrapped)
		mustCall("what a function of WrapHandlers or WrapReceivers has returned", r.wrapped)
	}
	return r
}

func withOptions(opts []HandleOption) (all handlerOptions) {
	for _, o := range opts {
		o(&all)
	}
	return all
}

// lookup finds the handler for a name, or the one for the rest.
func (t *handlerTable[H]) lookup(name string) (r registered[H], ok bool) {
	if r, ok := t.names.Get(name); ok {
		return r, true
	}
	if all := t.rest.Load(); all != nil {
		return *all, true
	}
	return r, false
}

// serveCall runs a handler and answers with what it returns. It answers for one
// that panics.
func serveCall(ctx context.Context, h Handler, c *Call) {
	err := protect(c.Socket.srv.log, "a handler", func() error {
		if !stillIn(c) {
			return nil
		}
		answer, err := h.ServeCall(ctx, c)
		switch {
		case err != nil && c.Answered():
			c.Socket.srv.logMasked(err, "procedure", c.Procedure) // nobody else gets to see it
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
	err := protect(t.Socket.srv.log, "a receiver", func() error {
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
