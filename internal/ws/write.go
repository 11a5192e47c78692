package ws

import (
	"crypto/tls"
	"errors"
	"os"
	"sync"
	"time"
)

// chunkSize is the size of a TLS record. It is the amount that is written at a
// time to a connection that may wait.
const chunkSize = 16 << 10

// blockSize is the size up to which frames are copied together. That is cheaper
// than a vector, because the runtime keeps a connection's vector for as long as
// the connection lives.
const blockSize = 64 << 10

var (
	chunks = sync.Pool{New: func() any { return new([chunkSize]byte) }}
	blocks = sync.Pool{New: func() any { return new([blockSize]byte) }}
)

// promptWriter is a connection that supports writing without waiting: a kernel
// socket, or a connection in memory.
type promptWriter interface {
	// TryWrite writes what is accepted at once, which may be nothing.
	TryWrite(p []byte) (n int, err error)

	// AwaitWrite waits until something would be accepted, or until the write
	// deadline.
	AwaitWrite() error
}

func (c *Conn) promptWriter() promptWriter {
	if w := c.park.promptWriter(); w != nil {
		return w
	}
	w, _ := c.nc.(promptWriter)
	return w
}

// Prompt reports whether WriteFrames never waits.
func (c *Conn) Prompt() bool { return c.promptWriter() != nil }

// WriteFrames writes some of the frames, in order, and returns the number of
// bytes; the last ones may be the beginning of a frame. It returns 0 if nothing
// is accepted without waiting; see AwaitWrite. A connection that is not Prompt
// waits, however, and is given at most 16 KiB: WriteFrames fails with
// os.ErrDeadlineExceeded if the connection accepts nothing within stall (over
// TLS: not all of it). Zero or less waits forever. After an error the stream
// may be broken in the middle of a frame: close the connection.
func (c *Conn) WriteFrames(frames [][]byte, stall time.Duration) (n int, err error) {
	w := c.promptWriter()
	switch {
	case w == nil:
		return c.writeChunk(frames, stall)
	case len(frames) == 1:
		return w.TryWrite(frames[0])
	}
	block := blocks.Get().(*[blockSize]byte)
	defer blocks.Put(block)
	for len(frames) > 0 {
		piece, count := together(frames, block[:])
		written, err := w.TryWrite(piece)
		n += written
		if err != nil || written < len(piece) {
			return n, err
		}
		frames = frames[count:]
	}
	return n, nil
}

// WriteAll writes all of p, such as a frame. It fails with
// os.ErrDeadlineExceeded if the peer accepts nothing within stall.
func (c *Conn) WriteAll(p []byte, stall time.Duration) error {
	for {
		n, err := c.WriteFrames([][]byte{p}, stall)
		if err != nil {
			return err
		}
		if p = p[n:]; len(p) == 0 {
			return nil
		}
		if err := c.AwaitWrite(stall); err != nil {
			return err
		}
	}
}

// together returns the bytes of as many frames as fit into buf, and their number. A
// large one, or a single one, is not copied.
func together(frames [][]byte, buf []byte) (piece []byte, count int) {
	if len(frames) == 1 || len(frames[0]) > len(buf)/2 {
		return frames[0], 1
	}
	for _, f := range frames {
		if len(f) > len(buf)-len(piece) {
			break
		}
		piece = append(buf[:len(piece)], f...)
		count++
	}
	return piece, count
}

// writeChunk writes a chunk, whose last part may be the beginning of a frame.
func (c *Conn) writeChunk(frames [][]byte, stall time.Duration) (n int, err error) {
	buf := chunks.Get().(*[chunkSize]byte)
	defer chunks.Put(buf)
	size := 0
	for _, f := range frames {
		size += copy(buf[size:], f)
	}
	if err := c.arm(stall); err != nil {
		return 0, err
	}
	n, err = c.nc.Write(buf[:size])
	if _, records := c.nc.(*tls.Conn); n > 0 && !records && errors.Is(err, os.ErrDeadlineExceeded) {
		err = nil // slow, but not without progress
	}
	if err == nil {
		err = c.disarm(stall)
	}
	return n, err
}

// AwaitWrite waits until WriteFrames would write something, but fails with
// os.ErrDeadlineExceeded after stall. Zero or less waits forever. It returns at
// once if the connection does not support such a wait.
func (c *Conn) AwaitWrite(stall time.Duration) error {
	w := c.promptWriter()
	if w == nil {
		if w = c.below(); w == nil {
			return nil
		}
	}
	if err := c.arm(stall); err != nil {
		return err
	}
	err := w.AwaitWrite()
	if disarmed := c.disarm(stall); err == nil {
		err = disarmed
	}
	return err
}

// below returns the connection to which TLS writes.
func (c *Conn) below() promptWriter {
	tc, ok := c.nc.(*tls.Conn)
	if !ok {
		return nil
	}
	if w, ok := tc.NetConn().(promptWriter); ok {
		return w
	}
	return kernelWriter(tc.NetConn())
}

// arm starts the time within which there must be progress.
func (c *Conn) arm(stall time.Duration) error {
	if stall <= 0 {
		return nil
	}
	return c.nc.SetWriteDeadline(time.Now().Add(stall))
}

// disarm ends that time, so an idle connection has no running timer.
func (c *Conn) disarm(stall time.Duration) error {
	if stall <= 0 {
		return nil
	}
	return c.nc.SetWriteDeadline(time.Time{})
}
