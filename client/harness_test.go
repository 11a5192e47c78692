package client_test

import (
	"bufio"
	"context"
	"crypto/sha1"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/client"
	"github.com/socketcluster-go/socketcluster/internal/memnet"
	"github.com/socketcluster-go/socketcluster/wire"
)

// serverURL is that of both servers of the tests. The host is never looked up.
const serverURL = "ws://server.test"

// acceptKey is the proof that a server has understood an upgrade request (RFC 6455, section 1.3).
func acceptKey(r *http.Request) string {
	sum := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// patience is the time of a bubble for which a test waits for what must come.
const patience = time.Hour

// fake is a server in memory that does only what a test tells it to, in a synctest
// bubble, so that its time is the test's.
type fake struct {
	t      *testing.T
	listen *memnet.Listener
}

// withFake runs a test with a fake server. synctest fails the test for a goroutine
// that is left.
func withFake(t *testing.T, fn func(t *testing.T, s *fake)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := &fake{t: t, listen: memnet.Listen()}
		defer s.listen.Close()
		fn(t, s)
	})
}

// new makes a client of the server that is not connected. It is closed with the test.
func (s *fake) new(o client.Options) *client.Client {
	s.t.Helper()
	return newClient(s.t, s.listen, o)
}

func newClient(t *testing.T, listen *memnet.Listener, o client.Options) *client.Client {
	t.Helper()
	if o.DialContext == nil {
		o.DialContext = dialer(listen)
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	c, err := client.New(serverURL, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// dialer returns an Options.DialContext.
func dialer(listen *memnet.Listener) func(ctx context.Context, network, addr string) (net.Conn, error) {
	return func(ctx context.Context, _, _ string) (net.Conn, error) { return listen.Dial(ctx) }
}

// raw accepts a connection and reads the upgrade request.
func (s *fake) raw() (net.Conn, *http.Request) {
	s.t.Helper()
	nc, err := s.listen.Accept()
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { nc.Close() })
	r, err := http.ReadRequest(bufio.NewReaderSize(nc, 16)) // a client sends nothing behind it
	if err != nil {
		s.t.Fatal(err)
	}
	return nc, r
}

// accept accepts a connection and upgrades it.
func (s *fake) accept() *peer {
	s.t.Helper()
	nc, r := s.raw()
	p := &peer{t: s.t, Conn: nc, in: bufio.NewReader(nc), request: r}
	p.write("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Accept: " + acceptKey(r) + "\r\n\r\n")
	return p
}

// noToken is the handshake of a client without a token.
const noToken = `{"authToken":null}`

// greet accepts a connection, and answers its handshake. No ping is due for an hour.
// cid is the number of the handshake, data what the client must send with it.
func (s *fake) greet(cid int, data string) *peer {
	s.t.Helper()
	p := s.accept()
	p.want(fmt.Sprintf(`{"event":"#handshake","data":%s,"cid":%d}`, data, cid))
	p.send(fmt.Sprintf(`{"rid":%d,"data":{"id":"id%d","pingTimeout":3600000,"isAuthenticated":%v}}`, cid, cid, data != noToken))
	return p
}

// connect makes a client that is connected.
func (s *fake) connect(o client.Options) (*client.Client, *peer) {
	s.t.Helper()
	c := s.new(o)
	return c, s.connectTo(c)
}

// connectTo connects a client for the first time.
func (s *fake) connectTo(c *client.Client) *peer {
	s.t.Helper()
	connected := connecting(c)
	p := s.greet(1, noToken)
	if err := <-connected; err != nil {
		s.t.Fatal(err)
	}
	return p
}

// connecting calls Connect in the background.
func connecting(c *client.Client) <-chan error {
	done := make(chan error, 1)
	go func() { done <- c.Connect(context.Background()) }()
	return done
}

// peer is the server's end of a connection.
type peer struct {
	net.Conn
	t       *testing.T
	in      *bufio.Reader
	request *http.Request
}

func (p *peer) write(bytes string) {
	p.t.Helper()
	if _, err := io.WriteString(p.Conn, bytes); err != nil {
		p.t.Fatalf("server: %v", err)
	}
}

// frames returns text frames of these messages.
func frames(texts ...string) string {
	var all strings.Builder
	for _, text := range texts {
		all.Write(ws.MustCompileFrame(ws.NewTextFrame([]byte(text))))
	}
	return all.String()
}

// closing returns a close frame.
func closing(code int, reason string) string {
	return string(ws.MustCompileFrame(ws.NewCloseFrame(ws.NewCloseFrameBody(ws.StatusCode(code), reason))))
}

// send sends messages, all in one segment.
func (p *peer) send(texts ...string) {
	p.t.Helper()
	p.write(frames(texts...))
}

// frame returns the next frame of the client, unmasked.
func (p *peer) frame() (ws.Frame, error) {
	p.t.Helper()
	if err := p.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return ws.Frame{}, err
	}
	return readFrame(p.t, p.in)
}

// readFrame reads a frame of a client, and unmasks it.
func readFrame(t *testing.T, r io.Reader) (f ws.Frame, err error) {
	t.Helper()
	if f.Header, err = ws.ReadHeader(r); err != nil {
		return f, err
	}
	if !f.Header.Masked {
		t.Errorf("a frame of the client is not masked")
	}
	f.Payload = make([]byte, f.Header.Length)
	if _, err := io.ReadFull(r, f.Payload); err != nil {
		return f, err
	}
	return ws.UnmaskFrameInPlace(f), nil
}

// next returns the next message of the client.
func (p *peer) next() string {
	p.t.Helper()
	f, err := p.frame()
	if err != nil {
		p.t.Fatalf("server: waiting for a message: %v", err)
	}
	if f.Header.OpCode != ws.OpText {
		p.t.Fatalf("server: got opcode %d with %q", f.Header.OpCode, f.Payload)
	}
	return string(f.Payload)
}

// want checks the next messages of the client.
func (p *peer) want(texts ...string) {
	p.t.Helper()
	for _, text := range texts {
		if got := p.next(); got != text {
			p.t.Fatalf("the client sent\ngot  %s\nwant %s", got, text)
		}
	}
}

// quiet checks that the client has sent nothing more.
func (p *peer) quiet() {
	p.t.Helper()
	synctest.Wait()
	if err := p.SetReadDeadline(time.Now().Add(time.Millisecond)); err != nil {
		p.t.Fatal(err)
	}
	if b, err := p.in.ReadByte(); err == nil {
		p.in.UnreadByte()
		p.t.Fatalf("the client sent %#x: %s", b, p.next())
	}
}

// wantClose checks the close frame of the client, answers it, and ends the connection.
func (p *peer) wantClose(code int, reason string) {
	p.t.Helper()
	f, err := p.frame()
	if err != nil || f.Header.OpCode != ws.OpClose {
		p.t.Fatalf("waiting for close %d: opcode %d, %q, %v", code, f.Header.OpCode, f.Payload, err)
	}
	if got, text := ws.ParseCloseFrameData(f.Payload); int(got) != code || text != reason {
		p.t.Fatalf("closed with %d %q, want %d %q", got, text, code, reason)
	}
	_, _ = p.Write(ws.MustCompileFrame(ws.NewCloseFrame(f.Payload))) // the client may be gone
	p.Close()
}

// recorder notes events by their JavaScript names, with what they have to say.
type recorder struct {
	t      *testing.T
	mu     sync.Mutex
	events []string
}

func (r *recorder) note(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, fmt.Sprintf(format, args...))
}

// take returns what has been noted so far, and forgets it.
func (r *recorder) take() []string {
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	all := r.events
	r.events = nil
	return all
}

func (r *recorder) want(events ...string) {
	r.t.Helper()
	if got := r.take(); !slices.Equal(got, events) {
		r.t.Errorf("events\ngot  %s\nwant %s", strings.Join(got, "\n     "), strings.Join(events, "\n     "))
	}
}

// record notes all events of a client but message. It is the list of CL-33.
func record(t *testing.T, c *client.Client) *recorder {
	r := &recorder{t: t}
	client.On(c, func(e client.ConnectingEvent) { r.note("connecting") })
	client.On(c, func(e client.ConnectEvent) { r.note("connect %s", e.ID) })
	client.On(c, func(e client.ConnectAbortEvent) { r.note("connectAbort %d %s", e.Code, e.Reason) })
	client.On(c, func(e client.DisconnectEvent) { r.note("disconnect %d %s", e.Code, e.Reason) })
	client.On(c, func(e client.CloseEvent) { r.note("close %d %s", e.Code, e.Reason) })
	client.On(c, func(e client.ErrorEvent) { r.note("error %v", e.Err) })
	client.On(c, func(e client.RawEvent) { r.note("raw %q", e.Data) })
	client.On(c, func(e client.SubscribeEvent) { r.note("subscribe %s", e.Channel) })
	client.On(c, func(e client.SubscribeFailEvent) { r.note("subscribeFail %s %v", e.Channel, e.Err) })
	client.On(c, func(e client.SubscribeRequestEvent) { r.note("subscribeRequest %s", e.Channel) })
	client.On(c, func(e client.UnsubscribeEvent) { r.note("unsubscribe %s", e.Channel) })
	client.On(c, func(e client.SubscribeStateChangeEvent) {
		r.note("subscribeStateChange %s %v %v", e.Channel, e.OldChannelState, e.NewChannelState)
	})
	client.On(c, func(e client.KickOutEvent) { r.note("kickOut %s %s", e.Channel, e.Message) })
	client.On(c, func(e client.AuthenticateEvent) { r.note("authenticate %s", e.SignedAuthToken) })
	client.On(c, func(e client.DeauthenticateEvent) { r.note("deauthenticate %s", e.OldSignedAuthToken) })
	client.On(c, func(e client.AuthStateChangeEvent) {
		r.note("authStateChange %v %v %s", e.OldAuthState, e.NewAuthState, e.SignedAuthToken)
	})
	client.On(c, func(e client.RemoveAuthTokenEvent) { r.note("removeAuthToken %s", e.OldSignedAuthToken) })
	return r
}

// testKey is long enough to be no weak key.
const testKey = "test-key-0123456789-0123456789-01"

// real is a server of this module in memory, in a synctest bubble.
type real struct {
	*socketcluster.Server
	t      *testing.T
	listen *memnet.Listener
}

// withServer runs a test with a server.
func withServer(t *testing.T, cfg socketcluster.Config, fn func(t *testing.T, s *real)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		cfg.Auth.Key = testKey
		if cfg.Logger == nil {
			cfg.Logger = slog.New(slog.DiscardHandler)
		}
		srv, err := socketcluster.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		srv.Handle("login", socketcluster.Proc(func(ctx context.Context, name string) error {
			return socketcluster.FromContext(ctx).SetAuthToken(ctx, map[string]string{"username": name})
		}))
		srv.Handle("echo", socketcluster.Func(func(_ context.Context, in json.RawMessage) (json.RawMessage, error) { return in, nil }))
		listen := memnet.Listen()
		web := &http.Server{Handler: srv, ErrorLog: slog.NewLogLogger(cfg.Logger.Handler(), slog.LevelError)}
		go web.Serve(listen)
		t.Cleanup(func() { // after those of the clients
			srv.Close()
			web.Close()
			listen.Close()
		})
		fn(t, &real{srv, t, listen})
	})
}

// new makes a client that is not connected, and is closed with the test.
func (s *real) new(o client.Options) *client.Client {
	s.t.Helper()
	return newClient(s.t, s.listen, o)
}

// connect makes a client that is connected.
func (s *real) connect(o client.Options) *client.Client {
	s.t.Helper()
	c := s.new(o)
	if err := c.Connect(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
	return c
}

// tokenOf returns a token that a fake server may set: nobody verifies it.
func tokenOf(t *testing.T, name string) string {
	t.Helper()
	engine, err := auth.NewJWT(auth.Options{Key: testKey})
	if err != nil {
		t.Fatal(err)
	}
	token, err := engine.Sign(t.Context(), map[string]string{"username": name})
	if err != nil {
		t.Fatal(err)
	}
	return token.Signed()
}

// wantError checks that an error is a wire.Error that looks like this.
func wantError(t *testing.T, err error, text string) *wire.Error {
	t.Helper()
	e, ok := errors.AsType[*wire.Error](err)
	if !ok || err.Error() != text {
		t.Errorf("error\ngot  %v\nwant %s", err, text)
	}
	return e
}

// calling calls a procedure in the background.
func calling(c *client.Client, procedure string, data any) <-chan error {
	done := make(chan error, 1)
	go func() {
		_, err := c.Invoke(context.Background(), procedure, data)
		done <- err
	}()
	synctest.Wait()
	return done
}
