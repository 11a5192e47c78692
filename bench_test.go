package socketcluster_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/internal/footprint"
	"github.com/socketcluster-go/socketcluster/internal/memnet"
)

// rig is a server in memory for benchmarks, in real time.
type rig struct {
	b      *testing.B
	srv    *socketcluster.Server
	listen *memnet.Listener
}

// wrap, if given, goes around the listener.
func newRig(b *testing.B, wrap ...func(net.Listener) net.Listener) *rig {
	b.Helper()
	return newRigWith(b, socketcluster.Config{}, wrap...)
}

func newRigWith(b *testing.B, cfg socketcluster.Config, wrap ...func(net.Listener) net.Listener) *rig {
	b.Helper()
	cfg.Auth.Key, cfg.Logger = testKey, slog.New(slog.DiscardHandler)
	cfg.Timeouts.PingDisabled = true
	cfg.Limits.CallRate, cfg.Limits.PublishRate = 1<<24, 1<<24 // one client makes all of them
	srv, err := socketcluster.New(cfg)
	if err != nil {
		b.Fatal(err)
	}
	r := &rig{b, srv, memnet.Listen()}
	web := &http.Server{Handler: srv}
	var listen net.Listener = r.listen
	for _, w := range wrap {
		listen = w(listen)
	}
	go web.Serve(listen)
	b.Cleanup(func() {
		srv.Close()
		web.Close()
	})
	return r
}

var upgradeRequest = []byte("GET " + socketcluster.DefaultPath + " HTTP/1.1\r\nHost: server\r\n" +
	"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n" +
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")

// textFrame is a frame as a client sends it.
func textFrame(text string) []byte {
	return ws.MustCompileFrame(ws.MaskFrame(ws.NewTextFrame([]byte(text))))
}

// handshakeFrame is a handshake with a token, or without if it is empty.
func handshakeFrame(token string) []byte {
	auth := "null"
	if token != "" {
		auth = quote(token)
	}
	return textFrame(`{"event":"#handshake","data":{"authToken":` + auth + `},"cid":1}`)
}

// driver is a client that costs little, so that a benchmark shows the server.
type driver struct {
	conn net.Conn
	in   *bufio.Reader
}

// open upgrades a connection and completes the handshake.
func open(conn net.Conn, handshake []byte) (*driver, error) {
	return openWith(conn, upgradeRequest, handshake)
}

func openWith(conn net.Conn, upgrade, handshake []byte) (*driver, error) {
	d := &driver{conn, bufio.NewReaderSize(conn, 512)}
	if _, err := conn.Write(upgrade); err != nil {
		return nil, err
	}
	for {
		line, err := d.in.ReadSlice('\n')
		if err != nil {
			return nil, err
		}
		if len(line) == 2 {
			break
		}
	}
	answer, err := d.call(handshake)
	if err == nil && !bytes.Contains(answer, []byte(`"isAuthenticated"`)) {
		err = fmt.Errorf("answer to the handshake: %s", answer)
	}
	return d, err
}

// call writes a frame and returns the next message, valid until the next call.
func (d *driver) call(frame []byte) ([]byte, error) {
	if _, err := d.conn.Write(frame); err != nil {
		return nil, err
	}
	return d.next()
}

func (d *driver) next() ([]byte, error) {
	head, err := d.in.Peek(4)
	if err != nil {
		return nil, err
	}
	start, size := 2, int(head[1])
	if size == 126 {
		start, size = 4, int(head[2])<<8|int(head[3])
	}
	message, err := d.in.Peek(start + size)
	if err != nil {
		return nil, err
	}
	_, err = d.in.Discard(start + size)
	return message[start:], err
}

// client opens a connection in memory.
func (r *rig) client(handshake []byte) *driver {
	r.b.Helper()
	conn, err := r.listen.Dial(context.Background())
	if err != nil {
		r.b.Fatal(err)
	}
	d, err := open(conn, handshake)
	if err != nil {
		r.b.Fatal(err)
	}
	return d
}

func (r *rig) must(answer []byte, err error) {
	if err == nil && !bytes.HasPrefix(answer, []byte(`{"rid":`)) {
		err = fmt.Errorf("not an answer: %s", answer)
	}
	if err != nil {
		r.b.Fatal(err)
	}
}

// BenchmarkPublishDispatch is what it costs to read, decode and dispatch a
// client's publication to a channel without subscribers.
func BenchmarkPublishDispatch(b *testing.B) {
	r := newRig(b)
	d := r.client(handshakeFrame(""))
	publish := textFrame(`{"event":"#publish","data":{"channel":"room","data":{"text":"0123456789abcdef0123456789abcdef"}}}`)
	b.ReportAllocs()
	b.SetBytes(int64(len(publish)))
	for b.Loop() {
		if _, err := d.conn.Write(publish); err != nil {
			b.Fatal(err)
		}
	}
	// The answer to a call comes after everything that was sent before it.
	r.must(d.call(textFrame(`{"event":"#unsubscribe","data":"none","cid":2}`)))
}

// sink counts the bytes that are written to the connections it has accepted
// once it is switched, instead of passing them on.
type sink struct {
	net.Listener
	on      atomic.Bool
	written atomic.Int64
	want    atomic.Int64
	full    chan struct{} // gets a value when want bytes have been written
}

func (s *sink) Accept() (net.Conn, error) {
	conn, err := s.Listener.Accept()
	return &sinkConn{conn, s}, err
}

type sinkConn struct {
	net.Conn
	sink *sink
}

func (c *sinkConn) Write(p []byte) (int, error) {
	if !c.sink.on.Load() {
		return c.Conn.Write(p)
	}
	if c.sink.written.Add(int64(len(p))) == c.sink.want.Load() {
		c.sink.full <- struct{}{}
	}
	return len(p), nil
}

func (c *sinkConn) SetWriteDeadline(time.Time) error { return nil }

// BenchmarkFanout is a publication of the server to 1,000 sockets, until it
// has been written to each of them. The network costs nothing here.
func BenchmarkFanout(b *testing.B) {
	const subscribers = 1000
	out := &sink{full: make(chan struct{}, 1)}
	r := newRig(b, func(l net.Listener) net.Listener { out.Listener = l; return out })
	subscribe := textFrame(`{"event":"#subscribe","data":{"channel":"room"},"cid":2}`)
	for range subscribers {
		r.must(r.client(handshakeFrame("")).call(subscribe))
	}
	data := json.RawMessage(`{"text":"0123456789abcdef0123456789abcdef"}`)
	frame := len(`{"event":"#publish","data":{"channel":"room","data":}}`) + len(data) + 2
	out.on.Store(true)
	b.ReportAllocs()
	for b.Loop() {
		out.want.Add(int64(frame) * subscribers)
		if err := r.srv.Exchange().Publish(b.Context(), "room", data); err != nil {
			b.Fatal(err)
		}
		<-out.full
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/subscribers, "ns/delivery")
}

// BenchmarkEcho is a call of a procedure and its answer, one at a time.
func BenchmarkEcho(b *testing.B) {
	r := newRig(b)
	r.srv.Handle("echo", socketcluster.Func(func(_ context.Context, in json.RawMessage) (json.RawMessage, error) {
		return in, nil
	}))
	d := r.client(handshakeFrame(""))
	echo := textFrame(`{"event":"echo","data":"0123456789abcdef0123456789abcdef","cid":2}`)
	b.ReportAllocs()
	for b.Loop() {
		r.must(d.call(echo))
	}
}

// BenchmarkHandshake is a connection from its upgrade to the answer of its
// handshake, and its end.
func BenchmarkHandshake(b *testing.B) {
	for _, name := range []string{"anonymous", "token"} {
		b.Run(name, func(b *testing.B) {
			r := newRig(b)
			var token string
			if name == "token" {
				signed, err := r.srv.Auth().Sign(b.Context(), map[string]any{"username": "alice", "channels": []string{"news", "room/alice"}})
				if err != nil {
					b.Fatal(err)
				}
				token = signed.Signed()
			}
			handshake := handshakeFrame(token)
			bye := ws.MustCompileFrame(ws.MaskFrame(ws.NewCloseFrame(ws.NewCloseFrameBody(1000, ""))))
			b.ReportAllocs()
			for b.Loop() {
				d := r.client(handshake)
				if _, err := d.call(bye); err != nil {
					b.Fatal(err)
				}
				if _, err := d.in.ReadByte(); err != io.EOF {
					b.Fatalf("after the close frame: %v", err)
				}
				d.conn.Close()
			}
		})
	}
}

const idleSockets = 10_000

// Environment of the process that plays the clients of BenchmarkIdleSocket.
const (
	idleServerEnv = "SOCKETCLUSTER_IDLE_SERVER"
	idleTokenEnv  = "SOCKETCLUSTER_IDLE_TOKEN"
)

// BenchmarkIdleSocket reports what an idle socket costs that is authenticated
// and subscribed to a channel of its own, over TCP: live heap and stacks after
// a collection, and the growth of the resident memory after what is free has
// been returned to the system. The clients are in a process of their own,
// which runs this same benchmark.
func BenchmarkIdleSocket(b *testing.B) {
	if addr := os.Getenv(idleServerEnv); addr != "" {
		if err := beIdleClients(addr, os.Getenv(idleTokenEnv)); err != nil {
			b.Fatal(err)
		}
		return
	}
	for b.Loop() {
		measureIdle(b)
	}
}

func measureIdle(b *testing.B) {
	srv, err := socketcluster.New(socketcluster.Config{Auth: auth.Options{Key: testKey}, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	defer srv.Close()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	web := &http.Server{Handler: srv}
	go web.Serve(listener)
	defer web.Close()
	token, err := srv.Auth().Sign(b.Context(), map[string]any{"username": "alice", "channels": []string{"news", "room/alice"}})
	if err != nil {
		b.Fatal(err)
	}

	clients := exec.Command(os.Args[0], "-test.run=^$", "-test.bench=^BenchmarkIdleSocket$", "-test.benchtime=1x")
	clients.Env = append(os.Environ(), idleServerEnv+"="+listener.Addr().String(), idleTokenEnv+"="+token.Signed())
	clients.Stderr = os.Stderr
	hold, err := clients.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	// One-time costs of the first client are not counted.
	warm, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	if _, err := open(warm, handshakeFrame(token.Signed())); err != nil {
		b.Fatal(err)
	}
	warm.Close()
	before := footprint.Now()
	if err := clients.Start(); err != nil {
		b.Fatal(err)
	}
	for subscribed(srv) < idleSockets {
		time.Sleep(10 * time.Millisecond)
	}
	after := footprint.Now()
	hold.Close()
	if err := clients.Wait(); err != nil {
		b.Fatal(err)
	}
	each := after.Each(before, idleSockets)
	b.ReportMetric(each.Heap, "heap-B/socket")
	b.ReportMetric(each.Stacks, "stack-B/socket")
	b.ReportMetric(each.Resident, "rss-B/socket")
}

func subscribed(srv *socketcluster.Server) (n int) {
	for range srv.Exchange().Subscriptions() {
		n++
	}
	return n
}

// beIdleClients holds connections until standard input ends.
func beIdleClients(addr, token string) error {
	handshake := handshakeFrame(token)
	for i := range idleSockets {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			return err
		}
		defer conn.Close()
		d, err := open(conn, handshake)
		if err != nil {
			return err
		}
		if answer, err := d.call(subscribeFrame(i)); err != nil {
			return fmt.Errorf("%s: %w", answer, err)
		}
	}
	_, err := io.Copy(io.Discard, os.Stdin)
	return err
}

// subscribeFrame subscribes to a channel that nobody else uses.
func subscribeFrame(i int) []byte {
	return textFrame(`{"event":"#subscribe","data":{"channel":"user/` + strconv.Itoa(i) + `"},"cid":2}`)
}

// BenchmarkFanoutCompressed is BenchmarkFanout with a publication of 4 KiB:
// plain, compressed once for all sockets, and as it would be if each socket
// compressed for itself, which is what outbound middleware makes of it.
func BenchmarkFanoutCompressed(b *testing.B) {
	data := json.RawMessage(`{"rows":[` + strings.Repeat(`{"id":12345,"user":"alice","price":99.5,"active":true},`, 80) + `0]}`)
	for _, bench := range []struct {
		name       string
		level      int
		middleware bool
	}{{"off", 0, false}, {"shared", 1, false}, {"each", 1, true}} {
		b.Run(bench.name, func(b *testing.B) {
			const subscribers = 1000
			out := &sink{full: make(chan struct{}, 1)}
			cfg := socketcluster.Config{Compression: socketcluster.Compression{Level: bench.level}}
			r := newRigWith(b, cfg, func(l net.Listener) net.Listener { out.Listener = l; return out })
			if bench.middleware {
				r.srv.UseOutbound(func(context.Context, socketcluster.Action) error { return nil })
			}
			offer := bytes.Replace(upgradeRequest, []byte("\r\n\r\n"), []byte("\r\nSec-WebSocket-Extensions: "+deflateOffer+"\r\n\r\n"), 1)
			subscribe := textFrame(`{"event":"#subscribe","data":{"channel":"room"},"cid":2}`)
			var readers []*driver
			for range subscribers {
				conn, err := r.listen.Dial(b.Context())
				if err != nil {
					b.Fatal(err)
				}
				d, err := openWith(conn, offer, handshakeFrame(""))
				if err != nil {
					b.Fatal(err)
				}
				r.must(d.call(subscribe))
				readers = append(readers, d)
			}
			publish := func() {
				if err := r.srv.Exchange().Publish(b.Context(), "room", data); err != nil {
					b.Fatal(err)
				}
			}
			publish()
			var size int
			for _, d := range readers {
				var err error
				if size, err = d.skip(); err != nil {
					b.Fatal(err)
				}
			}
			out.on.Store(true)
			b.ReportAllocs()
			for b.Loop() {
				out.want.Add(int64(size) * subscribers)
				publish()
				<-out.full
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/subscribers, "ns/delivery")
			b.ReportMetric(float64(size), "bytes/frame")
		})
	}
}

// skip drops the next frame, of 126 to 65535 bytes of payload, and returns its size.
func (d *driver) skip() (size int, err error) {
	head, err := d.in.Peek(4)
	if err != nil {
		return 0, err
	}
	return d.in.Discard(4 + int(head[2])<<8 + int(head[3]))
}
