package client

import (
	"errors"
	"fmt"

	"github.com/socketcluster-go/socketcluster/wire"
)

// Errors of a client. Errors of the server, timeouts and lost connections have a
// name: match them by errors.Is with [wire.ErrTimeout], [wire.ErrBadConnection]
// and the like, and find their fields by errors.As with *[wire.Error].
var (
	// ErrClosed is the error of everything that a client is asked for after
	// Close.
	ErrClosed = errors.New("client: closed")

	// ErrBufferFull is the error of sending while Limits.Buffer bytes wait for a
	// connection.
	ErrBufferFull = errors.New("client: too much waits for a connection (Limits.Buffer)")

	// ErrNoToken is the error of a login that the server has answered without setting a
	// token in time.
	ErrNoToken = errors.New("client: the server has answered the login, and has set no token (#setAuthToken)")

	// ErrUnsubscribed is the error of a subscription that [Client.Unsubscribe]
	// has ended.
	ErrUnsubscribed = errors.New("client: unsubscribed")
)

// badConnection is the error of what ends because the connection is lost
// (CL-16, CL-17). kind is disconnect or connectAbort.
func badConnection(kind string, code wire.CloseCode, reason, event string) *wire.Error {
	if code == 0 {
		code = wire.CloseGoingAway
	}
	if reason == "" && code.Ignored() {
		reason = code.Text()
	}
	return &wire.Error{
		Name:    wire.ErrBadConnection.Name,
		Message: fmt.Sprintf("Event %s was aborted due to a bad connection", event),
		Fields:  []wire.Field{{Key: "type", Value: kind}, {Key: "code", Value: int(code)}, {Key: "reason", Value: reason}},
	}
}
