package wire

import (
	"strconv"
	"unicode/utf8"
)

// CloseCode is the status code of a WebSocket close.
type CloseCode int

// Codes of the WebSocket protocol.
const (
	CloseNormal           CloseCode = 1000
	CloseGoingAway        CloseCode = 1001
	CloseProtocolError    CloseCode = 1002
	CloseInvalidData      CloseCode = 1003
	CloseNoStatus         CloseCode = 1005 // local only: the close frame was empty
	CloseAbnormal         CloseCode = 1006 // local only: the connection was lost
	CloseInvalidText      CloseCode = 1007
	ClosePolicy           CloseCode = 1008
	CloseTooBig           CloseCode = 1009
	CloseMissingExtension CloseCode = 1010
	CloseInternal         CloseCode = 1011
	CloseTryAgainLater    CloseCode = 1013 // by the server; has no default text
)

// Codes of the SocketCluster protocol.
const (
	ClosePingTimeout       CloseCode = 4000 // by the client: no ping came
	ClosePongTimeout       CloseCode = 4001 // by the server: no pong came
	CloseSignFailed        CloseCode = 4002 // by the server
	CloseHandshakeFailed   CloseCode = 4003 // by the client
	CloseTokenSaveFailed   CloseCode = 4004 // reserved
	CloseHandshakeTimeout  CloseCode = 4005 // by the server
	CloseBrokerFailed      CloseCode = 4006 // reserved
	CloseConnectTimeout    CloseCode = 4007 // by the client
	CloseHandshakeRejected CloseCode = 4008 // by the server
	CloseEarlyMessage      CloseCode = 4009 // by the server
)

// MaxReason is the maximum length of the reason in a close frame, in bytes.
const MaxReason = 123

// Text returns the reason that both sides assume if a close frame has none, or
// "" for a code without a default reason.
func (c CloseCode) Text() string {
	switch c {
	case CloseNormal:
		return "Socket closed normally"
	case CloseGoingAway:
		return "Socket was disconnected"
	case CloseProtocolError:
		return "A WebSocket protocol error was encountered"
	case CloseInvalidData:
		return "Server terminated socket because it received invalid data"
	case CloseNoStatus:
		return "Socket closed without status code"
	case CloseAbnormal:
		return "Socket hung up"
	case CloseInvalidText:
		return "Message format was incorrect"
	case ClosePolicy:
		return "Encountered a policy violation"
	case CloseTooBig:
		return "Message was too big to process"
	case CloseMissingExtension:
		return "Client ended the connection because the server did not comply with extension requirements"
	case CloseInternal:
		return "Server encountered an unexpected fatal condition"
	case ClosePingTimeout:
		return "Server ping timed out"
	case ClosePongTimeout:
		return "Client pong timed out"
	case CloseSignFailed:
		return "Server failed to sign auth token"
	case CloseHandshakeFailed:
		return "Failed to complete handshake"
	case CloseTokenSaveFailed:
		return "Client failed to save auth token"
	case CloseHandshakeTimeout:
		return "Did not receive #handshake from client before timeout"
	case CloseBrokerFailed:
		return "Failed to bind socket to message broker"
	case CloseConnectTimeout:
		return "Client connection establishment timed out"
	case CloseHandshakeRejected:
		return "Server rejected handshake from client"
	case CloseEarlyMessage:
		return "Server received a message before the client handshake"
	}
	return ""
}

// Sendable reports whether a close frame may contain the code.
func (c CloseCode) Sendable() bool {
	switch c {
	case 1004, CloseNoStatus, CloseAbnormal:
		return false
	}
	return 1000 <= c && c <= 1014 || 3000 <= c && c <= 4999
}

// Ignored reports whether the code is an ordinary end, not worth an error.
func (c CloseCode) Ignored() bool {
	return c == CloseNormal || c == CloseGoingAway
}

// NewSocketProtocolError describes an abnormal close. The reason is used only
// for codes without a default text; "" means that there is none. The error has
// the field "code".
func NewSocketProtocolError(code CloseCode, reason string) *Error {
	message := code.Text()
	if message == "" || code == CloseNormal {
		message = "Socket connection closed with status code " + strconv.Itoa(int(code))
		if reason != "" {
			message += " and reason: " + reason
		}
	}
	return &Error{
		Name:    NameSocketProtocol,
		Message: message,
		Fields:  []Field{{"code", int(code)}},
	}
}

// TruncateReason cuts s, between characters, to the length that a close frame
// can hold. Each byte that is not UTF-8 becomes U+FFFD, because otherwise the
// peer would fail the connection.
func TruncateReason(s string) string {
	if len(s) <= MaxReason && utf8.ValidString(s) {
		return s
	}
	cut := make([]byte, 0, MaxReason)
	for _, r := range s {
		if len(cut)+utf8.RuneLen(r) > MaxReason {
			break
		}
		cut = utf8.AppendRune(cut, r)
	}
	return string(cut)
}
