//go:build linux || darwin

package ws

import (
	"crypto/tls"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

// park is how a connection waits for the peer without holding a buffer. A kernel
// socket waits in the runtime's poller and borrows a buffer when there are bytes,
// or lets a Poller wait. Others can only be read.
type park struct {
	raw     syscall.RawConn // nil if the connection can only be read
	poller  *Poller         // nil if there is none
	state   atomic.Uint32
	watched atomic.Int32 // its descriptor and 1, once the poller knows it; or refused
	number  int32        // the poller's; it distinguishes the connection from earlier ones with its descriptor, for which an event may still be under way
	all     bool         // the last read has left nothing to read; the reader's
}

// refused means that the poller does not accept a connection.
const refused = -1

// init decides by the concrete type: a wrapper may promote SyscallConn from an
// embedded connection, while its own Read does more than that of the socket.
func (p *park) init(nc net.Conn, poller *Poller) {
	if p.raw = rawConn(nc); p.raw != nil && poller != nil && poller.ready() {
		p.poller = poller
	}
}

// rawConn returns nil for a connection that is not a kernel socket.
func rawConn(nc net.Conn) syscall.RawConn {
	var sc syscall.Conn
	switch nc := nc.(type) {
	case *net.TCPConn:
		sc = nc
	case *net.UnixConn:
		sc = nc
	default:
		return nil
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return nil
	}
	return raw
}

// waits reports whether the kernel has something of the peer.
func (c *Conn) waits() (unread bool) {
	raw := c.park.raw
	if tc, ok := c.nc.(*tls.Conn); ok {
		raw = rawConn(tc.NetConn())
	}
	if raw != nil {
		_ = raw.Control(func(fd uintptr) { unread = ready(fd, unix.POLLIN) }) // otherwise it has been closed
	}
	return unread
}

// polls reports whether the connection is a kernel socket.
func (p *park) polls() bool { return p.raw != nil }

// readAll reports whether the last read has certainly left nothing to read.
func (p *park) readAll() bool { return p.all }

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
func (c *Conn) signal() {
	if c.unpark() {
		go c.owner.Resume()
	}
}

// unpark is signal for a caller that becomes the reader if it returns true.
func (c *Conn) unpark() bool {
	for {
		switch c.park.state.Load() {
		case parked:
			if c.park.state.CompareAndSwap(parked, reading) {
				return true
			}
		case reading:
			if c.park.state.CompareAndSwap(reading, signaled) {
				return false
			}
		case signaled:
			return false
		}
	}
}

// wait blocks until there are bytes and sets c.in to c.carry[:c.carried] followed
// by at least one of them. c.buf is nil before the call. started means that the
// peer is in the middle of a frame.
func (c *Conn) wait(started bool) error {
	if c.park.raw == nil {
		return c.waitInRead(started)
	}
	a := c.readAttempt(false, started)
	defer a.release()
	return a.read()
}

// leave releases the reader if there is nothing to read and a Poller can wait in
// its place. Otherwise it waits. Once the reader has been released, only atomic
// fields and those that never change may be accessed.
func (c *Conn) leave() (gone bool, err error) {
	if c.park.poller == nil || c.park.watched.Load() == refused {
		return false, c.more(false)
	}
	return c.tryLeave()
}

// tryLeave is leave for a connection that has a Poller. It does not wait.
func (c *Conn) tryLeave() (gone bool, err error) {
	p := &c.park
	a := c.readAttempt(true, false)
	defer a.release()
	if p.all {
		// The poller reports what has come since, so there is no need to try.
		p.all = false
		c.setIdle(true)
		if p.state.CompareAndSwap(reading, parked) {
			_ = p.raw.Control(a.watch) // as below
			return true, nil
		}
	}
	for {
		p.state.Store(reading) // read sees what was signaled
		switch err := a.read(); {
		case err != syscall.EAGAIN:
			return false, err
		case p.state.CompareAndSwap(reading, parked):
			// If this fails, the connection has been closed, which signals.
			_ = p.raw.Control(a.watch)
			return true, nil
		}
	}
}

// leaveForGood is called when the connection has been closed.
func (c *Conn) leaveForGood() {
	if c.park.poller == nil {
		return
	}
	if fd := c.park.watched.Load(); fd > 0 {
		c.park.poller.forget(int(fd-1), c)
	}
	c.signal()
}

// readAttempt is one read of a kernel socket. A connection has one only while it
// reads or waits for bytes.
type readAttempt struct {
	conn    *Conn
	try     bool // it does not wait
	started bool // the peer is in the middle of a frame
	err     error
	once    func(fd uintptr) bool // readOnce, bound once
	watch   func(fd uintptr)      // watchOnce, bound once
}

var readAttempts = sync.Pool{New: func() any {
	a := new(readAttempt)
	a.once, a.watch = a.readOnce, a.watchOnce
	return a
}}

func (c *Conn) readAttempt(try, started bool) *readAttempt {
	a := readAttempts.Get().(*readAttempt)
	a.conn, a.try, a.started = c, try, started
	return a
}

func (a *readAttempt) release() {
	a.conn, a.err = nil, nil
	readAttempts.Put(a)
}

// read reads what there is. If that is nothing, it waits, or fails with EAGAIN.
func (a *readAttempt) read() error {
	if err := a.conn.park.raw.Read(a.once); err != nil {
		return err
	}
	return a.err
}

// readOnce tries once; returning false parks the goroutine until the socket is
// readable.
func (a *readAttempt) readOnce(fd uintptr) bool {
	c := a.conn
	between := c.carried == 0 && !a.started
	c.setIdle(false)
	dst := c.borrow()
	n, err := syscall.Read(int(fd), dst)
	for err == syscall.EINTR {
		n, err = syscall.Read(int(fd), dst)
	}
	c.park.all = 0 < n && n < len(dst)
	if n > 0 {
		a.err = nil
		c.filled(n)
		return true
	}
	c.giveBack()
	switch err {
	case syscall.EAGAIN:
		c.setIdle(between)
		a.err = err
		return a.try
	case nil:
		a.err = io.EOF
	default:
		a.err = os.NewSyscallError("read", err)
	}
	return true
}

// watchOnce makes the poller watch the connection, which cannot be closed
// meanwhile.
func (a *readAttempt) watchOnce(fd uintptr) {
	c := a.conn
	if c.park.poller.watch(int(fd), c) {
		c.park.watched.Store(int32(fd) + 1)
		return
	}
	c.park.watched.Store(refused)
	c.signal()
}
