package rfc6455

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"io"
	"strings"
)

// Opcodes and first-byte bits.
const (
	opContinuation, opText, opBinary = 0x0, 0x1, 0x2
	opClose, opPing, opPong          = 0x8, 0x9, 0xa

	fin                    = 0x80
	rsv1, rsv2, rsv3, rsvs = 0x40, 0x20, 0x10, 0x70
)

var (
	mask = [4]byte{0x9c, 0x31, 0x07, 0xe5}
	bye  = closeFrame(closeNormal, "")
)

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

// frame returns a client's frame with the shortest encoding of its length.
func frame(first byte, payload string) []byte { return masked(first, payload, mask) }

func masked(first byte, payload string, mask [4]byte) []byte {
	b := append(head(first, 0x80, len(payload)), mask[:]...)
	for i := range len(payload) {
		b = append(b, payload[i]^mask[i%4])
	}
	return b
}

// unmasked returns a frame without a mask, which only a server may send.
func unmasked(first byte, payload string) []byte {
	return append(head(first, 0, len(payload)), payload...)
}

func head(first, maskBit byte, n int) []byte {
	switch {
	case n < 126:
		return []byte{first, maskBit | byte(n)}
	case n < 1<<16:
		return binary.BigEndian.AppendUint16([]byte{first, maskBit | 126}, uint16(n))
	default:
		return binary.BigEndian.AppendUint64([]byte{first, maskBit | 127}, uint64(n))
	}
}

// long returns a frame with its length in 2 or 8 bytes, even if fewer would do.
func long(first byte, width int, payload string) []byte {
	b := []byte{first, 0x80 | 126}
	if width == 8 {
		b[1] = 0x80 | 127
	}
	length := binary.BigEndian.AppendUint64(nil, uint64(len(payload)))
	b = append(b, length[8-width:]...)
	return append(b, frame(first, payload)[len(head(first, 0, len(payload))):]...)
}

// announced returns the header of a frame of n bytes, without any of them.
func announced(first byte, n uint64) []byte {
	return append(binary.BigEndian.AppendUint64([]byte{first, 0xff}, n), mask[:]...)
}

func closeFrame(code int, reason string) []byte {
	return frame(fin|opClose, string(binary.BigEndian.AppendUint16(nil, uint16(code)))+reason)
}

// split returns a payload in fragments of the given sizes; the last one has the
// rest.
func split(first byte, payload string, sizes ...int) []byte {
	var b []byte
	for _, n := range sizes {
		b = append(b, frame(first, payload[:n])...)
		first, payload = opContinuation, payload[n:]
	}
	return append(b, frame(fin|first, payload)...)
}

// every returns a payload in fragments of n bytes.
func every(first byte, payload string, n int) []byte {
	return split(first, payload, evenly(len(payload), n)...)
}

// evenly returns the sizes of all fragments of n bytes except the last.
func evenly(length, n int) (sizes []int) {
	for ; length > n; length -= n {
		sizes = append(sizes, n)
	}
	return sizes
}

// deflate compresses a payload with a level of compress/flate.
func deflate(level int, payload string) string {
	var b bytes.Buffer
	w, _ := flate.NewWriter(&b, level)
	_, _ = io.WriteString(w, payload)
	_ = w.Flush()
	return strings.TrimSuffix(b.String(), deflateTail)
}

// deflateTail is the tail that a compressed message leaves out.
const deflateTail = "\x00\x00\xff\xff"

// inflater decompresses messages.
type inflater struct{ r io.ReadCloser }

func (z *inflater) inflate(payload string) (string, error) {
	in := strings.NewReader(payload + deflateTail + "\x01\x00\x00\xff\xff")
	if z.r == nil {
		z.r = flate.NewReader(in)
	} else if err := z.r.(flate.Resetter).Reset(in, nil); err != nil {
		return "", err
	}
	b, err := io.ReadAll(z.r)
	return string(b), err
}
