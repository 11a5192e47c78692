package socketcluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"

	"github.com/socketcluster-go/socketcluster/internal/guard"
	"github.com/socketcluster-go/socketcluster/wire"
)

// ErrServerClosed is the error of functions that need a running server, after
// [Server.Shutdown] or [Server.Close].
var ErrServerClosed = errors.New("socketcluster: server closed")

// errUnknownProcedure is the answer to calls that nobody handles.
var errUnknownProcedure = &wire.Error{Name: "UnknownProcedureError", Message: "The server has no such procedure"}

// errMisfit is the answer to calls with data that their handler cannot decode.
var errMisfit = &wire.Error{Name: wire.ErrInvalidArguments.Name, Message: "The data does not have the form that is expected here"}

// misfit is errMisfit with the place where the data does not fit. The place is
// logged, but not sent to the client. The data itself is never shown.
type misfit struct {
	path     string // see wire.Misfit
	expected reflect.Type
}

func (e *misfit) Error() string {
	return fmt.Sprintf("%v: at %q, %v is expected", errMisfit, e.path, e.expected)
}

func (e *misfit) Unwrap() error { return errMisfit }

// publicError returns the error that a client may see: a *wire.Error, even a
// wrapped one, as it is, with its text cut to the limit. All other errors are
// logged and masked. A panic has been logged before. attrs are pairs for the
// log.
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

// mask is publicError without the log. masked reports whether nobody sees the
// error unless it is logged.
func (srv *Server) mask(err error) (public *wire.Error, masked bool) {
	public, masked = guard.Mask(err)
	return srv.cutText(public), masked
}

func (srv *Server) logMasked(err error, attrs ...string) {
	log := append([]slog.Attr{slog.Any("error", err)}, srv.logAttrs(attrs)...)
	srv.log.LogAttrs(context.Background(), slog.LevelError, "error kept from the client", log...)
}

// logFailure logs the error of a receiver. No client sees it, so an error that
// is meant for clients is logged, too.
func (srv *Server) logFailure(err error, receiver string) {
	if e, ok := errors.AsType[*wire.Error](err); ok && e != errMisfit {
		srv.logFault("a receiver has refused data of a client", []string{"receiver", receiver, "error", err.Error()})
		return
	}
	srv.publicError(err, "receiver", receiver)
}

// logFault logs a mistake of a client. Clients determine how often this
// happens.
func (srv *Server) logFault(message string, attrs []string) {
	level := slog.LevelDebug
	if srv.faults.allow(srv.clock(), 1) {
		level = slog.LevelInfo
	}
	srv.log.LogAttrs(context.Background(), level, message, srv.logAttrs(attrs)...)
}

// logAttrs makes attributes of pairs. Their texts may come from the client.
func (srv *Server) logAttrs(pairs []string) (attrs []slog.Attr) {
	for i := 0; i+1 < len(pairs); i += 2 {
		attrs = append(attrs, slog.String(pairs[i], truncate(pairs[i+1], srv.cfg.Limits.ErrorText)))
	}
	return attrs
}

// cutText returns the error with its text cut to Limits.ErrorText.
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

// Errorf makes an error that clients receive as it is. It has a name, by which
// they can distinguish it from others, and a message that is formatted as by
// [fmt.Sprintf]. For all other errors, clients receive an InternalError, and
// the error is logged. [wire.Error.With] adds further fields.
func Errorf(name, format string, args ...any) *wire.Error {
	return &wire.Error{Name: name, Message: fmt.Sprintf(format, args...)}
}

func invalidAction(format string, args ...any) *wire.Error {
	return Errorf(wire.NameInvalidAction, format, args...)
}

func brokerError(format string, args ...any) *wire.Error {
	return Errorf(wire.NameBroker, format, args...)
}

// badConnection is the error of calls that end because the connection is lost.
func badConnection(kind string, code wire.CloseCode, reason, format string, args ...any) *wire.Error {
	return &wire.Error{
		Name:    wire.ErrBadConnection.Name,
		Message: fmt.Sprintf(format, args...),
		Fields:  []wire.Field{{Key: "type", Value: kind}, {Key: "code", Value: int(code)}, {Key: "reason", Value: reason}},
	}
}
