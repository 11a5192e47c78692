package rfc6455

import (
	"fmt"
	"strings"
)

// Message is a data message that every server must accept.
type Message struct {
	Name    string
	Binary  bool
	Payload string
}

func (m *Message) op() byte {
	if m.Binary {
		return opBinary
	}
	return opText
}

// Messages returns messages of lengths at which their encoding changes, of
// characters at the limits of UTF-8, and of contents that compress well or not
// at all.
func Messages() []Message {
	var all []Message
	for _, n := range lengths {
		all = append(all,
			Message{fmt.Sprintf("text of %d bytes", n), false, text(n)},
			Message{fmt.Sprintf("binary of %d bytes", n), true, noise(n)})
	}
	for _, s := range validTexts() {
		all = append(all, Message{fmt.Sprintf("text %+q", s), false, s})
	}
	for _, s := range invalidTexts {
		all = append(all, Message{fmt.Sprintf("binary %+q", s), true, s})
	}
	return append(all,
		Message{"zeros", true, strings.Repeat("\x00", 300_000)},
		Message{"one letter", false, strings.Repeat("a", 300_000)},
	)
}

// lengths are the lengths at which a header changes, and their neighbours.
var lengths = []int{0, 1, 2, 124, 125, 126, 127, 128, 1000, 4095, 4096, 4097, 65534, 65535, 65536, 65537, 200_000}

// text returns readable text with repetitions of many lengths.
func text(n int) string {
	var b strings.Builder
	for i := 0; b.Len() < n; i++ {
		fmt.Fprintf(&b, "%d bottles on the wall, ", i*i%977)
	}
	return b.String()[:n]
}

// noise returns text that does not compress.
func noise(n int) string {
	b := make([]byte, n)
	x := uint32(2463534242)
	for i := range b {
		x ^= x << 13
		x ^= x >> 17
		x ^= x << 5
		b[i] = byte(x >> 11)
	}
	return string(b)
}

// validTexts are UTF-8 (RFC 3629): the first and last character of each length,
// the neighbours of forbidden ranges, and the last two code points of each
// plane, which are not characters but may be sent.
func validTexts() []string {
	all := []string{
		"plain", "Привет, мир", "日本語", "שלום", "a\u0301", "👩‍👩‍👧", "\ufeffwith a mark in front", "x\ufffdy",
		"\x00", "\x7f", "\u0080", "\u07ff", "\u0800", "\ud7ff", "\ue000", "\ufffd", "\U00010000",
	}
	for plane := range rune(17) {
		all = append(all, string(plane<<16|0xfffe), string(plane<<16|0xffff))
	}
	return all
}

// invalidTexts are not UTF-8.
var invalidTexts = []string{
	// Continuation bytes without a beginning.
	"\x80", "\xbf", "\x80\xbf", "\x80\xbf\x80", "\x80\xbf\x80\xbf", "ab\x80cd",
	// Incomplete characters.
	"\xc2", "\xdf", "\xe0\xa0", "\xe1", "\xef\xbf", "\xf0\x90", "\xf0\x90\x80", "\xf4\x8f\xbf", "\xf1",
	// Incomplete characters followed by something else.
	"\xc2 ", "\xe0\xa0 ", "\xf0\x90\x80 ", "\xe1\xe1\x80\x80", "\xf1\x80\xc2\x80",
	// Bytes that begin no character.
	"\xc0", "\xf5\x80\x80\x80", "\xf8\x88\x80\x80\x80", "\xfc\x84\x80\x80\x80\x80", "\xfe", "\xff", "\xfe\xfe\xff\xff",
	// Overlong encodings.
	"\xc0\xaf", "\xe0\x80\xaf", "\xf0\x80\x80\xaf", "\xc0\x80", "\xe0\x80\x80", "\xf0\x80\x80\x80",
	"\xc1\xbf", "\xe0\x9f\xbf", "\xf0\x8f\xbf\xbf",
	// Halves of surrogate pairs, and surrogate pairs.
	"\xed\xa0\x80", "\xed\xad\xbf", "\xed\xae\x80", "\xed\xaf\xbf", "\xed\xb0\x80", "\xed\xbe\x80", "\xed\xbf\xbf",
	"\xed\xa0\x80\xed\xb0\x80", "\xed\xaf\xbf\xed\xbf\xbf",
	// Beyond the last code point.
	"\xf4\x90\x80\x80", "\xf7\xbf\xbf\xbf",
}
