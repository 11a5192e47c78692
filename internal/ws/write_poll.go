//go:build linux || darwin

package ws

import (
	"sync"
	"syscall"
)

// attempt is one write that does not wait.
type attempt struct {
	data []byte
	n    int
	run  func(fd uintptr) bool // write, bound once
}

var attempts = sync.Pool{New: func() any {
	a := new(attempt)
	a.run = a.write
	return a
}}

// writeNow writes as much of p as the kernel takes without waiting. That is
// nothing on a connection that is no socket. Errors come again with the next
// write.
func (c *Conn) writeNow(p []byte) int {
	park, ok := c.park.(*pollPark)
	if !ok {
		return 0
	}
	a := attempts.Get().(*attempt)
	a.data, a.n = p, 0
	_ = park.raw.Write(a.run)
	n := a.n
	a.data = nil
	attempts.Put(a)
	return n
}

// write ends the wait for the socket to be writable in any case.
func (a *attempt) write(fd uintptr) bool {
	n, err := syscall.Write(int(fd), a.data)
	for err == syscall.EINTR {
		n, err = syscall.Write(int(fd), a.data)
	}
	a.n = max(n, 0)
	return true
}
