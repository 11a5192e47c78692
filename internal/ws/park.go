package ws

import (
	"io"
	"sync"
)

// readSize is the size of the read buffers that connections borrow.
const readSize = 4096

type readBuffer [readSize]byte

var readBuffers = sync.Pool{New: func() any { return new(readBuffer) }}

// Polled reports whether the connection is a plain socket of the operating system, that
// the runtime's poller waits for, or says so itself.
func (c *Conn) Polled() bool {
	if p, ok := c.nc.(interface{ Polled() bool }); ok {
		return p.Polled()
	}
	return c.park.polls()
}

// ReadAll reports whether the kernel has nothing more from the peer, once Read has
// returned its close frame. It is false if that is not known. If it is true, and the peer
// sends nothing more, the connection may be closed at once: the peer still gets all that
// was written.
func (c *Conn) ReadAll() bool { return c.park.readAll() }

// borrow gives c a read buffer that starts with the carried bytes, and returns
// the part to read into.
func (c *Conn) borrow() []byte {
	c.buf = readBuffers.Get().(*readBuffer)
	return c.buf[copy(c.buf[:], c.carry[:c.carried]):]
}

// filled accepts the n bytes that were read after the carried ones.
func (c *Conn) filled(n int) {
	c.in = c.buf[:int(c.carried)+n]
	c.carried = 0
	c.received.Add(int64(n))
}

// giveBack returns the read buffer to the pool.
func (c *Conn) giveBack() {
	if c.buf != nil {
		readBuffers.Put(c.buf)
		c.buf = nil
	}
}

// more waits for bytes after the unread ones, which are the beginning of a
// frame header or nothing.
func (c *Conn) more(started bool) error {
	c.carried = uint8(copy(c.carry[:], c.in))
	c.in = nil
	c.giveBack()
	return c.wait(started)
}

// Unread reports whether there is something of the peer, or its end, with which the reader is
// not done: it still waits in the kernel, or the reader has not come back for more since. It
// may be called while another goroutine reads. If the connection is no kernel socket, only the
// latter is known.
func (c *Conn) Unread() bool { return c.flags.Load()&idle == 0 || c.waits() }

// consume drops n unread bytes.
func (c *Conn) consume(n int) {
	c.in = c.in[n:]
	if len(c.in) == 0 {
		c.in = nil
		c.giveBack()
	}
}

// waitInRead is wait for connections that can only be read: between frames it
// waits with the first two bytes of a header, inside the Conn.
func (c *Conn) waitInRead(started bool) error {
	dst := c.carry[:2]
	if started {
		dst = c.borrow()
	}
	c.setIdle(!started && c.carried == 0)
	n, err := c.nc.Read(dst)
	c.setIdle(false)
	if n == 0 {
		c.giveBack()
		if err == nil {
			err = io.ErrNoProgress
		}
		return err
	}
	// An error that comes with bytes comes again with the next read.
	if started {
		c.filled(n)
		return nil
	}
	c.in = c.carry[:n]
	c.received.Add(int64(n))
	return nil
}
