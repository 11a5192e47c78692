package ws

import (
	"math/bits"
	"sync"
)

// Message is one whole data message.
type Message struct {
	// Binary distinguishes a binary message from a text message, whose Data is
	// valid UTF-8.
	Binary bool
	// Data is the payload, never nil. It belongs to the caller until Release.
	Data []byte

	buf *buffer
}

// Release returns the memory of the message to its pool. Afterwards neither
// Data nor anything that aliases it may be used. Call it on one copy of the
// Message only; a second call on that copy does nothing.
func (m *Message) Release() {
	buf := m.buf
	m.Data, m.buf = nil, nil
	buf.release()
}

// Message buffers are pooled in classes of 2^minClass to 2^maxClass bytes.
const (
	minClass = 6
	maxClass = 16
)

// buffer is a growing piece of message memory. A nil *buffer is empty.
type buffer struct {
	data []byte
}

var classes [maxClass - minClass + 1]sync.Pool

// newBuffer returns an empty buffer for at least n bytes.
func newBuffer(n int) *buffer {
	if n > 1<<maxClass {
		return &buffer{data: make([]byte, 0, n)}
	}
	class := max(bits.Len(uint(n-1)), minClass)
	if b, ok := classes[class-minClass].Get().(*buffer); ok {
		return b
	}
	return &buffer{data: make([]byte, 0, 1<<class)}
}

// release puts the buffer back into its pool, or leaves it to the garbage
// collector.
func (b *buffer) release() {
	if b == nil || cap(b.data) > 1<<maxClass {
		return
	}
	b.data = b.data[:0]
	classes[bits.Len(uint(cap(b.data)-1))-minClass].Put(b)
}

// bytes returns the content. It is never nil.
func (b *buffer) bytes() []byte {
	if b == nil {
		return []byte{}
	}
	return b.data
}

func (b *buffer) len() int {
	if b == nil {
		return 0
	}
	return len(b.data)
}

// grow returns a buffer with the same content and room for need more bytes,
// where left >= need bytes are expected in all. It grows at most fourfold, so
// that memory follows the bytes that arrive, not the length that was announced.
func (b *buffer) grow(need, left int) *buffer {
	have := b.len()
	if b != nil && cap(b.data)-have >= need {
		return b
	}
	grown := newBuffer(min(have+left, 4*(have+need)))
	grown.data = append(grown.data, b.bytes()...)
	b.release()
	return grown
}
