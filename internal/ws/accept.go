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
	// ReadLimit is how many bytes a message may have; zero means
	// DefaultReadLimit. It bounds what one connection can make the server hold.
	ReadLimit int64
	// MaxFragments is how many frames a message may have; zero means 4096. It
	// bounds the work that a message of empty fragments costs.
	MaxFragments int
	// Subprotocol is announced if the client offered it.
	Subprotocol string
	// Deflate accepts permessage-deflate (RFC 7692) from clients that offer it.
	Deflate bool
	// OnPing is called by Read with the payload of each ping, a copy. Reading
	// goes on when it returns: answering a flood of pings may hold it up.
	OnPing func(payload []byte)
	// OnHold is called by Read when a message makes the connection hold n
	// bytes more while it waits for the rest, or fewer if n is negative. An
	// error ends the connection; nothing is held then.
	OnHold func(n int) error
	// Poller, if there is one, does the waiting of Park for connections that can be
	// polled, and Resume is called when that is over.
	Poller *Poller
	Resume func()
	// Header is added to the 101 response, except for the headers of the
	// upgrade itself.
	Header http.Header
}

// upgradeTimeout is how long a peer may take to accept the 101 response.
const upgradeTimeout = 10 * time.Second

// acceptGUID is the constant of RFC 6455, section 1.3.
const acceptGUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

// ownHeaders are set by the upgrade or have no place in its answer.
var ownHeaders = map[string]bool{
	"Connection":               true,
	"Upgrade":                  true,
	"Content-Length":           true,
	"Transfer-Encoding":        true,
	"Sec-Websocket-Accept":     true,
	"Sec-Websocket-Extensions": true,
	"Sec-Websocket-Protocol":   true,
}

// Accept upgrades a request that has passed [CheckRequest]. The connection keeps neither r nor w nor any
// buffer of net/http; what the peer sent ahead of the answer is kept. The
// handler should return soon afterwards and leave reading to another
// goroutine, so that net/http's memory goes too.
//
// When Accept fails, the request has been answered or the connection is gone:
// w is not to be used any more. Extensions that cannot be read give a *Refusal, and
// a w that does not let go of its connection ErrWriter.
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
	// Peek cannot fail for what is buffered.
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
	var b bytes.Buffer
	b.WriteString("HTTP/1.1 101 Switching Protocols\r\n" +
		"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ")
	b.WriteString(acceptKey(r.Header.Get("Sec-WebSocket-Key")))
	b.WriteString("\r\n")
	if o.Subprotocol != "" && slices.Contains(Subprotocols(r), o.Subprotocol) {
		b.WriteString("Sec-WebSocket-Protocol: " + o.Subprotocol + "\r\n")
	}
	if extensions != "" {
		b.WriteString("Sec-WebSocket-Extensions: " + extensions + "\r\n")
	}
	// Writing to a bytes.Buffer cannot fail; line breaks in values are replaced.
	_ = o.Header.WriteSubset(&b, ownHeaders)
	b.WriteString("\r\n")
	return b.Bytes()
}

// acceptKey proves that the request was understood.
func acceptKey(key string) string {
	sum := sha1.Sum([]byte(key + acceptGUID))
	return base64.StdEncoding.EncodeToString(sum[:])
}
