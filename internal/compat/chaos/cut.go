package main

import (
	"io"
	"net"
	"sync"
)

// cables carry the routes between nodes: each node reaches each other by an address of
// its own, so that a node can be cut off.
type cables struct {
	over sync.WaitGroup

	mu        sync.Mutex
	listeners []net.Listener
	off       map[string]mode // nodes that are cut off
	conns     map[*cable]bool
	closed    bool
}

// mode is the way in which a node is cut off.
type mode int

const (
	connected mode = iota
	refused        // connections end, and new ones are refused
	silent         // nothing arrives any more, as with a cable that is cut
)

// cable is a connection between two nodes.
type cable struct {
	ends [2]string
	a, b net.Conn
	dead bool // it has lost something
}

func newCables() *cables {
	return &cables{off: make(map[string]mode), conns: make(map[*cable]bool)}
}

// lay returns an address at which node from reaches node to, which listens on addr.
func (c *cables) lay(from, to, addr string) (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	c.mu.Lock()
	c.listeners = append(c.listeners, l)
	c.mu.Unlock()
	c.over.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			c.over.Go(func() { c.carry(conn, [2]string{from, to}, addr) })
		}
	})
	return l.Addr().String(), nil
}

// mode returns how two nodes are cut off from each other. mu is held.
func (c *cables) mode(ends [2]string) mode { return max(c.off[ends[0]], c.off[ends[1]]) }

func (c *cables) carry(conn net.Conn, ends [2]string, addr string) {
	x := &cable{ends: ends, a: conn}
	c.mu.Lock()
	ok := !c.closed && c.mode(ends) != refused
	if ok {
		c.conns[x] = true
	}
	c.mu.Unlock()
	defer c.drop(x)
	if !ok {
		return
	}
	other, err := net.Dial("tcp", addr)
	if err != nil {
		return
	}
	c.mu.Lock()
	x.b = other
	ok = c.conns[x]
	c.mu.Unlock()
	if !ok {
		other.Close()
		return
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.copy(x, other, conn)
	}()
	c.copy(x, conn, other)
	<-done
}

// drop ends a connection.
func (c *cables) drop(x *cable) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.end(x)
}

// end ends a connection. mu is held.
func (c *cables) end(x *cable) {
	delete(c.conns, x)
	x.a.Close()
	if x.b != nil {
		x.b.Close()
	}
}

// copy carries one direction until the connection ends. What comes while its nodes are
// cut off silently is lost, and so is everything after it.
func (c *cables) copy(x *cable, to, from net.Conn) {
	defer c.drop(x)
	buffer := make([]byte, 64<<10)
	for {
		n, err := from.Read(buffer)
		if err != nil {
			return
		}
		c.mu.Lock()
		x.dead = x.dead || c.mode(x.ends) == silent
		lost := x.dead
		c.mu.Unlock()
		if lost {
			continue
		}
		if _, err := to.Write(buffer[:n]); err != nil {
			return
		}
	}
}

// cut cuts a node off.
func (c *cables) cut(node string, how mode) {
	c.mu.Lock()
	c.off[node] = how
	c.mu.Unlock()
	if how == refused {
		c.flap(node)
	}
}

// heal lets a node back. Connections that have lost something end.
func (c *cables) heal(node string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.off, node)
	for x := range c.conns {
		if x.dead {
			c.end(x)
		}
	}
}

// flap ends the connections of a node, which may come back at once.
func (c *cables) flap(node string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for x := range c.conns {
		if x.ends[0] == node || x.ends[1] == node {
			c.end(x)
		}
	}
}

// close ends everything.
func (c *cables) close() {
	c.mu.Lock()
	c.closed = true
	for _, l := range c.listeners {
		l.Close()
	}
	for x := range c.conns {
		c.end(x)
	}
	c.mu.Unlock()
	c.over.Wait()
}

// balancer is what stock clients connect to: it chooses a node for each connection.
type balancer struct {
	listener net.Listener
	choose   func() string // an address
	over     sync.WaitGroup

	mu     sync.Mutex
	conns  map[net.Conn]bool
	closed bool
}

func newBalancer(choose func() string) (*balancer, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	b := &balancer{listener: l, choose: choose, conns: make(map[net.Conn]bool)}
	b.over.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			b.over.Go(func() { b.carry(conn) })
		}
	})
	return b, nil
}

func (b *balancer) addr() string { return b.listener.Addr().String() }

func (b *balancer) hold(conn net.Conn) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		conn.Close()
		return false
	}
	b.conns[conn] = true
	return true
}

func (b *balancer) release(conn net.Conn) {
	conn.Close()
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.conns, conn)
}

func (b *balancer) carry(conn net.Conn) {
	if !b.hold(conn) {
		return
	}
	defer b.release(conn)
	other, err := net.Dial("tcp", b.choose())
	if err != nil || !b.hold(other) {
		return
	}
	defer b.release(other)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = io.Copy(other, conn)
		other.Close()
	}()
	_, _ = io.Copy(conn, other)
	conn.Close()
	<-done
}

// drop ends all connections.
func (b *balancer) drop() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for conn := range b.conns {
		conn.Close()
	}
}

func (b *balancer) close() {
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
	b.listener.Close()
	b.drop()
	b.over.Wait()
}
