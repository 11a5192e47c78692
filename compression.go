package socketcluster

import (
	"compress/flate"

	"github.com/socketcluster-go/socketcluster/internal/outbox"
	"github.com/socketcluster-go/socketcluster/internal/ws"
)

// DefaultCompressionThreshold is that of the npm package ws, and about what
// fits a network packet in any case.
const DefaultCompressionThreshold = 1024

// Compression makes a server accept permessage-deflate (RFC 7692) from
// clients that offer it, as browsers and the stock client do. Each message is
// compressed by itself: an idle connection costs no more memory than without,
// and a publication is compressed once for all its subscribers.
//
// Compression is an exchange of CPU time for network traffic, see
// docs/OPERATIONS.md for figures. Limits.MessageSize holds for what a message
// is after it has been decompressed.
//
// How well a message compresses shows in its length, which encryption does not
// hide. Where one message holds both a secret and text that a stranger has
// chosen, and the stranger can see the traffic and have such messages sent
// over and over, the secret can be guessed piece by piece (the attacks CRIME
// and BREACH). Messages do not share a window, so a secret in a message of its
// own is safe.
type Compression struct {
	// Level is how hard the server tries: 1 is the fastest, 9 gives the
	// smallest messages. 0 turns compression off, in both directions.
	Level int

	// Threshold is how many bytes a message has at least that the server
	// compresses. Default: [DefaultCompressionThreshold].
	Threshold int
}

func (c *Compression) setDefaults() error {
	if c.Level < 0 || c.Level > flate.BestCompression {
		return configError("Compression.Level", "is %d; it must be from 1 to %d, or 0 for none", c.Level, flate.BestCompression)
	}
	if c.Threshold < 0 {
		return configError("Compression.Threshold", "is %d; it must not be negative", c.Threshold)
	}
	if c.Threshold == 0 {
		c.Threshold = DefaultCompressionThreshold
	}
	return nil
}

// deflate compresses a frame that is worth it.
func (srv *Server) deflate(frame []byte) []byte {
	return ws.Deflate(frame, srv.cfg.Compression.Level, srv.cfg.Compression.Threshold)
}

// deflateShared is deflate for the frame of a publication: nil as long as no
// client could read the result. It runs before the channel is locked, on the
// publisher's time.
func (srv *Server) deflateShared(frame []byte) []byte {
	if frame == nil || srv.compressed.Load() == 0 {
		return nil
	}
	return srv.deflate(frame)
}

// outboxConn is what the outbox of a socket writes to.
func (s *Socket) outboxConn() outbox.Conn {
	if s.conn.Compressed() {
		return deflatingConn{s.conn, s.srv}
	}
	return s.conn
}

// deflatingConn compresses what a socket writes, on the goroutine that writes
// it: without a lock, at most a write's worth at a time, and not at all for a
// client that is gone.
type deflatingConn struct {
	*ws.Conn
	srv *Server
}

// Prepare implements outbox.Preparer.
func (c deflatingConn) Prepare(frame []byte) []byte { return c.srv.deflate(frame) }
