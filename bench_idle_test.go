package socketcluster_test

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strconv"
	"testing"
	"time"

	"github.com/socketcluster-go/socketcluster"
)

const idleSockets = 2000

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
	srv, err := socketcluster.New(socketcluster.Config{AuthKey: testKey, Logger: slog.New(slog.DiscardHandler)})
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
	// What a first client makes the process load is not counted.
	warm, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	if _, err := open(warm, handshakeFrame(token.Signed())); err != nil {
		b.Fatal(err)
	}
	warm.Close()
	before := memoryNow()
	if err := clients.Start(); err != nil {
		b.Fatal(err)
	}
	for subscribed(srv) < idleSockets {
		time.Sleep(10 * time.Millisecond)
	}
	after := memoryNow()
	hold.Close()
	if err := clients.Wait(); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric((after.heap-before.heap)/idleSockets, "heap-B/socket")
	b.ReportMetric((after.stacks-before.stacks)/idleSockets, "stack-B/socket")
	b.ReportMetric((after.resident-before.resident)/idleSockets, "rss-B/socket")
}

func subscribed(srv *socketcluster.Server) (n int) {
	for range srv.Exchange().Subscriptions() {
		n++
	}
	return n
}

type memory struct{ heap, stacks, resident float64 }

// memoryNow settles goroutines and pools before it measures.
func memoryNow() memory {
	for range 3 {
		time.Sleep(100 * time.Millisecond)
		debug.FreeOSMemory()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return memory{float64(m.HeapInuse), float64(m.StackInuse), residentBytes()}
}

// residentBytes is VmRSS, or 0 where there is no /proc.
func residentBytes() float64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range bytes.Lines(status) {
		if rest, ok := bytes.CutPrefix(line, []byte("VmRSS:")); ok {
			kib, _ := strconv.ParseFloat(string(bytes.Fields(rest)[0]), 64)
			return kib * 1024
		}
	}
	return 0
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
