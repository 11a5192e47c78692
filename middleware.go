package socketcluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"github.com/socketcluster-go/socketcluster/internal/guard"
	"github.com/socketcluster-go/socketcluster/internal/registry"
	"github.com/socketcluster-go/socketcluster/wire"
)

// Middleware decides whether an action is allowed: nil allows it, an error
// blocks it. The client receives a *[wire.Error]; any other error is logged,
// and the client receives an InternalError.
//
// Middleware returns nil for actions that it does not decide about.
//
// The middleware of one socket runs for one action of a line at a time, in the
// order in which the actions arrived. It delays later messages of its socket,
// but no other socket. ctx ends with the connection.
//
// The decision of inbound middleware is valid for the token that the socket has
// at the time. When the token changes, the middleware runs again: at once for
// subscriptions, and for a call, transmission or publication when its turn
// comes, with the original data. It then runs concurrently with other actions
// of the socket. If middleware changes the token each time it runs, its actions
// are refused.
type Middleware func(ctx context.Context, a Action) error

// Use adds middleware for one type of action, to the line of that action. The
// returned function removes it again. It adds to the same lines as
// [Server.UseInbound] and the similar methods, and the middleware of a line
// runs in the order of addition.
//
//	socketcluster.Use(srv, func(ctx context.Context, a *socketcluster.PublishIn) error { … })
//
// It panics if fn is nil, or if A is the interface [Action].
func Use[A Action](srv *Server, fn func(ctx context.Context, a A) error) (remove func()) {
	mustCall("the function of Use", fn)
	var zero A
	if any(zero) == nil {
		panic("socketcluster: Use: name the type of one action, not Action; UseInbound takes functions for several")
	}
	decide := func(ctx context.Context, a Action) error { return fn(ctx, a.(A)) }
	return srv.middleware[zero.line()].Add(decider{decide, zero.Type()})
}

// ErrBlocked, returned by middleware, blocks an action without a reason: the
// client receives a SilentMiddlewareBlockedError.
var ErrBlocked = Silent(nil)

// Silent blocks like [ErrBlocked], but emits err on the socket.
func Silent(err error) error { return &silentError{err} }

// silentError hides its cause from the client.
type silentError struct{ cause error }

func (e *silentError) Error() string {
	if e.cause == nil {
		return "action blocked"
	}
	return e.cause.Error()
}

func (e *silentError) Unwrap() error { return e.cause }

// decider is middleware, and the type of the only actions that it decides about, or
// "" if it sees all of its line.
type decider struct {
	decide Middleware
	only   string
}

func (d *decider) sees(actionType string) bool { return d.only == "" || d.only == actionType }

// middlewares has the functions of the four lines.
type middlewares [numLines]registry.List[decider]

func (m *middlewares) use(l line, fns []Middleware) (remove func()) {
	deciders := make([]decider, len(fns))
	for i, fn := range fns {
		mustCall("a middleware of the "+l.String()+" line", fn)
		deciders[i].decide = fn
	}
	return m[l].Add(deciders...)
}

func (m *middlewares) has(l line) bool { return !m[l].Empty() }

// sees reports whether an action of a type would be seen by any middleware of its line.
func (m *middlewares) sees(l line, actionType string) bool {
	return slices.ContainsFunc(m[l].All(), func(d *decider) bool { return d.sees(actionType) })
}

// UseHandshake adds middleware for [Upgrade] and [Handshake]. The
// returned function removes it again.
//
// The middleware of a line runs in the order in which it was added, until one
// blocks. It may be added and removed at any time; each action passes the
// middleware of that moment. UseHandshake panics if a function is nil.
func (srv *Server) UseHandshake(fns ...Middleware) (remove func()) {
	return srv.middleware.use(lineHandshake, fns)
}

// UseInboundRaw adds middleware for [RawMessage]; see [Server.UseHandshake].
func (srv *Server) UseInboundRaw(fns ...Middleware) (remove func()) {
	return srv.middleware.use(lineInboundRaw, fns)
}

// UseInbound adds middleware for [Transmit], [Invoke], [Subscribe],
// [PublishIn] and [Authenticate]; see [Server.UseHandshake].
func (srv *Server) UseInbound(fns ...Middleware) (remove func()) {
	return srv.middleware.use(lineInbound, fns)
}

// UseOutbound adds middleware for [PublishOut]; see [Server.UseHandshake].
// It costs a frame for each subscriber instead of one for all.
func (srv *Server) UseOutbound(fns ...Middleware) (remove func()) {
	return srv.middleware.use(lineOutbound, fns)
}

// runMiddleware passes an action through its line. It returns the error that
// the client may see; it has already emitted the real one.
func (srv *Server) runMiddleware(ctx context.Context, s *Socket, a Action) *wire.Error {
	for _, d := range srv.middleware[a.line()].All() {
		if !d.sees(a.Type()) {
			continue
		}
		err := guard.Call(srv.log, "middleware", func() error { return d.decide(ctx, a) }, slog.String("action", a.Type()))
		if err != nil {
			return srv.blocked(s, a, err)
		}
	}
	return nil
}

// blocked emits the reason why an action was blocked, and returns the error
// that the client sees.
func (srv *Server) blocked(s *Socket, a Action, err error) *wire.Error {
	var public *wire.Error
	var silent *silentError
	masked := false
	if errors.As(err, &silent) {
		public = &wire.Error{
			Name:    wire.ErrSilentMiddlewareBlocked.Name,
			Message: fmt.Sprintf("The %s AGAction was blocked by %s middleware", a.Type(), a.line()),
			Fields:  []wire.Field{{Key: "type", Value: a.line().String()}},
		}
		if err == silent { // and not an error that wraps it, which says more
			err = silent.cause
		}
		if err == nil {
			err = public
		}
	} else {
		public, masked = srv.mask(err)
	}
	if sub, ok := a.(*Subscribe); ok && sub.Again {
		s.logLost(sub.Channel, err, masked)
	} else if masked {
		srv.logMasked(err, "middleware", a.Type())
	}
	if !srv.cfg.MuteMiddlewareFailures {
		srv.emitError(s, err)
	}
	return public
}

// logLost logs that a subscription has ended because the right to it has ended.
// It logs only the first one after each change of the token, because the others
// end for the same reason. A logout is not logged; an error that is not meant
// for clients is, if the client is still logged in.
func (s *Socket) logLost(channel string, err error, masked bool) {
	epoch := s.token.epoch.Load()
	s.mu.Lock()
	x := s.extend()
	logged := x.lostIn == epoch
	x.lostIn = epoch
	s.mu.Unlock()
	if logged {
		return
	}
	level := slog.LevelDebug
	if masked && s.token.Load() != nil {
		level = slog.LevelError
	}
	attrs := s.srv.logAttrs([]string{"socket", s.ID(), "first", channel})
	s.srv.log.LogAttrs(context.Background(), level, "subscriptions ended with the right to them", append(attrs, slog.Any("error", err))...)
}
