//go:build linux || darwin

package ws

import (
	"io"
	"net"
	"os"
	"syscall"
)

// newPark picks by concrete type: a wrapper may promote SyscallConn from the
// connection that it embeds while its own Read does more than the socket's.
func newPark(nc net.Conn) park {
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
	return p
}

// pollPark waits in the runtime's poller and borrows a buffer when bytes are there.
type pollPark struct {
	raw   syscall.RawConn
	ready func(fd uintptr) bool // p.read, bound once
	conn  *Conn
	err   error
}

func (p *pollPark) wait(c *Conn, _ bool) error {
	p.conn = c
	if err := p.raw.Read(p.ready); err != nil {
		return err
	}
	return p.err
}

// read tries once; false parks the goroutine until the socket is readable.
func (p *pollPark) read(fd uintptr) bool {
	dst := p.conn.borrow()
	n, err := syscall.Read(int(fd), dst)
	for err == syscall.EINTR {
		n, err = syscall.Read(int(fd), dst)
	}
	if n > 0 {
		p.err = nil
		p.conn.filled(n)
		return true
	}
	p.conn.giveBack()
	switch err {
	case syscall.EAGAIN:
		return false
	case nil:
		p.err = io.EOF
	default:
		p.err = os.NewSyscallError("read", err)
	}
	return true
}
