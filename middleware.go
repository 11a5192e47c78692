package socketcluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/socketcluster-go/socketcluster/internal/registry"
	"github.com/socketcluster-go/socketcluster/wire"
)

// Middleware decides whether an action goes on: nil allows it, an error blocks
// it. A *[wire.Error] is what the client gets to see; any other error is
// logged, and the client sees that something internal failed.
//
// An action that middleware does nothing about is allowed.
//
// The middleware of one socket runs for one action of a line at a time, in the
// order in which they came, and holds up what the socket sends after it, but no
// other socket. ctx ends with the connection.
//
// What inbound middleware has allowed holds for the token that the socket has at
// the time. When that changes, the middleware is asked again: about subscriptions
// at once, about a call, transmission or publication when its turn comes, with the
// data as it came. It runs beside other actions of the socket then. Middleware that
// changes the token itself whenever it is asked gets its actions refused.
type Middleware func(ctx context.Context, a Action) error

// Use adds middleware for one type of action, to the line that the action is on. The
// returned function removes it again. It adds to the same lines as [Server.UseInbound]
// and its kin, and runs in the order of addition.
//
//	socketcluster.Use(srv, func(ctx context.Context, a *socketcluster.PublishIn) error { … })
//
// It panics for a nil fn, and for the interface [Action] in place of a type.
func Use[A Action](srv *Server, fn func(ctx context.Context, a A) error) (remove func()) {
	mustCall("the function of Use", fn)
	var zero A
	if any(zero) == nil {
		panic("socketcluster: Use: name the type of one action, not Action; UseInbound takes functions for several")
	}
	return srv.middleware.use(zero.line(), []Middleware{func(ctx context.Context, a Action) error {
		if a, ok := a.(A); ok {
			return fn(ctx, a)
		}
		return nil
	}})
}

// ErrBlocked, returned by middleware, blocks an action without a reason: the
// client gets a SilentMiddlewareBlockedError.
var ErrBlocked error = &silentError{}

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

// middlewares holds the functions of the four lines.
type middlewares [numLines]registry.List[Middleware]

func (m *middlewares) use(l line, fns []Middleware) (remove func()) {
	for _, fn := range fns {
		mustCall("a middleware of the "+l.String()+" line", fn)
	}
	return m[l].Add(fns...)
}

func (m *middlewares) has(l line) bool { return !m[l].Empty() }

// UseHandshake adds middleware for [Upgrade] and [Handshake]. The
// returned function removes it again.
//
// The middleware of a line runs in the order in which it was added, until one
// blocks. It may be added and removed at any time; each action goes through
// what there is at that moment. A nil function is a panic.
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

// runMiddleware sends an action through its line. The error is what the
// client may see; the real one has been emitted by then.
func (srv *Server) runMiddleware(ctx context.Context, s *Socket, a Action) *wire.Error {
	for _, fn := range srv.middleware[a.line()].All() {
		err := protect(srv.log, "middleware", func() error { return (*fn)(ctx, a) }, slog.String("action", a.Type()))
		if err != nil {
			return srv.blocked(s, a, err)
		}
	}
	return nil
}

// blocked emits why an action was blocked, and returns what the client sees.
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
		if err == silent { // and not something around it, which says more
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

// logLost logs that a subscription ends with the right to it: the first one after
// each change of the token, as the others end for the same reason. A logout is no
// news; an error that is not meant for clients is, if the client is still logged in.
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
	attrs := s.srv.logAttrs([]string{"socket", s.id, "first", channel})
	s.srv.log.LogAttrs(context.Background(), level, "subscriptions ended with the right to them", append(attrs, slog.Any("error", err))...)
}
