package socketcluster_test

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/internal/sctest"
)

// exampleServer makes a server that logs nothing.
func exampleServer(cfg socketcluster.Config) *socketcluster.Server {
	cfg.Auth.Key = "the key of the examples, 32 bytes"
	cfg.Logger = slog.New(slog.DiscardHandler)
	srv, err := socketcluster.New(cfg)
	if err != nil {
		panic(err)
	}
	return srv
}

// exampleClient shows the messages on the wire. In an application, this is
// socketcluster-client.
type exampleClient struct {
	*sctest.Conn
	stop func() // ends the server that was made for this client
}

// connectExample serves srv until the client is closed, and connects a client
// without a token to it.
func connectExample(srv *socketcluster.Server) *exampleClient { return loginExample(srv, "") }

// loginExample is connectExample with a token.
func loginExample(srv *socketcluster.Server, token string) *exampleClient {
	site := httptest.NewServer(srv)
	c := dialExample(site.URL)
	c.stop = func() {
		srv.Close()
		site.Close()
	}
	c.send(sctest.HandshakeMessage(token))
	c.next()
	return c
}

// dialExample opens a WebSocket.
func dialExample(site string) *exampleClient { return dialExampleWith(site, nil) }

// dialExampleWith is dialExample with headers of the upgrade request.
func dialExampleWith(site string, headers http.Header) *exampleClient {
	conn, err := net.Dial("tcp", strings.TrimPrefix(site, "http://"))
	if err != nil {
		panic(err)
	}
	c, err := sctest.Open(conn, func(r *http.Request) {
		r.URL.Path = socketcluster.DefaultPath
		for name, values := range headers {
			r.Header[name] = values
		}
	})
	if err != nil {
		panic(err)
	}
	return &exampleClient{c, func() {}}
}

func (c *exampleClient) send(text string) {
	if err := c.Send(text); err != nil {
		panic(err)
	}
}

var (
	anyToken = regexp.MustCompile(`eyJ[\w-]+\.[\w-]+\.[\w-]+`)
	anyID    = regexp.MustCompile(`"id":"[\w-]{20}"`)
)

// next answers pings and returns the next other message, without the parts that
// differ from run to run.
func (c *exampleClient) next() string {
	text, err := c.Next()
	var closed wsutil.ClosedError
	switch {
	case errors.As(err, &closed) && closed.Reason != "":
		return fmt.Sprintf("closed with %d: %s", closed.Code, closed.Reason)
	case errors.As(err, &closed):
		return fmt.Sprintf("closed with %d", closed.Code)
	case err != nil:
		panic(err)
	}
	text = anyToken.ReplaceAllString(text, "<token>")
	return anyID.ReplaceAllString(text, `"id":"<id>"`)
}

// close sends a close frame, waits for that of the server, and ends the
// connection.
func (c *exampleClient) close() {
	err := c.SendFrame(ws.NewCloseFrame(ws.NewCloseFrameBody(ws.StatusNormalClosure, "")))
	for err == nil {
		_, err = c.Next()
	}
	c.Close()
	c.stop()
}
