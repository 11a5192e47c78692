package socketcluster

import (
	"compress/flate"

	"github.com/socketcluster-go/socketcluster/internal/outbox"
	"github.com/socketcluster-go/socketcluster/internal/ws"
)

// DefaultCompressionThreshold is that of the npm package ws. Smaller messages
// fit in one network packet in any case.
const DefaultCompressionThreshold = 1024

// Compression makes a server accept permessage-deflate (RFC 7692) from clients
// that offer it, as browsers and the stock client do. Each message is
// compressed by itself: an idle connection takes no more memory than without
// compression, and a publication is compressed once for all its subscribers.
//
// Compression trades CPU time for network traffic, see docs/OPERATIONS.md for
// figures. Limits.MessageSize applies to decompressed messages.
//
// The length of a message shows how well it compresses, and encryption does not
// hide the length. If one message contains both a secret and text that a
// stranger chose, and the stranger can see the traffic and cause such messages
// again and again, the secret can be guessed piece by piece (the attacks CRIME
// and BREACH). Messages do not share a window, so a secret in a message of its
// own is safe.
type Compression struct {
	// Level is the compression level: 1 is the fastest, 9 gives the smallest
	// messages. 0 turns compression off, in both directions.
	Level int

	// Threshold is the minimum size of a message that the server compresses, in
	// bytes. Default: [DefaultCompressionThreshold].
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

// deflate compresses a frame if that is worthwhile.
func (srv *Server) deflate(frame []byte) []byte {
	return ws.Deflate(frame, srv.cfg.Compression.Level, srv.cfg.Compression.Threshold)
}

// deflateShared is deflate for the frame of a publication. It returns nil if no
// client could read the result. The publisher calls it before the channel is
// locked.
func (srv *Server) deflateShared(frame []byte) []byte {
	if frame == nil || srv.compressed.Load() == 0 {
		return nil
	}
	return srv.deflate(frame)
}

// peer returns the socket as the peer of its outbox.
func (s *Socket) peer() outbox.Peer {
	if s.conn.Compressed() {
		return deflatingPeer{(*outboxPeer)(s)}
	}
	return (*outboxPeer)(s)
}

// deflatingPeer compresses frames on the goroutine that writes them: without a
// lock, at most as many as one write takes, and none for a client that is gone.
type deflatingPeer struct{ *outboxPeer }

// Prepare implements outbox.Preparer.
func (p deflatingPeer) Prepare(frame []byte) []byte { return p.srv.deflate(frame) }
