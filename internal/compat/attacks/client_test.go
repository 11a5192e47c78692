//go:build linux

package attacks

import (
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

	"github.com/socketcluster-go/socketcluster/internal/sctest"
)

// ioTimeout ends a test in which the server hangs.
const ioTimeout = time.Minute

// client is a connection of an attacker, or of somebody who is honest.
type client struct{ *sctest.Conn }

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
	c := &client{sctest.NewConn(conn)}
	resp, err := c.Upgrade(func(r *http.Request) {
		r.URL.Path, r.URL.RawQuery, _ = strings.Cut(url, "?")
		r.Header.Set("Sec-WebSocket-Extensions", "permessage-deflate")
		r.Header.Set("X-Forwarded-For", from)
	})
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
	_, err = c.Handshake("")
	if err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// answer reads up to the answer of a call, and answers pings.
func (c *client) answer(cid int) (string, error) {
	for {
		message, err := c.Next()
		if err != nil || strings.HasPrefix(message, fmt.Sprintf(`{"rid":%d`, cid)) {
			return message, err
		}
	}
}

func text(message string) []byte { return frame(ws.NewTextFrame([]byte(message))) }

func frame(f ws.Frame) []byte { return ws.MustCompileFrame(ws.MaskFrame(f)) }

// deflated is a compressed message.
func deflated(message string) []byte { return repeatDeflated(message, 1) }

// repeatDeflated is a compressed message that repeats a text. The text is compressed
// once: what Flush has written refers to nothing in front of it.
func repeatDeflated(text string, times int) []byte {
	var out bytes.Buffer
	w, _ := flate.NewWriter(&out, flate.BestCompression)
	_, _ = io.WriteString(w, text)
	_ = w.Flush()
	f := ws.NewTextFrame(bytes.TrimSuffix(bytes.Repeat(out.Bytes(), times), []byte("\x00\x00\xff\xff")))
	f.Header.Rsv = ws.Rsv(true, false, false)
	return frame(f)
}
