package ws

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// polledReader reads as a server does: with a goroutine while there is
// something to read.
type polledReader struct {
	c        *Conn
	messages chan string
	ended    chan error
}

func (r *polledReader) run() {
	for {
		if r.c.Park(false) {
			return
		}
		m, err := r.c.Read()
		if err != nil {
			r.ended <- err
			return
		}
		r.messages <- string(m.Data)
		m.Release()
	}
}

func newPoller(t testing.TB) *Poller {
	t.Helper()
	p := NewPoller(slog.New(slog.DiscardHandler))
	if !p.ready() {
		t.Fatal("not started")
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, c := range p.conns {
			if c != nil {
				t.Error("a connection that has been closed is still known")
			}
		}
	})
	return p
}

// connectPolled starts a reader on the connection.
func connectPolled(t testing.TB, p *Poller, l net.Listener) (halfCloser, *polledReader) {
	t.Helper()
	r := &polledReader{messages: make(chan string, 100), ended: make(chan error, 2)}
	client, c := connectThrough(t, l, Options{Poller: p, Owner: owner{resume: r.run}})
	r.c = c
	go r.run()
	return client, r
}

func listenTCP(t testing.TB) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// awaitParked returns when the reader has gone.
func (r *polledReader) awaitParked() {
	for r.c.park.state.Load() != parked {
		time.Sleep(time.Microsecond)
	}
}

func awaitGoroutines(t testing.TB, most int) {
	t.Helper()
	for i := 0; runtime.NumGoroutine() > most; i++ {
		if i == 20_000 {
			t.Fatalf("%d goroutines, want at most %d", runtime.NumGoroutine(), most)
		}
		time.Sleep(time.Millisecond)
	}
}

// A silent connection has no goroutine, and gets one when a message comes.
func TestParkedConnHasNoGoroutine(t *testing.T) {
	p, l := newPoller(t), listenTCP(t)
	before := runtime.NumGoroutine()
	var clients []halfCloser
	var readers []*polledReader
	for range 50 {
		client, r := connectPolled(t, p, l)
		clients, readers = append(clients, client), append(readers, r)
	}
	for round := range 5 {
		awaitGoroutines(t, before)
		for i, client := range clients {
			if _, err := client.Write(frame(fin|text, fmt.Sprint(round, i))); err != nil {
				t.Fatal(err)
			}
		}
		for i, r := range readers {
			if got, want := <-r.messages, fmt.Sprint(round, i); got != want {
				t.Fatalf("got %q, want %q", got, want)
			}
		}
	}
}

// A short text that comes alone needs no reader if the owner takes it. What is not exactly
// that, or is not taken, comes out of Read as ever.
func TestTakeShort(t *testing.T) {
	p, l := newPoller(t), listenTCP(t)
	var starts atomic.Int32
	taken := make(chan string, 10)
	r := &polledReader{messages: make(chan string, 100), ended: make(chan error, 2)}
	client, c := connectThrough(t, l, Options{Poller: p, Owner: owner{
		take: func(text []byte) bool {
			if strings.HasPrefix(string(text), "no") {
				return false
			}
			taken <- string(text)
			return true
		},
		resume: func() {
			starts.Add(1)
			r.run()
		},
	}})
	r.c = c
	go r.run()
	r.awaitParked()
	send := func(b []byte) {
		if _, err := client.Write(b); err != nil {
			t.Fatal(err)
		}
	}
	for _, s := range []string{"", "#2", "12345678", "", ""} {
		r.awaitParked()
		send(frame(fin|text, s))
		if got := <-taken; got != s {
			t.Errorf("%q was taken, want %q", got, s)
		}
	}
	if n := starts.Load(); n != 0 {
		t.Errorf("%d readers for texts that were taken", n)
	}
	for _, test := range []struct {
		sent []byte
		rest string // is sent when the first message has been read
		want []string
	}{
		{frame(fin|text, "no"), "", []string{"no"}},
		{frame(fin|text, "123456789"), "", []string{"123456789"}},
		{frame(fin|binry, "#2"), "", []string{"#2"}},
		{append(frame(text, "#"), frame(fin|cont, "2")...), "", []string{"#2"}},
		{append(frame(fin|text, "#2"), frame(fin|text, "")...), "", []string{"#2", ""}},
		{append(frame(fin|text, "#2"), frame(fin|text, "#1")[:3]...), string(frame(fin|text, "#1")[3:]), []string{"#2", "#1"}},
		{append(frame(fin|ping, ""), frame(fin|text, "")...), "", []string{""}},
	} {
		r.awaitParked()
		before := starts.Load()
		send(test.sent)
		for i, want := range test.want {
			if got := <-r.messages; got != want || starts.Load() == before {
				t.Errorf("%q, want %q; %d readers have started", got, want, starts.Load()-before)
			}
			if i == 0 && test.rest != "" {
				send([]byte(test.rest))
			}
		}
	}
	if len(taken) > 0 {
		t.Errorf("%q was taken", <-taken)
	}
	r.awaitParked()
	c.SetReadLimit(1)
	send(frame(fin|text, "#2"))
	if err := <-r.ended; err != ErrTooBig {
		t.Errorf("a text above the limit: %v", err)
	}
}

// The end of a parked connection is reported like that of another, whoever ends
// it.
func TestEndOfParkedConn(t *testing.T) {
	for name, test := range map[string]struct {
		end  func(client halfCloser, c *Conn)
		want func(error) bool
	}{
		"closed here":   {func(_ halfCloser, c *Conn) { c.Close() }, func(err error) bool { return errors.Is(err, net.ErrClosed) }},
		"interrupted":   {func(_ halfCloser, c *Conn) { c.Interrupt() }, func(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }},
		"half closed":   {func(client halfCloser, _ *Conn) { client.CloseWrite() }, func(err error) bool { return err == io.EOF }},
		"closed there":  {func(client halfCloser, _ *Conn) { client.Close() }, func(err error) bool { return err == io.EOF }},
		"reset":         {func(client halfCloser, _ *Conn) { client.(*net.TCPConn).SetLinger(0); client.Close() }, func(err error) bool { return err != nil && err != io.EOF }},
		"a close frame": {func(client halfCloser, _ *Conn) { client.Write(frame(fin|clos, "\x03\xe8")) }, func(err error) bool { var e *CloseError; return errors.As(err, &e) && e.Code == 1000 }},
	} {
		t.Run(name, func(t *testing.T) {
			client, r := connectPolled(t, newPoller(t), listenTCP(t))
			r.awaitParked()
			test.end(client, r.c)
			if err := <-r.ended; !test.want(err) {
				t.Errorf("ended with %v", err)
			}
			if r.c.Close(); len(r.ended) > 0 {
				t.Error("ended twice")
			}
		})
	}
}

// An interrupted connection can still be written to.
func TestWriteAfterInterrupt(t *testing.T) {
	client, r := connectPolled(t, newPoller(t), listenTCP(t))
	r.awaitParked()
	r.c.Interrupt()
	<-r.ended
	if err := r.c.WriteAll(CloseFrame(1013, ""), time.Minute); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(client, make([]byte, 4)); err != nil {
		t.Error(err)
	}
}

// However messages and parking interleave, each message comes once, in order.
func TestParkingLosesNothing(t *testing.T) {
	const conns, count = 8, 1500
	p, l := newPoller(t), listenTCP(t)
	var all sync.WaitGroup
	for range conns {
		client, r := connectPolled(t, p, l)
		all.Go(func() {
			for i := range count {
				switch rand.N(4) {
				case 0:
					r.awaitParked()
				case 1:
					time.Sleep(rand.N(20 * time.Microsecond))
				}
				message := frame(fin|text, strconv.Itoa(i))
				cut := rand.N(len(message) + 1) // some come in two parts
				for _, part := range [][]byte{message[:cut], message[cut:]} {
					if _, err := client.Write(part); err != nil {
						t.Error(err)
						return
					}
				}
			}
		})
		all.Go(func() {
			for i := range count {
				if got := <-r.messages; got != strconv.Itoa(i) {
					t.Errorf("got message %s, want %d", got, i)
					return
				}
			}
		})
	}
	all.Wait()
}

// A connection ends at whatever moment it is closed, and its descriptor serves
// the next one, which is not mistaken for it.
func TestParkingAndClosing(t *testing.T) {
	p, l := newPoller(t), listenTCP(t)
	before := runtime.NumGoroutine()
	for i := range 1500 {
		client, r := connectPolled(t, p, l)
		if i%3 > 0 {
			if _, err := client.Write(frame(fin|text, strconv.Itoa(i))); err != nil {
				t.Fatal(err)
			}
		}
		if i%3 > 1 {
			if got := <-r.messages; got != strconv.Itoa(i) {
				t.Fatalf("got %q, want %d", got, i)
			}
		}
		time.Sleep(rand.N(30 * time.Microsecond))
		_ = r.c.Close()
		if err := <-r.ended; !errors.Is(err, net.ErrClosed) {
			t.Fatalf("ended with %v", err)
		}
		_ = client.Close()
	}
	awaitGoroutines(t, before)
	if len(p.conns) > 500 {
		t.Errorf("the table has %d places for one connection at a time", len(p.conns))
	}
}

// An event that was meant for a connection that has had the descriptor before
// wakes nobody.
func TestEventOfAnotherConn(t *testing.T) {
	p := newPoller(t)
	client, r := connectPolled(t, p, listenTCP(t))
	r.awaitParked()
	for { // until it is watched
		p.mu.Lock()
		fd := r.c.park.watched.Load() - 1
		if fd >= 0 && p.conns[fd] != nil {
			number := p.conns[fd].park.number
			p.mu.Unlock()
			p.signal([]syscall.EpollEvent{{Fd: fd, Pad: number - 1}})
			break
		}
		p.mu.Unlock()
	}
	if state := r.c.park.state.Load(); state != parked {
		t.Error("it was woken")
	}
	_ = client.Close()
	<-r.ended
}

// Without a poller that takes them, connections wait with their goroutines, also
// those that were parked.
func TestPollerThatIsClosed(t *testing.T) {
	p := NewPoller(slog.New(slog.DiscardHandler))
	client, r := connectPolled(t, p, listenTCP(t))
	r.awaitParked()
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	later, r2 := connectPolled(t, p, listenTCP(t))
	for i := range 3 {
		for client, r := range map[halfCloser]*polledReader{client: r, later: r2} {
			if _, err := client.Write(frame(fin|text, strconv.Itoa(i))); err != nil {
				t.Fatal(err)
			}
			if got := <-r.messages; got != strconv.Itoa(i) {
				t.Errorf("got %q, want %d", got, i)
			}
		}
	}
	for client, r := range map[halfCloser]*polledReader{client: r, later: r2} {
		_ = client.Close()
		if err := <-r.ended; err != io.EOF {
			t.Errorf("ended with %v", err)
		}
	}
}

// A caller that stays keeps its goroutine.
func TestParkWithoutLeaving(t *testing.T) {
	p := newPoller(t)
	client, c := connectThrough(t, listenTCP(t), Options{Poller: p, Owner: owner{resume: func() { t.Error("resumed") }}})
	go func() {
		time.Sleep(time.Millisecond)
		_, _ = client.Write(frame(fin|text, "x"))
	}()
	if c.Park(true) {
		t.Fatal("gone")
	}
	if m, err := c.Read(); err != nil || string(m.Data) != "x" {
		t.Errorf("%q, %v", m.Data, err)
	}
}

// A signal that comes while the reader tries to read has it try again before it
// goes: what was signaled may be the end.
func TestSignalWhileTrying(t *testing.T) {
	p := newPoller(t)
	_, c := connectThrough(t, listenTCP(t), Options{Poller: p, Owner: owner{}})
	var attempts atomic.Int32 // the poller tries once more when the connection ends
	watch(c, func(bool) {
		if attempts.Add(1) == 1 {
			c.signal()
		}
	})
	if !c.Park(false) {
		t.Error("not parked")
	}
	if n := attempts.Load(); n != 2 {
		t.Errorf("%d attempts, want 2", n)
	}
}

// When there is no descriptor for it, connections do without, which is logged
// once. Later ones have it.
func TestPollerThatCannotStart(t *testing.T) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	p := NewPoller(slog.New(slog.NewTextHandler(&log, nil)))
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: 0, Max: limit.Max}); err != nil {
		t.Fatal(err)
	}
	first, second := p.ready(), p.ready()
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if first || second {
		t.Error("started without a descriptor")
	}
	if n := strings.Count(log.String(), "level=WARN"); n != 1 {
		t.Errorf("%d warnings: %s", n, &log)
	}
	if !p.ready() {
		t.Error("not started when there are descriptors again")
	}
	if err := p.Close(); err != nil || p.ready() {
		t.Errorf("closed with %v, ready again: %t", err, p.ready())
	}
}

// A Poller that no connection has needed ends too.
func TestPollerThatHasNotStarted(t *testing.T) {
	p := NewPoller(slog.New(slog.DiscardHandler))
	if err := p.Close(); err != nil || p.ready() {
		t.Errorf("closed with %v, ready: %t", err, p.ready())
	}
}
