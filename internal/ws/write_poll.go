//go:build linux || darwin

package ws

import (
	"crypto/tls"
	"net"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// unsent is how many bytes the kernel takes of a connection beyond those that are
// on their way to the peer. What is more stays with those who write, where pings
// can overtake it and it can be taken back; and the peer's progress shows sooner.
const unsent = 128 << 10

// limitUnsent makes the kernel of a TCP connection, or of that below TLS, take no
// more than unsent. Without it, writing works all the same.
func limitUnsent(nc net.Conn) {
	if tc, ok := nc.(*tls.Conn); ok {
		nc = tc.NetConn()
	}
	tc, ok := nc.(*net.TCPConn)
	if !ok {
		return
	}
	if raw, err := tc.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) {
			_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, unsent)
		})
	}
}

// attempt is one write that does not wait.
type attempt struct {
	data []byte
	n    int
	err  error
	run  func(fd uintptr) bool // write, bound once
}

var attempts = sync.Pool{New: func() any {
	a := new(attempt)
	a.run = a.write
	return a
}}

// TryWrite implements promptWriter.
func (p *pollPark) TryWrite(b []byte) (int, error) { return socket{p.raw}.TryWrite(b) }

// AwaitWrite implements promptWriter.
func (p *pollPark) AwaitWrite() error { return socket{p.raw}.AwaitWrite() }

// socket is one of the kernel.
type socket struct{ raw syscall.RawConn }

// kernelWriter is nil for other connections than sockets of the kernel.
func kernelWriter(nc net.Conn) promptWriter {
	var sc syscall.Conn
	switch nc := nc.(type) { // by concrete type, as in newPark
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
	return socket{raw}
}

// TryWrite implements promptWriter.
func (s socket) TryWrite(b []byte) (int, error) {
	a := attempts.Get().(*attempt)
	a.data, a.n, a.err = b, 0, nil
	err := s.raw.Write(a.run)
	n := a.n
	if err == nil {
		err = a.err
	}
	a.data, a.err = nil, nil
	attempts.Put(a)
	return n, err
}

// write ends the wait for the socket to be writable in any case.
func (a *attempt) write(fd uintptr) bool {
	n, err := syscall.Write(int(fd), a.data)
	for err == syscall.EINTR {
		n, err = syscall.Write(int(fd), a.data)
	}
	a.n = max(n, 0)
	if err != nil && err != syscall.EAGAIN {
		a.err = os.NewSyscallError("write", err)
	}
	return true
}

// AwaitWrite implements promptWriter.
func (s socket) AwaitWrite() error { return s.raw.Write(writable) }

// writable asks the kernel, as the runtime's poller tells of changes only: one
// may have come before the wait has begun.
func writable(fd uintptr) bool {
	events := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}
	n, err := unix.Poll(events, 0)
	for err == unix.EINTR {
		n, err = unix.Poll(events, 0)
	}
	return n > 0 || err != nil // an error comes again with the next write
}
