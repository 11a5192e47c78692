package memnet

import (
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// Pipe returns the two ends of a connection with buffers of size bytes; zero
// means DefaultBufferSize.
func Pipe(size int) (net.Conn, net.Conn) {
	if size <= 0 {
		size = DefaultBufferSize
	}
	there, back := newPipe(size), newPipe(size)
	return &conn{r: back, w: there}, &conn{r: there, w: back}
}

// conn is one end of a connection.
type conn struct {
	r, w   *pipe
	polled bool
}

// Poll makes an end of [Pipe] count as a plain socket of the operating system, for
// a server that treats those differently.
func Poll(c net.Conn) { c.(*conn).polled = true }

// Polled is what package ws asks.
func (c *conn) Polled() bool { return c.polled }

func (c *conn) Read(p []byte) (int, error) {
	n, err := c.r.read(p)
	return n, opError("read", err)
}

func (c *conn) Write(p []byte) (int, error) {
	n, err := c.w.write(p, true)
	return n, opError("write", err)
}

// TryWrite writes as much as the buffer has room for, which may be nothing.
func (c *conn) TryWrite(p []byte) (int, error) {
	n, err := c.w.write(p, false)
	return n, opError("write", err)
}

// AwaitWrite waits until there is room in the buffer, or until the write
// deadline.
func (c *conn) AwaitWrite() error { return opError("write", c.w.await()) }

// CloseWrite ends the direction to the peer, like that of *net.TCPConn.
func (c *conn) CloseWrite() error { return opError("close", c.w.finish()) }

func (c *conn) Close() error {
	err := c.r.abandon()
	// This fails only if CloseWrite has been called before.
	_ = c.w.finish()
	return opError("close", err)
}

func (c *conn) LocalAddr() net.Addr  { return addr{} }
func (c *conn) RemoteAddr() net.Addr { return addr{} }

func (c *conn) SetReadDeadline(t time.Time) error {
	return opError("set", c.r.setDeadline(&c.r.reader, t))
}

func (c *conn) SetWriteDeadline(t time.Time) error {
	return opError("set", c.w.setDeadline(&c.w.writer, t))
}

func (c *conn) SetDeadline(t time.Time) error {
	err := c.SetReadDeadline(t)
	if werr := c.SetWriteDeadline(t); err == nil {
		err = werr
	}
	return err
}

// opError wraps err as package net does; io.EOF stays bare.
func opError(op string, err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	return &net.OpError{Op: op, Net: addr{}.Network(), Source: addr{}, Addr: addr{}, Err: err}
}

// pipe is one direction: a bounded FIFO of bytes.
type pipe struct {
	mu     sync.Mutex
	change sync.Cond // broadcast on each change of the fields below
	data   []byte    // written but not yet read
	size   int
	reader side
	writer side

	writing bool // a write is under way, perhaps in several pieces
}

// side is the state of one of the two ends of a pipe.
type side struct {
	closed  bool
	expired bool
	timer   *time.Timer
}

func newPipe(size int) *pipe {
	p := &pipe{size: size}
	p.change.L = &p.mu
	return p
}

func (p *pipe) read(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		switch {
		case p.reader.closed:
			return 0, net.ErrClosed
		case p.reader.expired:
			return 0, os.ErrDeadlineExceeded
		case len(b) == 0:
			return 0, nil
		case len(p.data) > 0:
			n := copy(b, p.data)
			if p.data = p.data[n:]; len(p.data) == 0 {
				p.data = nil
			}
			p.change.Broadcast()
			return n, nil
		case p.writer.closed:
			return 0, io.EOF
		}
		p.change.Wait()
	}
}

// writeError reports why nothing can be written. The caller holds mu.
func (p *pipe) writeError() error {
	switch {
	case p.writer.closed:
		return net.ErrClosed
	case p.reader.closed:
		return syscall.EPIPE
	case p.writer.expired:
		return os.ErrDeadlineExceeded
	}
	return nil
}

func (p *pipe) await() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	err := p.writeError()
	for ; err == nil && len(p.data) == p.size; err = p.writeError() {
		p.change.Wait()
	}
	return err
}

// write writes all of b, or as much as there is room for.
func (p *pipe) write(b []byte, all bool) (n int, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.writing { // writes of two goroutines do not mix, as on a TCP connection
		p.change.Wait()
	}
	p.writing = true
	defer func() {
		p.writing = false
		p.change.Broadcast()
	}()
	for {
		if err := p.writeError(); err != nil || len(b) == 0 {
			return n, err
		}
		if k := min(len(b), p.size-len(p.data)); k > 0 {
			p.data = append(p.data, b[:k]...)
			b = b[k:]
			n += k
			p.change.Broadcast()
			continue
		}
		if !all {
			return n, nil
		}
		p.change.Wait()
	}
}

// finish ends the writer's side; written bytes stay readable.
func (p *pipe) finish() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.end(&p.writer)
}

// abandon ends the reader's side; written bytes are lost.
func (p *pipe) abandon() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.data = nil
	return p.end(&p.reader)
}

func (p *pipe) end(s *side) error {
	if s.closed {
		return net.ErrClosed
	}
	s.closed = true
	if s.timer != nil {
		s.timer.Stop()
		s.timer = nil
	}
	p.change.Broadcast()
	return nil
}

func (p *pipe) setDeadline(s *side, t time.Time) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s.closed {
		return net.ErrClosed
	}
	if s.timer != nil {
		s.timer.Stop()
		s.timer = nil
	}
	s.expired = false
	if t.IsZero() {
		return nil
	}
	left := time.Until(t)
	if left <= 0 {
		s.expired = true
		p.change.Broadcast()
		return nil
	}
	var timer *time.Timer
	timer = time.AfterFunc(left, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		// A timer that was replaced while it fired no longer counts.
		if s.timer == timer {
			s.expired = true
			p.change.Broadcast()
		}
	})
	s.timer = timer
	return nil
}
