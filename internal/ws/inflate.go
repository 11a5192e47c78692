package ws

import (
	"compress/flate"
	"io"
	"runtime"
	"sync"
)

// inflateTail is appended to a compressed message: the tail that the sender
// left out, and a final block, without which the decompressor could not
// distinguish the end of the message from a missing part.
const inflateTail = flushTail + "\x01\x00\x00\xff\xff"

// compressedLimit returns the maximum compressed size of a message of up to
// limit bytes. Data that does not compress grows: in zlib by an eighth and some
// bytes at most, at its lowest memory level.
func compressedLimit(limit int64) int64 { return limit + limit/8 + 64 }

// inflater is a decompressor, which takes 40 KiB.
type inflater struct {
	r   io.Reader // also a flate.Resetter
	src inflateSource
}

var inflaters = sync.Pool{New: func() any {
	z := new(inflater)
	z.r = flate.NewReader(&z.src)
	return z
}}

// inflating bounds the number of decompressors at work, and so the memory for
// compressed messages besides their content.
var inflating = make(chan struct{}, runtime.GOMAXPROCS(0))

// inflateSource is a message and its tail. It is an io.ByteReader so that the
// decompressor does not read further than it needs.
type inflateSource struct {
	data []byte
	tail string
}

// ReadByte implements io.ByteReader.
func (s *inflateSource) ReadByte() (b byte, err error) {
	switch {
	case len(s.data) > 0:
		b, s.data = s.data[0], s.data[1:]
	case s.tail != "":
		b, s.tail = s.tail[0], s.tail[1:]
	default:
		err = io.EOF
	}
	return b, err
}

// Read implements io.Reader.
func (s *inflateSource) Read(p []byte) (n int, err error) {
	if len(s.data) > 0 {
		n = copy(p, s.data)
		s.data = s.data[n:]
		return n, nil
	}
	if s.tail == "" {
		return 0, io.EOF
	}
	n = copy(p, s.tail)
	s.tail = s.tail[n:]
	return n, nil
}

func (s *inflateSource) empty() bool { return len(s.data) == 0 && s.tail == "" }

// inflate decompresses a message and releases its compressed form. It works on
// a goroutine of its own, because the decompressor grows the stack, and the
// stack of the reading goroutine would stay large.
func (c *Conn) inflate(buf *buffer) (out *buffer, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		out, err = inflate(buf.bytes(), int(c.limit.Load()), c.maxFragments)
	}()
	<-done
	buf.release()
	return out, err
}

// inflate decompresses data to at most limit bytes. Memory grows with the
// decompressed bytes, not with the possible size of the message. The data may
// consist of several streams, each with a final block (RFC 7692, section
// 7.2.3.4), but of no more than maxStreams, because beginning a stream costs
// far more than its bytes.
func inflate(data []byte, limit int, maxStreams int32) (out *buffer, err error) {
	inflating <- struct{}{}
	defer func() { <-inflating }()
	z := inflaters.Get().(*inflater)
	z.src = inflateSource{data, inflateTail}
	defer func() {
		z.src = inflateSource{}
		inflaters.Put(z)
		if err != nil {
			out.release()
			out = nil
		}
	}()
	// One byte beyond the limit shows that the message is too long. Text
	// usually becomes about four times as long.
	size := max(min(4*len(data), limit+1), 1)
	out = out.grow(size, size)
	for range maxStreams {
		_ = z.r.(flate.Resetter).Reset(&z.src, nil) // never fails
		for err == nil {
			have := len(out.data)
			if have > limit {
				return out, ErrTooBig
			}
			out = out.grow(1, max(min(have, limit+1-have), 1))
			var n int
			n, err = z.r.Read(out.data[have:min(cap(out.data), limit+1)])
			out.data = out.data[:have+n]
		}
		if err != io.EOF {
			return out, errDeflate
		}
		if len(out.data) > limit {
			return out, ErrTooBig
		}
		if err = nil; z.src.empty() {
			return out, nil
		}
	}
	return out, ErrStreams
}
