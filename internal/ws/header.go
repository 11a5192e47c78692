package ws

import (
	"encoding/binary"

	gws "github.com/gobwas/ws"

	"github.com/socketcluster-go/socketcluster/wire"
)

// maxHeader is the longest header of a masked frame.
const maxHeader = gws.MaxHeaderSize

// rsv1 is compressedBit as gobwas/ws represents it in headers. It may only be
// set in the first frame of a message.
const rsv1 = compressedBit >> 4

// header consumes the next frame header and checks it. If the first two bytes
// are already invalid, it does not wait for more.
func (c *Conn) header(h *gws.Header, state gws.State) error {
	for len(c.in) < 2 {
		if err := c.more(len(c.in) > 0); err != nil {
			return err
		}
	}
	size := firstBytes(c.in, h)
	compressed := c.deflate && h.Rsv == rsv1 && (h.OpCode == gws.OpText || h.OpCode == gws.OpBinary)
	if compressed {
		h.Rsv = 0
	}
	if err := gws.CheckHeader(*h, state); err != nil {
		return &ProtocolError{wire.CloseProtocolError, err.Error()}
	}
	for len(c.in) < size {
		if err := c.more(true); err != nil {
			return err
		}
	}
	if !restOfHeader(c.in[2:size], h) {
		return errLengthBit
	}
	c.consume(size)
	if compressed {
		h.Rsv = rsv1
	}
	return nil
}

// firstBytes decodes the first two bytes of a frame and returns the size of its
// header. Length stays 126 or 127 if the real length follows; that is already
// too much for a control frame.
func firstBytes(b []byte, h *gws.Header) (size int) {
	*h = gws.Header{
		Fin:    b[0]&0x80 != 0,
		Rsv:    b[0] & 0x70 >> 4,
		OpCode: gws.OpCode(b[0] & 0x0f),
		Masked: b[1]&0x80 != 0,
		Length: int64(b[1] & 0x7f),
	}
	size = 2
	switch h.Length {
	case 126:
		size += 2
	case 127:
		size += 8
	}
	if h.Masked {
		size += len(h.Mask)
	}
	return size
}

// restOfHeader decodes the bytes after the first two. It returns false if the
// highest bit of a 64-bit length is set. A length that would fit a shorter
// encoding is accepted, as RFC 6455 allows receivers to do, and as other
// servers do.
func restOfHeader(b []byte, h *gws.Header) bool {
	switch h.Length {
	case 126:
		h.Length = int64(binary.BigEndian.Uint16(b))
		b = b[2:]
	case 127:
		h.Length = int64(binary.BigEndian.Uint64(b))
		b = b[8:]
	}
	copy(h.Mask[:], b)
	return h.Length >= 0
}
