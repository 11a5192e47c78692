package cluster_test

import (
	"io"
	"net"
	"sync"
	"testing"
)

// cable carries connections to an address, and can be cut.
type cable struct {
	addr, to string
	listener net.Listener
	over     sync.WaitGroup

	mu    sync.Mutex
	isCut bool
	conns map[net.Conn]bool
}

func newCable(t *testing.T, to string) *cable {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cable{addr: l.Addr().String(), to: to, listener: l, conns: make(map[net.Conn]bool)}
	c.over.Go(c.accept)
	t.Cleanup(func() {
		l.Close()
		c.cut(true)
		c.over.Wait()
	})
	return c
}

func (c *cable) accept() {
	for {
		conn, err := c.listener.Accept()
		if err != nil {
			return
		}
		c.over.Go(func() { c.carry(conn) })
	}
}

// hold takes note of a connection. It closes it if the cable is cut.
func (c *cable) hold(conn net.Conn) (held bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.isCut {
		conn.Close()
		return false
	}
	c.conns[conn] = true
	return true
}

func (c *cable) carry(conn net.Conn) {
	if !c.hold(conn) {
		return
	}
	defer conn.Close()
	other, err := net.Dial("tcp", c.to)
	if err != nil || !c.hold(other) {
		return
	}
	c.over.Go(func() {
		_, _ = io.Copy(other, conn)
		other.Close()
	})
	_, _ = io.Copy(conn, other)
}

// cut cuts the cable, or mends it.
func (c *cable) cut(cut bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.isCut = cut
	for conn := range c.conns {
		conn.Close()
	}
	clear(c.conns)
}
