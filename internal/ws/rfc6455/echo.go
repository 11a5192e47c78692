package rfc6455

import (
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/socketcluster-go/socketcluster/internal/ws"
	"github.com/socketcluster-go/socketcluster/wire"
)

// patience bounds each wait, in case the server or the client is broken.
const patience = 30 * time.Second

// Echo is a handler that upgrades with package ws, echoes every message,
// compressed if the client has offered that, and replies to every ping. It
// returns when the connection has ended.
var Echo http.Handler = http.HandlerFunc(echo)

func echo(w http.ResponseWriter, r *http.Request) {
	var c *ws.Conn
	write := func(frame []byte) {
		if c.Compressed() {
			frame = ws.Deflate(frame, 1, 0)
		}
		// If the client is gone, the next read fails.
		_ = c.WriteAll(frame, patience)
	}
	seal := func(op ws.Opcode, payload []byte) []byte {
		return ws.Seal(append(ws.NewBuffer(len(payload)), payload...), op)
	}
	c, err := ws.Accept(w, r, ws.Options{
		ReadLimit:    Limit,
		MaxFragments: Fragments,
		Deflate:      true,
		Owner:        ponger(func(p []byte) { write(seal(ws.OpPong, p)) }),
	})
	if err != nil {
		return
	}
	defer c.Close()
	for {
		m, err := c.Read()
		if err != nil {
			goodbye(c, write, err)
			return
		}
		op := ws.OpText
		if m.Binary {
			op = ws.OpBinary
		}
		write(seal(op, m.Data))
		m.Release()
	}
}

// ponger replies to pings.
type ponger func(payload []byte)

// Ping implements ws.Owner.
func (p ponger) Ping(payload []byte) { p(payload) }

// Hold implements ws.Owner.
func (ponger) Hold(int) error { return nil }

// TakeShort implements ws.Owner.
func (ponger) TakeShort([]byte) bool { return false }

// Resume implements ws.Owner. It is not called without a Poller.
func (ponger) Resume() {}

// goodbye ends the connection as its error demands, and waits for the client to
// close it: closing with unread bytes could destroy the close frame.
func goodbye(c *ws.Conn, write func([]byte), err error) {
	var (
		closed *ws.CloseError
		broken *ws.ProtocolError
		code   wire.CloseCode
	)
	switch {
	case errors.As(err, &closed):
		code = closed.Code
	case errors.As(err, &broken):
		code = broken.Code
	default:
		return
	}
	write(ws.CloseFrame(code, ""))
	nc := c.Unwrap()
	if half, ok := nc.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
	_ = nc.SetReadDeadline(time.Now().Add(patience))
	_, _ = io.Copy(io.Discard, struct{ io.Reader }{nc})
}
