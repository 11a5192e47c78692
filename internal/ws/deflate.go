package ws

import (
	"compress/flate"
	"runtime"
	"sync"
)

// compressedBit is RSV1, which marks a compressed message (RFC 7692, section 6).
const compressedBit = 0x40

// flushTail is the end of a flushed DEFLATE stream, which a compressed message
// leaves out (RFC 7692, section 7.2.1).
const flushTail = "\x00\x00\xff\xff"

// compressor is a writer of compress/flate, which takes about a megabyte, and
// its output.
type compressor struct {
	w   *flate.Writer
	out []byte
}

// keepCompressed bounds the output buffers that go back to the pool to a part
// of the size of the writer itself.
const keepCompressed = 256 << 10

// compressors are pooled by level.
var compressors [flate.BestCompression + 1]sync.Pool

// compressing bounds the number of compressors at work, and so the number that
// exist: more than there are processors would not be faster.
var compressing = make(chan struct{}, runtime.GOMAXPROCS(0))

// Write implements io.Writer.
func (z *compressor) Write(p []byte) (int, error) {
	z.out = append(z.out, p...)
	return len(p), nil
}

// Deflate returns a frame with its payload compressed, for a connection that is
// [Conn.Compressed]. The frame must be a whole one from [Seal]. Control frames,
// frames with a payload of less than threshold bytes, and compressed frames are
// returned as they are. frame itself is not changed. level is that of
// compress/flate, from 1 to 9. Deflate waits for its turn while all processors
// are busy compressing.
func Deflate(frame []byte, level, threshold int) []byte {
	op := Opcode(frame[0] & 0x0f)
	payload := framePayload(frame)
	if op != OpText && op != OpBinary || frame[0]&compressedBit != 0 || len(payload) < threshold {
		return frame
	}
	compressing <- struct{}{}
	defer func() { <-compressing }()
	z, ok := compressors[level].Get().(*compressor)
	if !ok {
		z = new(compressor)
		// The level is valid, and writing to memory cannot fail.
		z.w, _ = flate.NewWriter(nil, level)
	}
	z.out = z.out[:0]
	z.w.Reset(z)
	_, _ = z.w.Write(payload)
	_ = z.w.Flush()
	compressed := z.out[:len(z.out)-len(flushTail)]
	sealed := Seal(append(NewBuffer(len(compressed)), compressed...), op)
	sealed[0] |= compressedBit
	if cap(z.out) > keepCompressed {
		z.out = nil
	}
	compressors[level].Put(z)
	return sealed
}

// framePayload returns the payload of a frame from Seal.
func framePayload(frame []byte) []byte {
	size := 2
	switch frame[1] {
	case 126:
		size += 2
	case 127:
		size += 8
	}
	return frame[size:]
}
