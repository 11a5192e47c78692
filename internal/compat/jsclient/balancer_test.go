package jsclient

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
)

// balancer is a load balancer of TCP connections: one address for several
// servers, of which one gets what comes at the moment.
type balancer struct {
	port int
	to   atomic.Pointer[server]
}

// startBalancer must come before the servers, so that it ends after them.
func startBalancer(t *testing.T) *balancer {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &balancer{port: listener.Addr().(*net.TCPAddr).Port}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			all.Go(func() { b.pass(conn) })
		}
	})
	t.Cleanup(func() {
		listener.Close()
		all.Wait()
	})
	return b
}

// pass connects a client to the server of the moment, until either hangs up.
func (b *balancer) pass(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", b.to.Load().http.Listener.Addr().String())
	if err != nil {
		return
	}
	defer server.Close()
	go func() {
		io.Copy(server, client)
		server.Close()
	}()
	io.Copy(client, server)
}
