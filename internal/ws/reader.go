package ws

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"unicode/utf8"

	gws "github.com/gobwas/ws"

	"github.com/socketcluster-go/socketcluster/wire"
)

// Park waits until Read has something to do: a byte has arrived, or the
// connection has ended. It returns true at once if a [Poller] waits in its
// place: then the caller must end, and Owner.Resume is called on a goroutine
// of its own when it is time to call Park again. Otherwise it blocks, with a
// shallower stack than Read. With stay it always blocks, which saves ending and
// starting a goroutine if the wait is expected to be short.
func (c *Conn) Park(stay bool) (gone bool) {
	if len(c.in) > 0 || c.err != nil {
		return false
	}
	var err error
	if stay {
		err = c.more(false)
	} else {
		gone, err = c.leave()
	}
	if err != nil {
		_, _ = c.fail(nil, err, false)
	}
	return gone
}

// Buffered reports whether the next message is here as a whole, in one frame, so that Read
// does not wait.
func (c *Conn) Buffered() bool {
	if c.err != nil || len(c.in) < 2 || c.in[0]&0x80 == 0 {
		return false
	}
	if op := gws.OpCode(c.in[0] & 0x0f); op != gws.OpText && op != gws.OpBinary {
		return false
	}
	head, size := 2, int(c.in[1]&0x7f)
	if c.in[1]&0x80 != 0 {
		head += 4 // the mask
	}
	switch size {
	case 126:
		if len(c.in) < 4 {
			return false
		}
		head, size = head+2, int(binary.BigEndian.Uint16(c.in[2:]))
	case 127:
		return false // none of that size is
	}
	return len(c.in) >= head+size
}

// Read returns the next message. Its error is a *CloseError for the peer's
// close frame, a *ProtocolError if the peer broke the protocol or exceeded a
// limit, and any other error if the connection is lost (code 1006). Later calls
// return the same error again.
func (c *Conn) Read() (Message, error) {
	if c.err != nil {
		return Message{}, *c.err
	}
	var (
		h      gws.Header
		buf    *buffer
		frames int32
		op     gws.OpCode
		state  = c.side

		compressed bool
		checked    int // bytes of buf that are known to be UTF-8
	)
	for {
		// Parking here keeps the stack of the waiting goroutine shallow.
		if buf != nil {
			if err := c.hold(buf); err != nil {
				return c.fail(buf, err, true)
			}
		}
		if len(c.in) == 0 {
			if err := c.more(false); err != nil {
				return c.fail(buf, err, frames > 0)
			}
		}
		if err := c.header(&h, state); err != nil {
			return c.fail(buf, err, true)
		}
		if h.OpCode.IsControl() {
			if err := c.control(&h); err != nil {
				return c.fail(buf, err, true)
			}
			continue
		}
		if frames++; frames > c.maxFragments {
			return c.fail(buf, ErrFragments, true)
		}
		if h.OpCode != gws.OpContinuation {
			op = h.OpCode
			compressed = h.Rsv != 0
		}
		limit := c.limit.Load()
		if compressed {
			limit = compressedLimit(limit)
		}
		// This check comes before any allocation, in a form that cannot
		// overflow.
		if h.Length > limit-int64(buf.len()) {
			return c.fail(buf, ErrTooBig, true)
		}
		if err := c.payload(&buf, &h); err != nil {
			return c.fail(buf, err, true)
		}
		if h.Fin {
			break
		}
		if op == gws.OpText && !compressed {
			n := wholeCharacters(buf.bytes())
			if n > checked && !utf8.Valid(buf.bytes()[checked:n]) {
				return c.fail(buf, errInvalidText, true)
			}
			checked = n
		}
		state = state.Set(gws.StateFragmented)
	}
	_ = c.hold(nil) // it belongs to the caller now
	if compressed {
		var err error
		if buf, err = c.inflate(buf); err != nil {
			return c.fail(buf, err, true)
		}
	}
	if op == gws.OpText && !utf8.Valid(buf.bytes()[checked:]) {
		return c.fail(buf, errInvalidText, true)
	}
	return Message{Binary: op == gws.OpBinary, Data: buf.bytes(), buf: buf}, nil
}

// hold reports the memory of a message whose rest the connection is about to
// wait for.
func (c *Conn) hold(buf *buffer) error {
	n := 0
	if buf != nil {
		n = cap(buf.data)
	}
	if n == c.held || c.owner == nil {
		return nil
	}
	more := n - c.held
	c.held = n
	return c.owner.Hold(more)
}

// wholeCharacters returns the length of b without an incomplete character at
// its end.
func wholeCharacters(b []byte) int {
	for n := len(b) - 1; n >= max(0, len(b)-utf8.UTFMax+1); n-- {
		if utf8.RuneStart(b[n]) {
			if !utf8.FullRune(b[n:]) {
				return n
			}
			break
		}
	}
	return len(b)
}

// fail records err as the end of reading and drops all buffers.
func (c *Conn) fail(buf *buffer, err error, started bool) (Message, error) {
	buf.release()
	_ = c.hold(nil)
	c.in = nil
	c.giveBack()
	if started && errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	err = c.readError(err)
	c.err = &err
	return Message{}, err
}

// payload appends the frame's payload to *buf, unmasked.
func (c *Conn) payload(buf **buffer, h *gws.Header) error {
	left := int(h.Length) // fits: the limit has been checked, and control frames are short
	for done := 0; left > 0; {
		b := *buf
		// Small parts come through a read buffer, which also picks up the
		// following frames. The bulk of a large message is read in place.
		direct := len(c.in) == 0 && left >= readSize && b.len() >= readSize
		if len(c.in) == 0 && !direct {
			if !h.OpCode.IsControl() { // which may come in the middle of a message
				if err := c.hold(b); err != nil {
					return err
				}
			}
			if err := c.more(true); err != nil {
				return err
			}
		}
		var (
			n    = min(left, max(len(c.in), 1))
			room = left
			err  error
		)
		if !h.Fin {
			// With room for only one fragment at a time, each fragment would
			// copy the message.
			room = max(left, b.len())
		}
		if direct {
			b = b.grow(1, room)
			*buf = b
			if err := c.hold(b); err != nil {
				return err
			}
			end := len(b.data)
			n, err = c.nc.Read(b.data[end:min(cap(b.data), end+left)])
			b.data = b.data[:end+n]
			c.received.Add(int64(n))
			if n == 0 {
				if err == nil {
					err = io.ErrNoProgress
				}
				return err
			}
		} else {
			b = b.grow(n, room)
			*buf = b
			b.data = append(b.data, c.in[:n]...)
			c.consume(n)
		}
		if h.Masked {
			gws.Cipher(b.data[len(b.data)-n:], h.Mask, done)
		}
		done += n
		left -= n
	}
	return nil
}

// control reads and handles a control frame.
func (c *Conn) control(h *gws.Header) error {
	var buf *buffer
	err := c.payload(&buf, h)
	if err == nil {
		switch h.OpCode {
		case gws.OpClose:
			err = closeError(buf.bytes())
		case gws.OpPing:
			if c.owner != nil {
				c.owner.Ping(bytes.Clone(buf.bytes()))
			}
		}
	}
	buf.release()
	return err
}

// closeError returns the error for a close frame with this payload.
func closeError(p []byte) error {
	if len(p) == 0 {
		return &CloseError{Code: wire.CloseNoStatus}
	}
	if len(p) == 1 {
		return errClosePayload
	}
	code := wire.CloseCode(binary.BigEndian.Uint16(p))
	if !code.Sendable() {
		return errCloseCode
	}
	if !utf8.Valid(p[2:]) {
		return errCloseReason
	}
	return &CloseError{Code: code, Reason: string(p[2:])}
}
