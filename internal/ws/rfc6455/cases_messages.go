package rfc6455

import (
	"fmt"
	"strings"
)

// fragments of messages, and what may be between them.
func fragments(t *table) {
	for _, m := range []Message{{"text", false, text(1000)}, {"binary", true, noise(1000)}} {
		reply := Reply{m.op(), m.Payload}
		for _, n := range []int{1, 2, 3, 10, 100, 500, 999} {
			name := fmt.Sprintf("%s in fragments of %d bytes", m.Name, n)
			t.good("5.4", name, every(m.op(), m.Payload, n), reply)
			t.pieces(3, "5.4", name, every(m.op(), m.Payload, n), reply)
		}
		t.good("5.4", m.Name+" with an empty first fragment", split(m.op(), m.Payload, 0), reply)
		t.good("5.4", m.Name+" with an empty last fragment", split(m.op(), m.Payload, 1000), reply)
		t.good("5.4", m.Name+" with empty fragments between", split(m.op(), m.Payload, 10, 0, 0, 10, 0), reply)
		t.good("5.4", m.Name+" of empty fragments", split(m.op(), "", 0, 0, 0), Reply{m.op(), ""})
		t.good("5.4", m.Name+" of two fragments, twice", join(split(m.op(), "abcd", 2), split(m.op(), "efgh", 3)),
			Reply{m.op(), "abcd"}, Reply{m.op(), "efgh"})
		t.good("5.4", m.Name+" with a ping between", join(frame(m.op(), "ab"), frame(fin|opPing, "p"), frame(fin|opContinuation, "cd")),
			Reply{opPong, "p"}, Reply{m.op(), "abcd"})
		t.pieces(1, "5.4", m.Name+" with a ping between", join(frame(m.op(), "ab"), frame(fin|opPing, "p"), frame(fin|opContinuation, "cd")),
			Reply{opPong, "p"}, Reply{m.op(), "abcd"})
		t.good("5.4", m.Name+" with a pong between", join(frame(m.op(), "ab"), frame(fin|opPong, "p"), frame(fin|opContinuation, "cd")),
			Reply{m.op(), "abcd"})
		var stream []byte
		var replies []Reply
		for i := range 20 {
			first := byte(opContinuation)
			if i == 0 {
				first = m.op()
			}
			stream = append(stream, join(frame(first, "x"), frame(fin|opPing, fmt.Sprint(i)))...)
			replies = append(replies, Reply{opPong, fmt.Sprint(i)})
		}
		replies = append(replies, Reply{m.op(), strings.Repeat("x", 20)})
		t.good("5.4", m.Name+" with a ping behind each fragment", join(stream, frame(fin|opContinuation, "")), replies...)

		// An unfinished message has no reply.
		t.good("5.5.1", m.Name+" with a close frame between", frame(m.op(), "ab"))
		for _, final := range []byte{0, fin} {
			t.bad("5.4", fmt.Sprintf("%s begins amid fragments, first byte %#x", m.Name, final|m.op()), closeProtocol,
				join(frame(opText, "ab"), frame(final|m.op(), "cd"), frame(fin|opContinuation, "ef")))
		}
	}
	for _, first := range []byte{opContinuation, fin | opContinuation} {
		for _, payload := range []string{"", "hello"} {
			name := fmt.Sprintf("continuation %#x of nothing, %d bytes", first, len(payload))
			t.bad("5.4", name, closeProtocol, frame(first, payload))
			t.bad("5.4", name+", after a message", closeProtocol, join(frame(fin|opText, "before"), frame(first, payload)), Reply{opText, "before"})
			t.bad("5.4", name+", after fragments", closeProtocol, join(split(opText, "before", 3), frame(first, payload)), Reply{opText, "before"})
			t.bad("5.4", name+", after a ping", closeProtocol, join(frame(fin|opPing, "p"), frame(first, payload)), Reply{opPong, "p"})
		}
	}
	t.good("5.4", "as many fragments as are allowed", every(opText, text(Fragments), 1), Reply{opText, text(Fragments)})
	t.bad("7.4.1", "a fragment too many", closeTooBig, every(opText, text(Fragments+1), 1))
	t.bad("7.4.1", "fragments of nothing without an end", closeTooBig,
		join(frame(opText, ""), []byte(strings.Repeat(string(frame(opContinuation, "")), Fragments))))
}

// utf8Texts that are valid, and that are not.
func utf8Texts(t *table) {
	for _, s := range validTexts() {
		name := fmt.Sprintf("%+q", s)
		t.good("5.6", name, frame(fin|opText, s), Reply{opText, s})
		t.good("5.6", name+" in fragments of a byte", every(opText, s, 1), Reply{opText, s})
	}
	mixed := strings.Join(validTexts(), " ")
	t.good("5.6", "all of them", frame(fin|opText, mixed), Reply{opText, mixed})
	t.pieces(1, "5.6", "all of them", frame(fin|opText, mixed), Reply{opText, mixed})
	t.good("5.6", "all of them in fragments of a byte", every(opText, mixed, 1), Reply{opText, mixed})
	t.pieces(1, "5.6", "all of them in fragments of a byte", every(opText, mixed, 1), Reply{opText, mixed})
	for n := range len("a€😀") + 1 {
		t.good("5.6", fmt.Sprintf("split after byte %d, with a ping there", n),
			join(frame(opText, "a€😀"[:n]), frame(fin|opPing, "\xff"), frame(fin|opContinuation, "a€😀"[n:])), Reply{opPong, "\xff"}, Reply{opText, "a€😀"})
	}
	for _, s := range invalidTexts {
		name := fmt.Sprintf("%+q", s)
		t.bad("8.1", name, closeInvalid, frame(fin|opText, s))
		t.bad("8.1", name+" in fragments of a byte", closeInvalid, every(opText, "κόσμε"+s, 1))
		t.bad("8.1", name+" behind a message", closeInvalid, join(frame(fin|opText, "before"), frame(fin|opText, mixed+s)), Reply{opText, "before"})
		t.good("5.6", name+" as binary", frame(fin|opBinary, s), Reply{opBinary, s})
	}
	// The error is known before the end of the message.
	for _, s := range []string{"\xff", "\xc0", "\x80", "ab\xed\xa0\x80", "\xf4\x90", "\xe0\x80", "\xc2\x20"} {
		t.bad("8.1", fmt.Sprintf("%+q in a first fragment", s), closeInvalid, frame(opText, s))
		t.bad("8.1", fmt.Sprintf("%+q in a second fragment", s), closeInvalid, join(frame(opText, "κόσμε"), frame(opContinuation, s)))
	}
}

// sizes and limits.
func sizes(t *table) {
	for _, n := range []int{64 << 10, 256 << 10, Limit} {
		for _, m := range []Message{{"text", false, text(n)}, {"binary", true, noise(n)}} {
			reply := Reply{m.op(), m.Payload}
			name := fmt.Sprintf("%s of %d KiB", m.Name, n>>10)
			t.good("5.2", name, frame(fin|m.op(), m.Payload), reply)
			for _, part := range []int{512, 4096, 65536} {
				if n > part {
					t.good("5.4", fmt.Sprintf("%s in fragments of %d bytes", name, part), every(m.op(), m.Payload, part), reply)
				}
			}
		}
	}
	t.pieces(1021, "5.2", "binary at the limit", frame(fin|opBinary, noise(Limit)), Reply{opBinary, noise(Limit)})
	t.bad("7.4.1", "a byte over the limit", closeTooBig, frame(fin|opBinary, noise(Limit+1)))
	t.bad("7.4.1", "a byte over the limit, in fragments", closeTooBig, every(opText, text(Limit+1), 64<<10))
	t.bad("7.4.1", "16 MiB", closeTooBig, frame(fin|opBinary, noise(16<<20)))
	for _, n := range []uint64{Limit + 1, 1 << 32, 1<<63 - 1} {
		t.bad("7.4.1", fmt.Sprintf("%d bytes, announced", n), closeTooBig, announced(fin|opBinary, n))
		t.bad("7.4.1", fmt.Sprintf("%d bytes, announced behind a fragment", n), closeTooBig,
			join(frame(opBinary, "x"), announced(fin|opContinuation, n)))
	}
	for _, n := range []int{0, 16, 64, 256, 1024, 4096} {
		const count = 100
		var stream []byte
		var replies []Reply
		for range count {
			stream = append(stream, frame(fin|opText, text(n))...)
			replies = append(replies, Reply{opText, text(n)})
		}
		t.good("5.2", fmt.Sprintf("%d messages of %d bytes", count, n), stream, replies...)
	}
}
