package socketcluster

import (
	"errors"
	"fmt"
	"log/slog"

	"github.com/socketcluster-go/socketcluster/wire"
)

// ErrServerClosed is returned by what needs a running server after
// [Server.Shutdown] or [Server.Close].
var ErrServerClosed = errors.New("socketcluster: server closed")

// errInternal is all that a client gets to know of an error that was not made
// for it.
var errInternal = &wire.Error{Name: "InternalError", Message: "An internal error occurred"}

// errUnknownProcedure answers calls that nobody handles.
var errUnknownProcedure = &wire.Error{Name: "UnknownProcedureError", Message: "The server has no such procedure"}

// publicError returns what a client may see of an error: a *wire.Error, even
// a wrapped one, goes out as it is, with its text cut to the limit; anything
// else is logged and masked. A panic has been logged before.
func (srv *Server) publicError(err error, attrs ...string) *wire.Error {
	var public *wire.Error
	if errors.As(err, &public) && public != nil {
		return srv.cutText(public)
	}
	if errors.As(err, new(*panicError)) {
		return errInternal
	}
	log := []any{slog.Any("error", err)}
	for i := 0; i+1 < len(attrs); i += 2 {
		log = append(log, slog.String(attrs[i], attrs[i+1]))
	}
	srv.log.Error("error kept from the client", log...)
	return errInternal
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

func invalidAction(format string, args ...any) *wire.Error {
	return &wire.Error{Name: wire.ErrInvalidAction.Name, Message: fmt.Sprintf(format, args...)}
}

func brokerError(format string, args ...any) *wire.Error {
	return &wire.Error{Name: wire.ErrBroker.Name, Message: fmt.Sprintf(format, args...)}
}

// badConnection is the error of calls that a lost connection has ended.
func badConnection(kind string, code wire.CloseCode, reason, format string, args ...any) *wire.Error {
	return &wire.Error{
		Name:    wire.ErrBadConnection.Name,
		Message: fmt.Sprintf(format, args...),
		Fields:  []wire.Field{{Key: "type", Value: kind}, {Key: "code", Value: int(code)}, {Key: "reason", Value: reason}},
	}
}
