package memnet

import (
	"context"
	"net"
	"sync"
	"syscall"
)

// DefaultBufferSize is the capacity of one direction of a connection in bytes.
const DefaultBufferSize = 64 << 10

// Listener accepts the connections that Dial makes.
type Listener struct {
	// BufferSize is the capacity in bytes of each direction of the connections
	// dialed from now on; zero means DefaultBufferSize. Set it before dialing.
	BufferSize int

	conns  chan net.Conn
	done   chan struct{}
	close  sync.Once
	Polled bool // the connections count as sockets of the operating system, see Poll
}

// Listen returns a new network with one listener.
func Listen() *Listener {
	return &Listener{conns: make(chan net.Conn), done: make(chan struct{})}
}

// Dial connects to the listener; it blocks until the connection is accepted.
func (l *Listener) Dial(ctx context.Context) (net.Conn, error) {
	client, server := Pipe(l.BufferSize)
	if l.Polled {
		Poll(server)
	}
	var err error
	select {
	case l.conns <- server:
		return client, nil
	case <-l.done:
		err = syscall.ECONNREFUSED
	case <-ctx.Done():
		err = ctx.Err()
	}
	return nil, &net.OpError{Op: "dial", Net: addr{}.Network(), Addr: addr{}, Err: err}
}

// Accept waits for the next connection.
func (l *Listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, &net.OpError{Op: "accept", Net: addr{}.Network(), Addr: addr{}, Err: net.ErrClosed}
	}
}

// Close ends Accept and Dial. Accepted connections stay open.
func (l *Listener) Close() error {
	l.close.Do(func() { close(l.done) })
	return nil
}

// Addr returns an address that only names the network.
func (l *Listener) Addr() net.Addr { return addr{} }

type addr struct{}

func (addr) Network() string { return "mem" }
func (addr) String() string  { return "mem" }
