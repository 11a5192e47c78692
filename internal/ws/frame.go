package ws

import (
	"crypto/rand"
	"encoding/binary"
	"math"

	gws "github.com/gobwas/ws"

	"github.com/socketcluster-go/socketcluster/wire"
)

// HeaderSpace is the room that [NewBuffer] reserves before a payload: the size
// of the longest header of an unmasked frame.
const HeaderSpace = 10

// Opcode is the kind of an outbound frame.
type Opcode byte

// The opcodes of RFC 6455, section 5.2. There is no continuation: frames are
// never fragmented.
const (
	OpText   = Opcode(gws.OpText)
	OpBinary = Opcode(gws.OpBinary)
	OpClose  = Opcode(gws.OpClose)
	OpPing   = Opcode(gws.OpPing)
	OpPong   = Opcode(gws.OpPong)
)

const (
	finBit   = 0x80 // marks the last (here: the only) frame of a message
	maskBit  = 0x80 // marks a masked frame
	maskSize = 4
)

// NewBuffer returns a buffer whose first HeaderSpace bytes are reserved and
// that has room for capacity bytes of payload, to be appended.
func NewBuffer(capacity int) []byte {
	return make([]byte, HeaderSpace, HeaderSpace+capacity)
}

// Seal writes the header of a frame directly before the payload in
// buf[HeaderSpace:], and returns the whole frame, which aliases buf. The buffer
// must come from [NewBuffer], and must be sealed only once.
func Seal(buf []byte, op Opcode) []byte {
	n := len(buf) - HeaderSpace
	first := finBit | byte(op)
	switch {
	case n < 126:
		frame := buf[HeaderSpace-2:]
		frame[0], frame[1] = first, byte(n)
		return frame
	case n <= math.MaxUint16:
		frame := buf[HeaderSpace-4:]
		frame[0], frame[1] = first, 126
		binary.BigEndian.PutUint16(frame[2:], uint16(n))
		return frame
	default:
		buf[0], buf[1] = first, 127
		binary.BigEndian.PutUint64(buf[2:], uint64(n))
		return buf
	}
}

// Mask returns a frame as a client sends it, with a payload that is masked by
// an unpredictable key (RFC 6455, section 5.3). The frame must be a whole one
// from [Seal], [Deflate] or [CloseFrame]; it is not changed.
func Mask(frame []byte) []byte {
	payload := framePayload(frame)
	header := len(frame) - len(payload)
	masked := append(make([]byte, 0, len(frame)+maskSize), frame[:header]...)
	masked[1] |= maskBit
	key := masked[header : header+maskSize]
	rand.Read(key)
	masked = append(masked[:header+maskSize], payload...)
	gws.Cipher(masked[header+maskSize:], [maskSize]byte(key), 0)
	return masked
}

// CloseFrame returns a whole close frame. For a code that must not be sent (0,
// 1005, 1006, see TR-33) the frame is empty. The reason is cut to 123 bytes,
// between characters.
func CloseFrame(code wire.CloseCode, reason string) []byte {
	if !code.Sendable() {
		return Seal(NewBuffer(0), OpClose)
	}
	reason = wire.TruncateReason(reason)
	buf := NewBuffer(2 + len(reason))
	buf = binary.BigEndian.AppendUint16(buf, uint16(code))
	return Seal(append(buf, reason...), OpClose)
}
