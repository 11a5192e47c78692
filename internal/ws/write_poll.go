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

// unsent is the number of bytes that the kernel accepts for a connection beyond
// those that are on their way to the peer. Further bytes stay with the writer,
// where pings can overtake them and they can be taken back. The peer's progress
// also shows sooner.
const unsent = 128 << 10

// limitUnsent makes the kernel accept no more than unsent bytes for a TCP
// connection, or for the one below TLS. Writing also works without it.
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

// promptWriter returns nil for a connection that is not a kernel socket.
func (p *park) promptWriter() promptWriter {
	if p.raw == nil {
		return nil
	}
	return p
}

// TryWrite implements promptWriter.
func (p *park) TryWrite(b []byte) (int, error) { return socket{p.raw}.TryWrite(b) }

// AwaitWrite implements promptWriter.
func (p *park) AwaitWrite() error { return socket{p.raw}.AwaitWrite() }

// socket is a kernel socket.
type socket struct{ raw syscall.RawConn }

// kernelWriter returns nil for a connection that is not a kernel socket.
func kernelWriter(nc net.Conn) promptWriter {
	if raw := rawConn(nc); raw != nil {
		return socket{raw}
	}
	return nil
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

// write always ends the wait for the socket to be writable.
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

// writable asks the kernel, because the runtime's poller reports only changes:
// one may have come before the wait began. The next write returns an error again.
func writable(fd uintptr) bool { return ready(fd, unix.POLLOUT) }

// ready reports whether a descriptor is ready for an operation, or broken.
func ready(fd uintptr, operation int16) bool {
	events := []unix.PollFd{{Fd: int32(fd), Events: operation}}
	n, err := unix.Poll(events, 0)
	for err == unix.EINTR {
		n, err = unix.Poll(events, 0)
	}
	return n > 0 || err != nil
}
