package rfc6455

import (
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/socketcluster-go/socketcluster/internal/ws"
	"github.com/socketcluster-go/socketcluster/wire"
)

// patience bounds what a broken server or client could wait for.
const patience = 30 * time.Second

// Echo is a handler that upgrades with package ws and answers every message
// with itself, compressed if the client has offered that, and every ping. It
// returns when the connection has ended.
var Echo http.Handler = http.HandlerFunc(echo)

func echo(w http.ResponseWriter, r *http.Request) {
	var c *ws.Conn
	write := func(frame []byte) {
		if c.Compressed() {
			frame = ws.Deflate(frame, 1, 0)
		}
		// A client that is gone shows when the next message is read.
		_ = c.WriteAll(frame, patience)
	}
	seal := func(op ws.Opcode, payload []byte) []byte {
		return ws.Seal(append(ws.NewBuffer(len(payload)), payload...), op)
	}
	c, err := ws.Accept(w, r, ws.Options{
		ReadLimit:    Limit,
		MaxFragments: Fragments,
		Deflate:      true,
		OnPing:       func(p []byte) { write(seal(ws.OpPong, p)) },
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

// goodbye ends the connection as its error asks for, and waits for the client
// to hang up: closing with bytes unread could take the close frame away.
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
