package ws

import (
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"
)

// Options of an accepted connection.
type Options struct {
	// ReadLimit is the maximum size of a message in bytes; zero means
	// DefaultReadLimit. It bounds the memory that one connection can make the
	// server use.
	ReadLimit int64
	// MaxFragments is the maximum number of frames of a message; zero means
	// 4096. It bounds the work that a message of empty fragments causes.
	MaxFragments int
	// Subprotocol is announced if the client offered it.
	Subprotocol string
	// Deflate accepts permessage-deflate (RFC 7692) from clients that offer it.
	Deflate bool
	// Owner, if set, is told of what Read does not return.
	Owner Owner
	// Poller, if set, waits in place of Park for connections that can be
	// polled. It needs an Owner.
	Poller *Poller
	// Header is added to the 101 response, except for the headers of the
	// upgrade itself.
	Header http.Header
}

// Owner is told of what happens on a connection. One value has all of it, so
// that a connection needs no function value of its own for each.
type Owner interface {
	// Ping is called by Read with the payload of each ping, a copy. Reading
	// continues when it returns, so answering a flood of pings may delay
	// reading.
	Ping(payload []byte)
	// Hold is called by Read when the connection holds n more bytes of a
	// message while it waits for the rest, or fewer if n is negative. An error
	// ends the connection; nothing is then held.
	Hold(n int) error
	// TakeShort is called on the goroutine of a Poller with a text message of at most 8
	// bytes, in one frame, that has come alone. It must not block. If it returns
	// false, Read returns the message; otherwise nothing more is done with it.
	TakeShort(text []byte) bool
	// Resume is called on a goroutine of its own when the wait of a Poller is
	// over, which has begun with Park.
	Resume()
}

// upgradeTimeout is the time within which a peer must accept the 101 response.
const upgradeTimeout = 10 * time.Second

// acceptGUID is the constant of RFC 6455, section 1.3.
const acceptGUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

// ownHeaders are set by the upgrade, or must not be in its response.
var ownHeaders = map[string]bool{
	"Connection":               true,
	"Upgrade":                  true,
	"Content-Length":           true,
	"Transfer-Encoding":        true,
	"Sec-Websocket-Accept":     true,
	"Sec-Websocket-Extensions": true,
	"Sec-Websocket-Protocol":   true,
}

// Accept upgrades a request that has passed [CheckRequest]. The connection
// keeps neither r nor w nor any buffer of net/http, but it keeps the bytes that
// the peer sent before the response. The handler should return soon afterwards
// and leave reading to another goroutine, so that net/http's memory is released
// too.
//
// If Accept fails, the response has been written or the connection is gone: w
// must not be used any more. The error is a *Refusal if the extensions cannot
// be parsed, and ErrWriter if w cannot hand over its connection.
func Accept(w http.ResponseWriter, r *http.Request, o Options) (*Conn, error) {
	var extensions string
	if o.Deflate {
		var ok bool
		if extensions, ok = negotiateDeflate(r.Header); !ok {
			refusal := &Refusal{Status: http.StatusBadRequest, Text: "Invalid or unacceptable Sec-WebSocket-Extensions header"}
			refusal.WriteTo(w)
			return nil, refusal
		}
	}
	nc, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		if errors.Is(err, http.ErrHijacked) {
			return nil, fmt.Errorf("ws: taking over the connection: %w", err)
		}
		(&Refusal{Status: http.StatusInternalServerError, Text: "Internal Server Error"}).WriteTo(w)
		return nil, fmt.Errorf("%w: %w", ErrWriter, err)
	}
	// Peek cannot fail for buffered bytes.
	ahead, _ := rw.Reader.Peek(rw.Reader.Buffered())
	c := newConn(nc, bytes.Clone(ahead), o)
	c.deflate = extensions != ""
	limitUnsent(nc)
	if err := c.WriteAll(upgradeResponse(r, o, extensions), upgradeTimeout); err != nil {
		_ = c.Close()
		return nil, fmt.Errorf("ws: answering the upgrade: %w", err)
	}
	// The server may have set deadlines for the request.
	if err := nc.SetDeadline(time.Time{}); err != nil {
		_ = c.Close()
		return nil, fmt.Errorf("ws: clearing deadlines: %w", err)
	}
	return c, nil
}

// upgradeResponse returns the 101 response to a checked request.
func upgradeResponse(r *http.Request, o Options, extensions string) []byte {
	b := append(make([]byte, 0, 256), "HTTP/1.1 101 Switching Protocols\r\n"+
		"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "...)
	b = append(b, acceptKey(r.Header.Get("Sec-WebSocket-Key"))...)
	b = append(b, "\r\n"...)
	if o.Subprotocol != "" && slices.Contains(Subprotocols(r), o.Subprotocol) {
		b = append(b, "Sec-WebSocket-Protocol: "+o.Subprotocol+"\r\n"...)
	}
	if extensions != "" {
		b = append(b, "Sec-WebSocket-Extensions: "+extensions+"\r\n"...)
	}
	if o.Header != nil {
		// Writing to a bytes.Buffer cannot fail; line breaks in values are replaced.
		more := bytes.NewBuffer(b)
		_ = o.Header.WriteSubset(more, ownHeaders)
		b = more.Bytes()
	}
	return append(b, "\r\n"...)
}

// acceptKey proves that the request was understood.
func acceptKey(key string) string {
	b := make([]byte, 0, 64) // on the stack: keys have 24 characters
	sum := sha1.Sum(append(append(b, key...), acceptGUID...))
	return base64.StdEncoding.EncodeToString(sum[:])
}
