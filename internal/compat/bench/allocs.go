//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"runtime/debug"

	"golang.org/x/sys/unix"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/auth"
)

// allocation is the average allocation of an operation in the server, and the
// limit of the gate. It is the same in each run, so the limits are tight. Lower
// them if you make an operation cheaper.
type allocation struct {
	name                   string
	objects, bytes         float64
	mostObjects, mostBytes float64
}

// allocations measures a server in this process, over TCP, by clients that
// allocate nothing. There is one operation at a time, so nothing depends on how
// many run at once.
func allocations(ctx context.Context) ([]allocation, error) {
	srv, err := socketcluster.New(socketcluster.Config{
		Auth:   auth.Options{Key: authKey},
		Limits: socketcluster.Limits{PublishRate: publishRate, CallRate: publishRate, SubscribeRate: publishRate},
		Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return nil, err
	}
	defer srv.Close()
	srv.Handle("echo", socketcluster.Func(func(_ context.Context, in json.RawMessage) (json.RawMessage, error) { return in, nil }))
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	web := &http.Server{Handler: srv}
	go web.Serve(listener)
	defer web.Close()

	e := endpoint{addr: listener.Addr().String(), proto: scProtocol{}}
	p := e.proto
	clients, err := openFleet(ctx, e, 1+2*deliveriesEach, func(i int, c *conn) error {
		if err := c.handshake(signToken("alice")); err != nil || i == 0 {
			return err
		}
		if i <= deliveriesEach {
			if err := c.subscribe("many"); err != nil {
				return err
			}
		}
		return c.subscribe("twice as many")
	}, nil)
	if err != nil {
		return nil, err
	}
	defer clients.abandon()
	one, others := clients.conns[0], clients.conns[1:]
	call := func(message []byte) func() error {
		frame := appendFrame(nil, opText, message)
		return func() error { return exchange(one, frame, answer) }
	}
	subscribe, unsubscribe := call(p.appendSubscribe(nil, 2, "own")), call(p.appendCall(nil, 2, "#unsubscribe", `"own"`))
	publish, publishTwice := call(p.appendPublish(nil, 2, "many", payload)), call(p.appendPublish(nil, 2, "twice as many", payload))
	connector := newConnector(listener.Addr().(*net.TCPAddr).Port, e, signToken("alice"))

	all := []allocation{
		{name: "echo", mostObjects: 4.5, mostBytes: 540},
		{name: "acknowledged publication, without subscribers", mostObjects: 2.5, mostBytes: 100},
		{name: "delivery, with its share of the publication", mostObjects: 0.065, mostBytes: 6},
		{name: "delivery", mostObjects: 0.005, mostBytes: 1},
		{name: "subscribe and unsubscribe", mostObjects: 12.5, mostBytes: 660},
		{name: "connect, handshake with HS256 token, close", mostObjects: 91, mostBytes: 14_900},
	}
	for i, run := range []func() error{
		call(p.appendCall(nil, 2, "echo", payload)),
		call(p.appendPublish(nil, 2, "none", payload)),
		func() error { return deliver(publish, others[:deliveriesEach]) },
		func() error { return deliver(publishTwice, others) },
		func() error {
			if err := subscribe(); err != nil {
				return err
			}
			return unsubscribe()
		},
		connector.run,
	} {
		if err := all[i].measure(run); err != nil {
			return nil, fmt.Errorf("%s: %w", all[i].name, err)
		}
	}
	shared, alone := &all[2], &all[3]
	alone.objects, alone.bytes = max(0, alone.objects-shared.objects), max(0, alone.bytes-shared.bytes)
	for _, a := range []*allocation{shared, alone} {
		a.objects /= deliveriesEach
		a.bytes /= deliveriesEach
	}
	return all, nil
}

func deliver(publish func() error, subscribers []*conn) error {
	if err := publish(); err != nil {
		return err
	}
	for _, c := range subscribers {
		if err := exchange(c, nil, publication); err != nil {
			return err
		}
	}
	return nil
}

const (
	deliveriesEach  = 100
	allocationRuns  = 500
	allocationWarms = 100 // runs that fill pools and grow buffers first
)

// measure runs an operation without collections, which would empty pools.
func (a *allocation) measure(run func() error) error {
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	runtime.GC()
	var before, after runtime.MemStats
	for i := range allocationWarms + allocationRuns {
		if i == allocationWarms {
			runtime.ReadMemStats(&before)
		}
		if err := run(); err != nil {
			return err
		}
	}
	runtime.ReadMemStats(&after)
	a.objects = float64(after.Mallocs-before.Mallocs) / allocationRuns
	a.bytes = float64(after.TotalAlloc-before.TotalAlloc) / allocationRuns
	return nil
}

// exchange sends a frame, if any, and waits for a message of a kind.
func exchange(c *conn, frame []byte, want kind) error {
	if len(frame) > 0 {
		if _, err := c.net.Write(frame); err != nil {
			return err
		}
	}
	message, err := c.next()
	if err == nil && c.proto.kind(message) != want {
		err = fmt.Errorf("unexpected message %q", message)
	}
	return err
}

// connector connects by bare system calls, because package net would allocate.
type connector struct {
	addr                    *unix.SockaddrInet4
	request, handshake, bye []byte
	socket                  socket
	conn                    conn
}

func newConnector(port int, e endpoint, token string) *connector {
	c := &connector{
		addr:      &unix.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}},
		request:   upgradeRequest(e),
		handshake: appendFrame(nil, opText, e.proto.appendHandshake(nil, 1, token)),
		bye:       appendFrame(nil, opClose, closeBody),
	}
	c.conn = conn{net: &c.socket, proto: e.proto, buf: make([]byte, 4<<10)}
	return c
}

func (c *connector) run() (err error) {
	if c.socket.fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0); err != nil {
		return err
	}
	defer unix.Close(c.socket.fd)
	if err := unix.Connect(c.socket.fd, c.addr); err != nil {
		return err
	}
	if _, err := c.socket.Write(c.request); err != nil {
		return err
	}
	for c.conn.start, c.conn.end = 0, 0; !bytes.Contains(c.conn.buf[:c.conn.end], endOfHeader); {
		if err := c.conn.fill(); err != nil {
			return err
		}
	}
	c.conn.start = c.conn.end
	if err := exchange(&c.conn, c.handshake, answer); err != nil {
		return err
	}
	if _, err := c.socket.Write(c.bye); err != nil {
		return err
	}
	for err == nil {
		c.conn.start = c.conn.end
		err = c.conn.fill()
	}
	if err == io.EOF {
		return nil
	}
	return err
}

// socket is a descriptor that blocks.
type socket struct {
	net.Conn // no other methods are called
	fd       int
}

func (s *socket) Read(p []byte) (int, error) {
	n, err := unix.Read(s.fd, p)
	if n == 0 && err == nil {
		err = io.EOF
	}
	return max(n, 0), err
}

func (s *socket) Write(p []byte) (int, error) { return unix.Write(s.fd, p) }

// checkAllocations writes the measurements, and returns the names of operations
// above their limit.
func checkAllocations(measured []allocation, out io.Writer) (failed []string) {
	fmt.Fprint(out, "| Operation | allocations | at most | bytes | at most |\n|---|--:|--:|--:|--:|\n")
	for _, a := range measured {
		fmt.Fprintf(out, "| %s | %.2f | %.2f | %.0f | %.0f |\n", a.name, a.objects, a.mostObjects, a.bytes, a.mostBytes)
		if a.objects > a.mostObjects || a.bytes > a.mostBytes {
			failed = append(failed, a.name)
		}
	}
	return failed
}
