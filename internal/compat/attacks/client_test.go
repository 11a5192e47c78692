//go:build linux

package attacks

import (
	"bufio"
	"bytes"
	"compress/flate"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/gobwas/ws"
)

// ioTimeout ends a test in which the server hangs.
const ioTimeout = 20 * time.Second

// client is a connection of an attacker, or of somebody who is honest.
type client struct {
	net.Conn
	in *bufio.Reader
}

var errRefused = errors.New("refused")

// dial upgrades a connection from an address.
func dial(server, from string) (*client, error) { return dialURL(server, from, "/socketcluster/") }

// dialURL is dial with a path and query. The server's address may begin with
// tls:.
func dialURL(server, from, url string) (*client, error) {
	server, secure := strings.CutPrefix(server, "tls:")
	conn, err := net.DialTimeout("tcp", server, ioTimeout)
	if err != nil {
		return nil, err
	}
	// What a client does not read is to wait in the server.
	if err := conn.(*net.TCPConn).SetReadBuffer(4 << 10); err != nil {
		return nil, err
	}
	if secure {
		conn = tls.Client(conn, &tls.Config{InsecureSkipVerify: true}) // it is the test's own
	}
	conn.SetDeadline(time.Now().Add(ioTimeout))
	_, err = fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: victim\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"+
		"Sec-WebSocket-Extensions: permessage-deflate\r\nX-Forwarded-For: %s\r\n\r\n", url, from)
	if err != nil {
		conn.Close()
		return nil, err
	}
	c := &client{conn, bufio.NewReader(conn)}
	resp, err := http.ReadResponse(c.in, nil)
	if err == nil && resp.StatusCode != http.StatusSwitchingProtocols {
		err = fmt.Errorf("%w: %s", errRefused, resp.Status)
		if resp.StatusCode == http.StatusServiceUnavailable && resp.Header.Get("Retry-After") == "" {
			err = fmt.Errorf("503 without Retry-After: %w", err)
		}
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return c, nil
}

// open is dial with the handshake.
func open(server, from string) (*client, error) {
	return openURL(server, from, "/socketcluster/")
}

// openURL is open with a path and query.
func openURL(server, from, url string) (*client, error) {
	c, err := dialURL(server, from, url)
	if err != nil {
		return nil, err
	}
	if _, err = c.Write(text(`{"event":"#handshake","data":{},"cid":1}`)); err == nil {
		_, err = c.answer(1)
	}
	if err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// answer reads up to the answer of a call, and answers pings.
func (c *client) answer(cid int) (string, error) {
	for {
		h, err := ws.ReadHeader(c.in)
		if err != nil {
			return "", err
		}
		if h.Length > 1<<20 {
			return "", fmt.Errorf("a frame of %d bytes", h.Length)
		}
		payload := make([]byte, h.Length)
		if _, err := io.ReadFull(c.in, payload); err != nil {
			return "", err
		}
		switch {
		case h.OpCode == ws.OpClose:
			code, reason := ws.ParseCloseFrameData(payload)
			return "", fmt.Errorf("closed with %d %s", code, reason)
		case h.OpCode == ws.OpText && len(payload) == 0:
			if _, err := c.Write(text("")); err != nil {
				return "", err
			}
		case strings.HasPrefix(string(payload), fmt.Sprintf(`{"rid":%d`, cid)):
			return string(payload), nil
		}
	}
}

func text(message string) []byte { return frame(ws.NewTextFrame([]byte(message))) }

func frame(f ws.Frame) []byte { return ws.MustCompileFrame(ws.MaskFrame(f)) }

// deflated is a compressed message.
func deflated(message string) []byte {
	var out bytes.Buffer
	w, _ := flate.NewWriter(&out, flate.BestCompression)
	_, _ = io.WriteString(w, message)
	_ = w.Flush()
	f := ws.NewTextFrame(bytes.TrimSuffix(out.Bytes(), []byte("\x00\x00\xff\xff")))
	f.Header.Rsv = ws.Rsv(true, false, false)
	return frame(f)
}
