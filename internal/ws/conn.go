package ws

import (
	"crypto/tls"
	"errors"
	"math"
	"net"
	"os"
	"sync/atomic"
	"time"

	gws "github.com/gobwas/ws"
)

// DefaultReadLimit is used if Options.ReadLimit is zero (TR-8).
const DefaultReadLimit = 100 << 20

// defaultMaxFragments is used if Options.MaxFragments is zero.
const defaultMaxFragments = 4096

// Conn is a WebSocket connection. Read and WriteFrames have one
// caller each at a time; everything else is safe from any goroutine.
type Conn struct {
	nc    net.Conn
	park  park
	owner Owner
	held  int    // the bytes that the owner knows of
	err   *error // the lasting result of Read, once there is one

	in  []byte      // unread bytes, an alias of buf, carry or the upgrade's leftover
	buf *readBuffer // borrowed from readBuffers, nil while parked

	limit        atomic.Int64
	received     atomic.Int64
	maxFragments int32
	flags        atomic.Uint32 // closed and idle

	side    gws.State // who is at this end: a server, or a client
	deflate bool      // permessage-deflate has been negotiated
	carried uint8     // bytes of carry that the next read buffer starts with
	carry   [maxHeader - 1]byte
}

// The flags of a Conn.
const (
	closed uint32 = 1 << iota
	idle          // the reader is done with all that it has got, and waits between messages
)

func (c *Conn) setIdle(is bool) {
	if is {
		c.flags.Or(idle)
	} else {
		c.flags.And(^idle)
	}
}

// newConn returns a server's connection over nc; in is what has already been
// read from it.
func newConn(nc net.Conn, in []byte, o Options) *Conn {
	c := &Conn{nc: nc, owner: o.Owner, in: in, side: gws.StateServerSide, maxFragments: defaultMaxFragments}
	if o.MaxFragments > 0 {
		c.maxFragments = int32(min(o.MaxFragments, 1<<30))
	}
	c.SetReadLimit(o.ReadLimit)
	c.received.Store(int64(len(in)))
	c.park.init(nc, o.Poller)
	return c
}

// SetReadLimit sets the maximum size of a message in bytes; zero or less means
// DefaultReadLimit. It applies from the next frame header on.
func (c *Conn) SetReadLimit(n int64) {
	if n <= 0 {
		n = DefaultReadLimit
	}
	// This leaves room for computing with the sizes of buffers.
	c.limit.Store(min(n, math.MaxInt/8))
}

// Compressed reports whether the peer understands the frames of [Deflate].
func (c *Conn) Compressed() bool { return c.deflate }

// BytesRead returns the number of bytes received from the peer since the
// upgrade.
func (c *Conn) BytesRead() int64 { return c.received.Load() }

// LocalAddr returns the address on this side.
func (c *Conn) LocalAddr() net.Addr { return c.nc.LocalAddr() }

// RemoteAddr returns the address of the peer.
func (c *Conn) RemoteAddr() net.Addr { return c.nc.RemoteAddr() }

// Unwrap returns the connection below, for its options; reading from it or
// writing to it breaks the framing.
func (c *Conn) Unwrap() net.Conn { return c.nc }

// Close drops the connection without a closing handshake and without waiting.
// A blocked Read or WriteFrames returns. Calls after the first do nothing.
func (c *Conn) Close() error {
	if c.flags.Or(closed)&closed != 0 {
		return nil
	}
	defer c.leaveForGood()
	tc, ok := c.nc.(*tls.Conn)
	if !ok {
		return c.nc.Close()
	}
	// crypto/tls sends an alert first, and may wait seconds for a peer that
	// does not read. That must delay neither the caller nor the reader.
	err := tc.NetConn().SetReadDeadline(time.Unix(1, 0))
	go tc.Close()
	return err
}

// Interrupt ends reading with os.ErrDeadlineExceeded. Bytes that have arrived
// before may be lost. Writing continues.
func (c *Conn) Interrupt() {
	_ = c.nc.SetReadDeadline(time.Unix(1, 0))
	c.signal()
}

// readError returns the error that Read returns for err. The deadline that
// Close sets under TLS is not the peer's fault.
func (c *Conn) readError(err error) error {
	if c.flags.Load()&closed != 0 && errors.Is(err, os.ErrDeadlineExceeded) {
		return net.ErrClosed
	}
	return err
}
