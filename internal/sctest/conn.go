package sctest

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
)

// Path is where clients of the current version of the protocol connect.
const Path = "/socketcluster/"

// maxFrame is larger than any frame that a server sends in the tests.
const maxFrame = 16 << 20

// Conn is the client's side of a WebSocket, or a connection that will become
// one.
type Conn struct {
	net.Conn
	In *bufio.Reader // what Conn reads; nobody else may read it
}

// NewConn makes a Conn that has not been upgraded.
func NewConn(conn net.Conn) *Conn { return &Conn{conn, bufio.NewReader(conn)} }

// Open makes a Conn and upgrades it. It closes a connection that the server refuses.
func Open(conn net.Conn, edit func(r *http.Request)) (*Conn, error) {
	c := NewConn(conn)
	resp, err := c.Upgrade(edit)
	if err == nil && resp.StatusCode != http.StatusSwitchingProtocols {
		text, _ := io.ReadAll(resp.Body)
		err = fmt.Errorf("upgrade: %s: %s", resp.Status, strings.TrimSpace(string(text)))
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return c, nil
}

// Upgrade sends an upgrade request, which edit may change first, and returns
// the response, whatever its status.
func (c *Conn) Upgrade(edit func(r *http.Request)) (*http.Response, error) {
	r, err := http.NewRequest(http.MethodGet, "http://server"+Path, nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Connection", "Upgrade")
	r.Header.Set("Upgrade", "websocket")
	r.Header.Set("Sec-WebSocket-Version", "13")
	r.Header.Set("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
	if edit != nil {
		edit(r)
	}
	if err := r.Write(c); err != nil {
		return nil, err
	}
	return http.ReadResponse(c.In, r)
}

// SendFrame masks a frame and sends it by one Write.
func (c *Conn) SendFrame(f ws.Frame) error {
	b, err := ws.CompileFrame(ws.MaskFrame(f))
	if err == nil {
		_, err = c.Write(b)
	}
	return err
}

// Send sends a text message.
func (c *Conn) Send(text string) error { return c.SendFrame(ws.NewTextFrame([]byte(text))) }

// ReadFrame returns the next frame of any kind.
func (c *Conn) ReadFrame() (ws.Frame, error) {
	h, err := ws.ReadHeader(c.In)
	if err != nil {
		return ws.Frame{}, err
	}
	if h.Length > maxFrame {
		return ws.Frame{}, fmt.Errorf("a frame of %d bytes", h.Length)
	}
	payload := make([]byte, h.Length)
	_, err = io.ReadFull(c.In, payload)
	return ws.Frame{Header: h, Payload: payload}, err
}

// Next returns the next message and answers pings before it. It also answers a
// close frame, and returns it as a [wsutil.ClosedError]. A message that is not
// text is an error.
func (c *Conn) Next() (string, error) {
	for {
		f, err := c.ReadFrame()
		switch {
		case err != nil:
			return "", err
		case f.Header.OpCode == ws.OpClose:
			_ = c.SendFrame(ws.NewCloseFrame(f.Payload)) // the server may have gone
			code, reason := ws.ParseCloseFrameData(f.Payload)
			return "", wsutil.ClosedError{Code: code, Reason: reason}
		case f.Header.OpCode != ws.OpText:
			return "", fmt.Errorf("got opcode %d with %q", f.Header.OpCode, f.Payload)
		case len(f.Payload) > 0:
			return string(f.Payload), nil
		}
		_ = c.Send("") // if this fails, the next read fails too
	}
}

// Handshake completes the handshake of the protocol with a token, or without one if
// it is empty, as call 1. It returns the data of the answer.
func (c *Conn) Handshake(token string) (json.RawMessage, error) {
	if err := c.Send(HandshakeMessage(token)); err != nil {
		return nil, err
	}
	text, err := c.Next()
	if err != nil {
		return nil, err
	}
	var answer Packet
	if err := json.Unmarshal([]byte(text), &answer); err != nil || answer.RID != 1 || answer.Error != nil {
		return nil, fmt.Errorf("answer to the handshake: %s", text)
	}
	return answer.Data, nil
}

// HandshakeMessage returns the message that Handshake sends.
func HandshakeMessage(token string) string {
	text := "null"
	if token != "" {
		b, _ := json.Marshal(token)
		text = string(b)
	}
	return `{"event":"#handshake","data":{"authToken":` + text + `},"cid":1}`
}
