package ws

import (
	"errors"
	"net"
	"os"
	"sync"
	"time"
)

// chunkSize is the size of a TLS record, and up to where copying small frames
// together is cheaper than a vector: the runtime keeps a connection's vector
// for as long as the connection lives.
const chunkSize = 16 << 10

type chunk [chunkSize]byte

var chunks = sync.Pool{New: func() any { return new(chunk) }}

var vectors = sync.Pool{New: func() any { return new(net.Buffers) }}

// WriteFrames writes whole frames in order. It fails when the connection does
// and with os.ErrDeadlineExceeded when the peer takes no byte for stall (over
// TLS: not one record of 16 KiB); zero or less waits for ever. After an error
// the stream is broken in the middle of a frame: close the connection. The
// elements of frames are set to nil or shortened, their bytes stay untouched.
func (c *Conn) WriteFrames(frames [][]byte, stall time.Duration) error {
	total := 0
	for _, f := range frames {
		total += len(f)
	}
	if total == 0 {
		return nil
	}
	var err error
	switch {
	case c.vectored() && len(frames) == 1:
		err = c.write(frames[0], stall)
	case c.vectored() && total > chunkSize:
		err = c.writeVector(frames, stall)
	default:
		err = c.writeChunks(frames, stall)
	}
	if c.armed && err == nil {
		// An idle connection has no timer running.
		c.armed = false
		err = c.nc.SetWriteDeadline(time.Time{})
	}
	return err
}

// vectored reports whether net.Buffers ends up in one system call.
func (c *Conn) vectored() bool {
	switch c.nc.(type) {
	case *net.TCPConn, *net.UnixConn:
		return true
	}
	return false
}

// writeVector hands all frames to the kernel at once.
func (c *Conn) writeVector(frames [][]byte, stall time.Duration) error {
	v := vectors.Get().(*net.Buffers)
	*v = frames
	defer func() {
		*v = nil
		vectors.Put(v)
	}()
	for {
		if err := c.arm(stall); err != nil {
			return err
		}
		n, err := v.WriteTo(c.nc)
		if !slow(n, err) {
			return err
		}
	}
}

// writeChunks copies the frames together and writes them chunk by chunk, so
// that a stalled TLS connection, which cannot resume a write, is told from a
// slow one.
func (c *Conn) writeChunks(frames [][]byte, stall time.Duration) error {
	buf := chunks.Get().(*chunk)
	defer chunks.Put(buf)
	n := 0
	for _, f := range frames {
		for len(f) > 0 {
			k := copy(buf[n:], f)
			f = f[k:]
			if n += k; n == chunkSize {
				if err := c.write(buf[:], stall); err != nil {
					return err
				}
				n = 0
			}
		}
	}
	if n == 0 {
		return nil
	}
	return c.write(buf[:n], stall)
}

// write writes all of p. Most often the kernel takes it at once, and no
// deadline is needed, which would cost almost as much as the write itself.
func (c *Conn) write(p []byte, stall time.Duration) error {
	p = p[c.writeNow(p):]
	if len(p) == 0 {
		return nil
	}
	for {
		if err := c.arm(stall); err != nil {
			return err
		}
		n, err := c.nc.Write(p)
		if !slow(n, err) {
			return err
		}
		p = p[n:]
	}
}

// arm starts the time within which some progress is due.
func (c *Conn) arm(stall time.Duration) error {
	if stall <= 0 {
		return nil
	}
	c.armed = true
	return c.nc.SetWriteDeadline(time.Now().Add(stall))
}

// slow reports whether a write ran out of time but not without progress, so
// that it is to be continued.
func slow[N int | int64](n N, err error) bool {
	return n > 0 && errors.Is(err, os.ErrDeadlineExceeded)
}
