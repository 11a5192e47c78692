package socketcluster_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"
	"go.uber.org/goleak"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/internal/memnet"
	"github.com/socketcluster-go/socketcluster/internal/sctest"
	"github.com/socketcluster-go/socketcluster/wire"
)

// testKey is long enough to be no weak key.
const testKey = "test-key-0123456789-0123456789-01"

// world is a server in memory inside a synctest bubble, so that its time is
// the test's.
type world struct {
	t      *testing.T
	srv    *socketcluster.Server
	listen *memnet.Listener
	web    *http.Server
	logs   *bytes.Buffer
}

// inBubble runs a test with a server. Everything has ended when it returns;
// synctest fails the test for a goroutine that is left.
func inBubble(t *testing.T, cfg socketcluster.Config, fn func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, listen: memnet.Listen(), logs: new(bytes.Buffer)}
		if cfg.Auth.Key == "" && cfg.Auth.PrivateKey == nil && cfg.AuthEngine == nil {
			cfg.Auth.Key = testKey
		}
		if cfg.Logger == nil {
			cfg.Logger = slog.New(slog.NewTextHandler(w.logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
		}
		srv, err := socketcluster.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		w.srv = srv
		w.web = &http.Server{Handler: srv, ErrorLog: slog.NewLogLogger(cfg.Logger.Handler(), slog.LevelError)}
		go w.web.Serve(w.listen)
		defer func() { // also when fn ends the test
			srv.Close()
			w.web.Close()
			synctest.Wait()
			// Whatever a test does, nothing stays counted.
			if st := srv.Stats(); st.BudgetUsed != 0 || st.Connections != 0 || st.Pending != 0 {
				t.Errorf("after the end: %d bytes of the budget, %d connections, %d pending", st.BudgetUsed, st.Connections, st.Pending)
			}
		}()
		fn(w)
	})
}

// peer is the client of a test.
type peer struct {
	*sctest.Client
	t *testing.T
}

func newPeer(t *testing.T, conn *sctest.Conn) *peer { return &peer{sctest.New(t, conn), t} }

// upgrade sends an upgrade request and returns the connection and response.
func (w *world) upgrade(edit func(r *http.Request)) (*peer, *http.Response) {
	w.t.Helper()
	conn, err := w.listen.Dial(context.Background())
	if err != nil {
		w.t.Fatal(err)
	}
	p := newPeer(w.t, sctest.NewConn(conn))
	resp, err := p.Upgrade(edit)
	if err != nil {
		w.t.Fatal(err)
	}
	return p, resp
}

// dial opens a WebSocket without a handshake.
func (w *world) dial() *peer {
	w.t.Helper()
	p, resp := w.upgrade(nil)
	if resp.StatusCode != http.StatusSwitchingProtocols {
		w.t.Fatalf("upgrade: %s", resp.Status)
	}
	return p
}

// connect opens a WebSocket and completes the handshake. token is the JSON of
// the token. It returns the status that the server has answered with.
func (w *world) connect(token string) (*peer, map[string]any) {
	w.t.Helper()
	p := w.dial()
	p.send(fmt.Sprintf(`{"event":"#handshake","data":{"authToken":%s},"cid":1}`, token))
	var answer struct {
		RID  int            `json:"rid"`
		Data map[string]any `json:"data"`
	}
	text := p.next()
	if err := json.Unmarshal([]byte(text), &answer); err != nil || answer.RID != 1 || answer.Data == nil {
		w.t.Fatalf("answer to the handshake: %s", text)
	}
	synctest.Wait() // until the server has emitted the events that follow the answer
	return p, answer.Data
}

// client is connect without a token.
func (w *world) client() *peer {
	w.t.Helper()
	p, _ := w.connect("null")
	return p
}

// login is connect with a token of these claims.
func (w *world) login(claims any) *peer {
	w.t.Helper()
	token, err := w.srv.Auth().Sign(context.Background(), claims)
	if err != nil {
		w.t.Fatal(err)
	}
	p, status := w.connect(quote(token.Signed()))
	if status["isAuthenticated"] != true {
		w.t.Fatalf("not authenticated: %v", status)
	}
	return p
}

func quote(s string) string {
	b, _ := json.Marshal(s)
	return string(b)
}

func (p *peer) send(text string) { p.sendFrame(ws.NewTextFrame([]byte(text))) }

func (p *peer) sendBinary(data string) { p.sendFrame(ws.NewBinaryFrame([]byte(data))) }

func (p *peer) sendFrame(f ws.Frame) {
	p.t.Helper()
	if err := p.SendFrame(f); err != nil {
		p.t.Fatalf("send: %v", err)
	}
}

// trySend is send for a connection that may have ended.
func (p *peer) trySend(text string) error { return p.Conn.Send(text) }

// nextFrame returns the next frame of any kind.
func (p *peer) nextFrame() (ws.Frame, error) {
	p.SetReadDeadline(time.Now().Add(sctest.Patience))
	return p.ReadFrame()
}

func (p *peer) next() string { p.t.Helper(); return p.Next() }

func (p *peer) want(texts ...string) { p.t.Helper(); p.Want(texts...) }

func (p *peer) quiet(d time.Duration) { p.t.Helper(); p.Quiet(d) }

func (p *peer) wantClose(code int, reason string) { p.t.Helper(); p.WantClose(code, reason) }

// only returns the one socket of the server.
func (w *world) only() *socketcluster.Socket {
	w.t.Helper()
	synctest.Wait()
	var all []*socketcluster.Socket
	for s := range w.srv.Clients() {
		all = append(all, s)
	}
	if len(all) != 1 {
		w.t.Fatalf("%d clients, want 1", len(all))
	}
	return all[0]
}

// recorder notes the names of socket events in their order. The message event
// is left out.
type recorder struct {
	t      *testing.T
	mu     sync.Mutex
	events []string
}

func (r *recorder) note(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, name)
}

// take returns what has been noted so far and forgets it.
func (r *recorder) take() string {
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	all := strings.Join(r.events, " ")
	r.events = nil
	return all
}

func (r *recorder) want(events string) {
	r.t.Helper()
	if got := r.take(); got != events {
		r.t.Errorf("events\ngot  %s\nwant %s", got, events)
	}
}

// record notes the events of all sockets to come, by their JavaScript names.
func (w *world) record() *recorder {
	r := &recorder{t: w.t}
	socketcluster.On(w.srv, func(e socketcluster.HandshakeEvent) {
		s := e.Socket
		noteAll[socketcluster.ConnectEvent](r, s, "connect")
		noteAll[socketcluster.ConnectAbortEvent](r, s, "connectAbort")
		noteAll[socketcluster.DisconnectEvent](r, s, "disconnect")
		noteAll[socketcluster.CloseEvent](r, s, "close")
		noteAll[socketcluster.EndEvent](r, s, "end")
		noteAll[socketcluster.ErrorEvent](r, s, "error")
		noteAll[socketcluster.RawEvent](r, s, "raw")
		noteAll[socketcluster.SubscribeEvent](r, s, "subscribe")
		noteAll[socketcluster.UnsubscribeEvent](r, s, "unsubscribe")
		noteAll[socketcluster.AuthenticateEvent](r, s, "authenticate")
		noteAll[socketcluster.DeauthenticateEvent](r, s, "deauthenticate")
		noteAll[socketcluster.AuthStateChangeEvent](r, s, "authStateChange")
		noteAll[socketcluster.BadAuthTokenEvent](r, s, "badAuthToken")
		noteAll[socketcluster.AuthTokenSignedEvent](r, s, "authTokenSigned")
	})
	return r
}

func noteAll[E socketcluster.Event](r *recorder, s *socketcluster.Socket, name string) {
	socketcluster.On(s, func(E) { r.note(name) })
}

// site is a server on a port of the machine.
type site struct {
	*socketcluster.Server
	web  *httptest.Server
	addr string

	begun, ended atomic.Int64        // sockets, by their events
	codes        chan wire.CloseCode // of those that have closed
}

func startSite(t *testing.T, cfg socketcluster.Config) *site {
	t.Helper()
	cfg.Auth.Key, cfg.Logger = testKey, slog.New(slog.DiscardHandler)
	srv, err := socketcluster.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	s := &site{Server: srv, web: httptest.NewServer(srv), codes: make(chan wire.CloseCode, 1000)}
	s.addr = s.web.Listener.Addr().String()
	socketcluster.On(srv, func(e socketcluster.HandshakeEvent) {
		s.begun.Add(1)
		socketcluster.On(e.Socket, func(socketcluster.EndEvent) { s.ended.Add(1) })
	})
	socketcluster.On(srv, func(e socketcluster.CloseEvent) { s.codes <- e.Code })
	return s
}

// settled checks that nothing is left of clients that have gone, and that others
// are served.
func (s *site) settled(t *testing.T) {
	t.Helper()
	eventually(t, "nothing is left on the server", func() bool {
		st := s.Stats()
		return st.Connections == 0 && st.Pending == 0 && st.BudgetUsed == 0 && s.begun.Load() == s.ended.Load()
	})
	if err := churn(s.addr, 2); err != nil {
		t.Error(err)
	}
}

func (s *site) close(t *testing.T) {
	t.Helper()
	s.web.Close()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// caller is a client over TCP, which may be at fault.
type caller struct {
	*sctest.Conn
	tcp *net.TCPConn
}

// dialTCP connects to a server.
func dialTCP(addr string) (caller, error) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return caller{}, err
	}
	conn.SetDeadline(time.Now().Add(hangLimit))
	return caller{sctest.NewConn(conn), conn.(*net.TCPConn)}, nil
}

func (c caller) upgrade() error {
	resp, err := c.Upgrade(nil)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		return fmt.Errorf("upgrade: %v %v", resp, err)
	}
	return nil
}

// leave sends a close frame.
func (c caller) leave() error {
	return c.SendFrame(ws.NewCloseFrame(ws.NewCloseFrameBody(1000, "")))
}

// handshake upgrades the connection and completes the handshake.
func (c caller) handshake() error {
	if err := c.upgrade(); err != nil {
		return err
	}
	if err := c.Send(`{"event":"#handshake","cid":1}`); err != nil {
		return err
	}
	return c.skip(ws.OpText)
}

// skip reads a frame, which must be of a kind.
func (c caller) skip(op ws.OpCode) error {
	f, err := c.ReadFrame()
	if err == nil && f.Header.OpCode != op {
		err = fmt.Errorf("got opcode %d with %q, want opcode %d", f.Header.OpCode, f.Payload, op)
	}
	return err
}

// reset ends the connection abruptly: the server gets an RST.
func (c caller) reset() error {
	if err := c.tcp.SetLinger(0); err != nil {
		return err
	}
	return c.Close()
}

// leaks lists goroutines that have started since trackLeaks and are still
// running.
type leaks struct {
	goroutines  goleak.Option
	descriptors int
}

func trackLeaks(t *testing.T) leaks {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0") // the runtime has descriptors of its own from then on
	if err != nil {
		t.Fatal(err)
	}
	listener.Close()
	return leaks{goleak.IgnoreCurrent(), descriptors(t)}
}

// check waits for what is about to end.
func (l leaks) check(t *testing.T) {
	t.Helper()
	endOfGoroutines(t, l.goroutines)
	eventually(t, "the descriptors are closed", func() bool { return descriptors(t) <= l.descriptors })
}

// endOfGoroutines waits until no goroutines are left but those of options. goleak
// itself waits for a second or so, which a loaded machine may take.
func endOfGoroutines(t *testing.T, options ...goleak.Option) {
	t.Helper()
	var left error
	for began := time.Now(); time.Since(began) < hangLimit; {
		if left = goleak.Find(options...); left == nil {
			return
		}
	}
	t.Error(left)
}

// descriptors counts those of this process.
func descriptors(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/dev/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

// heapInUse is how much of the heap is reachable.
func heapInUse() int {
	runtime.GC()
	runtime.GC() // what pools have kept of the first
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

// hangLimit is how long a test waits on the wall clock for what must come, far
// longer than a loaded machine needs.
const hangLimit = 30 * time.Second

// eventually waits for what real connections do.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	for began := time.Now(); !done(); time.Sleep(time.Millisecond) {
		if time.Since(began) > hangLimit {
			t.Fatalf("waited in vain until %s", what)
		}
	}
}
