package socketcluster_test

import (
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"go.uber.org/goleak"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/internal/sctest"
	"github.com/socketcluster-go/socketcluster/wire"
)

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

// leaks tells what has come since trackLeaks and is still there.
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
	goleak.VerifyNone(t, l.goroutines)
	eventually(t, "the descriptors are closed", func() bool { return descriptors(t) <= l.descriptors })
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
