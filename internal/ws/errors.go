package ws

import (
	"errors"
	"fmt"

	"github.com/socketcluster-go/socketcluster/wire"
)

// ErrWriter is the error of Accept for an http.ResponseWriter that cannot hand
// over its connection.
var ErrWriter = errors.New("ws: the connection cannot be taken over")

// CloseError is the close frame that the peer sent. An empty close frame has
// code 1005.
type CloseError struct {
	Code   wire.CloseCode
	Reason string
}

// Error implements error.
func (e *CloseError) Error() string {
	if e.Reason == "" {
		return fmt.Sprintf("ws: closed by the peer with code %d", e.Code)
	}
	return fmt.Sprintf("ws: closed by the peer with code %d: %s", e.Code, e.Reason)
}

// ProtocolError reports how the peer broke RFC 6455 or exceeded a limit. Code
// is the code with which to close the connection: 1002, 1007 or 1009.
type ProtocolError struct {
	Code   wire.CloseCode
	Reason string
}

// Error implements error.
func (e *ProtocolError) Error() string {
	return fmt.Sprintf("ws: protocol error %d: %s", e.Code, e.Reason)
}

// Errors for messages that exceed a limit. The text of ErrTooBig is that of
// TR-8.
var (
	ErrTooBig    = &ProtocolError{wire.CloseTooBig, "Max payload size exceeded"}
	ErrFragments = &ProtocolError{wire.CloseTooBig, "too many fragments in one message"}
	ErrStreams   = &ProtocolError{wire.CloseTooBig, "too many streams in one compressed message"}
)

var (
	errDeflate      = &ProtocolError{wire.CloseInvalidText, "compressed message cannot be decompressed"}
	errInvalidText  = &ProtocolError{wire.CloseInvalidText, "text message is not valid UTF-8"}
	errLengthBit    = &ProtocolError{wire.CloseProtocolError, "highest bit of a 64-bit length is set"}
	errClosePayload = &ProtocolError{wire.CloseProtocolError, "close frame with a payload of one byte"}
	errCloseCode    = &ProtocolError{wire.CloseProtocolError, "close frame with an invalid code"}
	errCloseReason  = &ProtocolError{wire.CloseInvalidText, "close reason is not valid UTF-8"}
)
