package socketcluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"

	"github.com/socketcluster-go/socketcluster/wire"
)

// ErrServerClosed is returned by what needs a running server after
// [Server.Shutdown] or [Server.Close].
var ErrServerClosed = errors.New("socketcluster: server closed")

// errUnknownProcedure answers calls that nobody handles.
var errUnknownProcedure = &wire.Error{Name: "UnknownProcedureError", Message: "The server has no such procedure"}

// errMisfit answers calls with data that their handler cannot take.
var errMisfit = &wire.Error{Name: wire.ErrInvalidArguments.Name, Message: "The data does not have the form that is expected here"}

// misfit is the errMisfit of certain data. Where it does not fit is for who looks
// for the mistake, and not for the client; the data itself is for nobody.
type misfit struct {
	path     string // see wire.Misfit
	expected reflect.Type
}

func (e *misfit) Error() string {
	return fmt.Sprintf("%v: at %q, %v is expected", errMisfit, e.path, e.expected)
}

func (e *misfit) Unwrap() error { return errMisfit }

// publicError returns what a client may see of an error: a *wire.Error, even
// a wrapped one, goes out as it is, with its text cut to the limit; anything
// else is logged and masked. A panic has been logged before. attrs are pairs for
// the log.
func (srv *Server) publicError(err error, attrs ...string) *wire.Error {
	public, masked := srv.mask(err)
	if bad, ok := errors.AsType[*misfit](err); ok {
		srv.logFault("a client has sent data that does not have the form that a handler expects", append(attrs, "path", bad.path, "expected", bad.expected.String()))
	}
	if masked {
		srv.logMasked(err, attrs...)
	}
	return public
}

// mask is publicError without the log. masked is an error that nobody gets to see
// unless it is logged.
func (srv *Server) mask(err error) (public *wire.Error, masked bool) {
	if errors.As(err, &public) && public != nil {
		return srv.cutText(public), false
	}
	return wire.InternalError(), !errors.As(err, new(*panicError))
}

func (srv *Server) logMasked(err error, attrs ...string) {
	log := append([]slog.Attr{slog.Any("error", err)}, srv.logAttrs(attrs)...)
	srv.log.LogAttrs(context.Background(), slog.LevelError, "error kept from the client", log...)
}

// logFailure logs what a receiver has returned. No client gets to see it, so that
// an error that is made for clients is logged, too.
func (srv *Server) logFailure(err error, receiver string) {
	if e, ok := errors.AsType[*wire.Error](err); ok && e != errMisfit {
		srv.logFault("a receiver has refused data of a client", []string{"receiver", receiver, "error", err.Error()})
		return
	}
	srv.publicError(err, "receiver", receiver)
}

// logFault logs what a client has done wrong. Clients decide how often.
func (srv *Server) logFault(message string, attrs []string) {
	level := slog.LevelDebug
	if srv.faults.allow(srv.clock(), 1) {
		level = slog.LevelInfo
	}
	srv.log.LogAttrs(context.Background(), level, message, srv.logAttrs(attrs)...)
}

// logAttrs makes attributes of pairs. Their texts may be the client's own.
func (srv *Server) logAttrs(pairs []string) (attrs []slog.Attr) {
	for i := 0; i+1 < len(pairs); i += 2 {
		attrs = append(attrs, slog.String(pairs[i], truncate(pairs[i+1], srv.cfg.Limits.ErrorText)))
	}
	return attrs
}

// cutText returns the error with no more text than Limits.ErrorText.
func (srv *Server) cutText(e *wire.Error) *wire.Error {
	limit := srv.cfg.Limits.ErrorText
	if len(e.Message) <= limit {
		return e
	}
	srv.hit(limitErrorText)
	cut := *e
	cut.Message = truncate(e.Message, limit)
	return &cut
}

// truncate cuts s to at most n bytes without splitting a character.
func truncate(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && s[n]&0xC0 == 0x80 {
		n--
	}
	return s[:n]
}

// Errorf makes an error that clients receive as it is, with a name by which they can
// tell it from others, and a message as by [fmt.Sprintf]. What is not meant for clients is
// any other error: they receive an InternalError in its place, and the log has the rest.
// Further fields are added by [wire.Error.With].
func Errorf(name, format string, args ...any) *wire.Error {
	return &wire.Error{Name: name, Message: fmt.Sprintf(format, args...)}
}

func invalidAction(format string, args ...any) *wire.Error {
	return Errorf(wire.NameInvalidAction, format, args...)
}

func brokerError(format string, args ...any) *wire.Error {
	return Errorf(wire.NameBroker, format, args...)
}

// badConnection is the error of calls that a lost connection has ended.
func badConnection(kind string, code wire.CloseCode, reason, format string, args ...any) *wire.Error {
	return &wire.Error{
		Name:    wire.ErrBadConnection.Name,
		Message: fmt.Sprintf(format, args...),
		Fields:  []wire.Field{{Key: "type", Value: kind}, {Key: "code", Value: int(code)}, {Key: "reason", Value: reason}},
	}
}
