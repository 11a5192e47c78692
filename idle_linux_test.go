package socketcluster_test

import (
	"net"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/auth"
)

// readers is how many goroutines read from sockets.
func readers() int {
	all := make([]byte, 1<<20)
	for {
		n := runtime.Stack(all, true)
		if n < len(all) {
			return strings.Count(string(all[:n]), ".(*Socket).read(")
		}
		all = make([]byte, 2*len(all))
	}
}

func awaitReaders(t *testing.T, want int) {
	t.Helper()
	for i := 0; readers() != want; i++ {
		if i == 20_000 {
			t.Fatalf("%d sockets have a goroutine, want %d", readers(), want)
		}
		time.Sleep(time.Millisecond)
	}
}

// A silent socket over TCP has no goroutine. It is there nevertheless: for what
// its client sends and is sent, and for its end. A busy one keeps its goroutine.
func TestIdleSocketHasNoGoroutine(t *testing.T) {
	srv, err := socketcluster.New(socketcluster.Config{Auth: auth.Options{Key: testKey}})
	if err != nil {
		t.Fatal(err)
	}
	srv.Handle("echo", socketcluster.Func(echo))
	web := httptest.NewServer(srv)
	t.Cleanup(web.Close)
	t.Cleanup(func() { srv.Close() })
	ended := make(chan bool, 10)
	socketcluster.On(srv, func(socketcluster.DisconnectEvent) { ended <- true })
	dial := func() *driver {
		conn, err := net.Dial("tcp", web.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		d, err := open(conn, handshakeFrame(""))
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	call := func(d *driver) {
		t.Helper()
		if answer, err := d.call(textFrame(`{"event":"echo","data":1,"cid":5}`)); err != nil || string(answer) != `{"rid":5,"data":1}` {
			t.Fatalf("%s, %v", answer, err)
		}
	}
	var all []*driver
	for range 5 {
		all = append(all, dial())
	}
	awaitReaders(t, 0)
	for _, d := range all {
		call(d)
	}
	awaitReaders(t, 0)
	// Whoever ends a socket, it ends.
	all[0].conn.Close()
	<-ended
	first := func() *socketcluster.Socket {
		for s := range srv.Clients() {
			return s
		}
		return nil
	}
	for _, end := range []func(*socketcluster.Socket){
		(*socketcluster.Socket).Terminate,
		func(s *socketcluster.Socket) { s.Disconnect(4500, "") },
	} {
		end(first())
		<-ended
	}
	busy := dial()
	for i := 0; readers() == 0; i++ { // until enough calls in a row were quick
		if i == 2000 {
			t.Fatal("a busy socket has no goroutine")
		}
		for range 20 {
			call(busy)
		}
	}
	if err := srv.Close(); err != nil {
		t.Error(err)
	}
	awaitReaders(t, 0)
}
