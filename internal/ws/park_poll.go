//go:build linux || darwin

package ws

import (
	"io"
	"net"
	"os"
	"sync/atomic"
	"syscall"
)

// newPark decides by the concrete type: a wrapper may promote SyscallConn from
// an embedded connection, while its own Read does more than that of the socket.
func newPark(nc net.Conn, o *Options) park {
	var sc syscall.Conn
	switch nc := nc.(type) {
	case *net.TCPConn:
		sc = nc
	case *net.UnixConn:
		sc = nc
	default:
		return readPark{}
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return readPark{}
	}
	p := &pollPark{raw: raw}
	p.ready = p.read
	if o.Poller != nil && o.Poller.ready() {
		p.poller, p.resume, p.arm = o.Poller, o.Resume, p.watch
	}
	return p
}

// pollPark waits in the runtime's poller and borrows a buffer when there are
// bytes, or lets a Poller wait.
type pollPark struct {
	raw   syscall.RawConn
	ready func(fd uintptr) bool // p.read, bound once
	conn  *Conn
	err   error
	all   bool // the last read has left nothing to read; the reader's

	poller  *Poller // nil if there is none
	resume  func()
	arm     func(fd uintptr) // p.watch, bound once
	try     bool             // read does not wait
	broken  atomic.Bool      // the poller does not accept it
	state   atomic.Uint32
	watched atomic.Int32 // its descriptor and 1, once the poller knows it
}

// The states of a connection that has a Poller. The reader changes reading to
// parked if there was no signal since it began to try. A signal changes parked
// to reading and starts a new reader.
const (
	reading uint32 = iota
	signaled
	parked
)

// signal wakes a parked connection, or makes its reader try again before it
// parks.
func (p *pollPark) signal() {
	for {
		switch p.state.Load() {
		case parked:
			if p.state.CompareAndSwap(parked, reading) {
				go p.resume()
				return
			}
		case reading:
			if p.state.CompareAndSwap(reading, signaled) {
				return
			}
		case signaled:
			return
		}
	}
}

// leave implements park. Once the reader has been released, only atomic fields
// may be accessed.
func (p *pollPark) leave(c *Conn) (gone bool, err error) {
	if p.poller == nil || p.broken.Load() {
		return false, c.more(false)
	}
	p.conn = c
	if p.all {
		// The poller reports what has come since, so there is no need to try.
		p.all = false
		if p.state.CompareAndSwap(reading, parked) {
			_ = p.raw.Control(p.arm) // as below
			return true, nil
		}
	}
	for {
		p.state.Store(reading) // read sees what was signaled
		p.try = true
		err := p.raw.Read(p.ready)
		p.try = false
		switch {
		case err != nil:
			return false, err
		case p.err != syscall.EAGAIN:
			return false, p.err
		case p.state.CompareAndSwap(reading, parked):
			// If this fails, the connection has been closed, which signals.
			_ = p.raw.Control(p.arm)
			return true, nil
		}
	}
}

// readAll implements park.
func (p *pollPark) readAll() bool { return p.all }

// watch makes the poller watch the connection, which cannot be closed
// meanwhile.
func (p *pollPark) watch(fd uintptr) {
	if p.poller.watch(int(fd), p) {
		p.watched.Store(int32(fd) + 1)
		return
	}
	p.broken.Store(true)
	p.signal()
}

// closed is called when the descriptor has been closed.
func (p *pollPark) closed() {
	if fd := p.watched.Load(); fd > 0 {
		p.poller.forget(int(fd-1), p)
	}
	p.signal()
}

func (p *pollPark) wait(c *Conn, _ bool) error {
	p.conn = c
	if err := p.raw.Read(p.ready); err != nil {
		return err
	}
	return p.err
}

// read tries once; returning false parks the goroutine until the socket is
// readable.
func (p *pollPark) read(fd uintptr) bool {
	dst := p.conn.borrow()
	n, err := syscall.Read(int(fd), dst)
	for err == syscall.EINTR {
		n, err = syscall.Read(int(fd), dst)
	}
	p.all = 0 < n && n < len(dst)
	if n > 0 {
		p.err = nil
		p.conn.filled(n)
		return true
	}
	p.conn.giveBack()
	switch err {
	case syscall.EAGAIN:
		p.err = err
		return p.try
	case nil:
		p.err = io.EOF
	default:
		p.err = os.NewSyscallError("read", err)
	}
	return true
}
