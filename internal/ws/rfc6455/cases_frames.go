package rfc6455

import "fmt"

// framing: lengths, masks and kinds.
func framing(t *table) {
	for _, n := range lengths {
		for _, m := range []Message{{"text", false, text(n)}, {"binary", true, noise(n)}} {
			reply := Reply{m.op(), m.Payload}
			name := fmt.Sprintf("%s of %d bytes", m.Name, n)
			t.good("5.2", name, frame(fin|m.op(), m.Payload), reply)
			switch {
			case n <= 1000:
				t.pieces(1, "5.2", name, frame(fin|m.op(), m.Payload), reply)
			default:
				t.pieces(997, "5.2", name, frame(fin|m.op(), m.Payload), reply)
			}
		}
	}
	for _, e := range []struct{ length, width int }{{0, 2}, {5, 2}, {125, 2}, {0, 8}, {5, 8}, {126, 8}, {65535, 8}} {
		// A sender must choose the shortest encoding; a receiver need not
		// check.
		t.good("5.2", fmt.Sprintf("%d bytes with a length of %d", e.length, e.width),
			long(fin|opText, e.width, text(e.length)), Reply{opText, text(e.length)})
	}
	t.bad("5.2", "highest bit of the length", closeProtocol, announced(fin|opBinary, 1<<63))
	t.bad("5.2", "all bits of the length", closeProtocol, announced(fin|opBinary, 1<<64-1))
	for _, m := range [][4]byte{{}, {0xff, 0xff, 0xff, 0xff}, {0, 0, 0, 1}, {1, 0, 0, 0}, {'a', 'b', 'c', 'd'}} {
		t.good("5.3", fmt.Sprintf("masked with %x", m), masked(fin|opText, "abcdefg", m), Reply{opText, "abcdefg"})
	}
	t.good("5.3", "a mask for each frame",
		join(masked(opText, "abc", [4]byte{1, 2, 3, 4}), masked(fin|opContinuation, "def", [4]byte{5, 6, 7, 8})), Reply{opText, "abcdef"})
	for _, f := range []struct {
		name  string
		first byte
	}{{"text", fin | opText}, {"binary", fin | opBinary}, {"first fragment", opText}, {"ping", fin | opPing}, {"pong", fin | opPong}} {
		for _, payload := range []string{"", "hello"} {
			t.bad("5.1", fmt.Sprintf("unmasked %s of %d bytes", f.name, len(payload)), closeProtocol,
				join(frame(fin|opText, "before"), unmasked(f.first, payload)), Reply{opText, "before"})
		}
	}
	t.bad("5.1", "unmasked continuation", closeProtocol, join(frame(opText, "a"), unmasked(fin|opContinuation, "b")))
	t.bad("5.1", "unmasked close", closeProtocol, unmasked(fin|opClose, "\x03\xe8"))
	var stream []byte
	var replies []Reply
	for i := range 300 {
		op := byte(opText + i%2)
		stream = append(stream, frame(fin|op, text(i))...)
		replies = append(replies, Reply{op, text(i)})
	}
	t.good("5.2", "300 messages in a row", stream, replies...)
	t.pieces(50, "5.2", "300 messages in a row", stream, replies...)
}

// pings and pongs.
func pings(t *table) {
	for _, payload := range []string{"", "p", "hello", text(124), text(125), noise(125), "\x00\xff\xfe\xfd", "\xc3"} {
		name := fmt.Sprintf("ping of %d bytes %.4q", len(payload), payload)
		t.good("5.5.2", name, frame(fin|opPing, payload), Reply{opPong, payload})
		t.pieces(1, "5.5.2", name, frame(fin|opPing, payload), Reply{opPong, payload})
		// An unsolicited pong is a sign of life, and has no reply.
		name = fmt.Sprintf("pong of %d bytes %.4q", len(payload), payload)
		t.good("5.5.3", name, join(frame(fin|opPong, payload), frame(fin|opPing, "after")), Reply{opPong, "after"})
	}
	for _, n := range []int{126, 127, 1000, 65535, 65536} {
		t.bad("5.5", fmt.Sprintf("ping of %d bytes", n), closeProtocol, frame(fin|opPing, text(n)))
		t.bad("5.5", fmt.Sprintf("pong of %d bytes", n), closeProtocol, frame(fin|opPong, text(n)))
	}
	t.bad("5.5", "ping of 5 bytes with a long length", closeProtocol, long(fin|opPing, 2, "hello"))
	t.bad("5.5", "ping known as too long by two bytes", closeProtocol, []byte{fin | opPing, 0xfe})
	t.bad("5.5", "ping in fragments", closeProtocol, join(frame(opPing, "a"), frame(fin|opContinuation, "b")))
	t.bad("5.5", "pong in fragments", closeProtocol, join(frame(opPong, "a"), frame(fin|opContinuation, "b")))
	t.bad("5.5", "empty ping that is not final", closeProtocol, frame(opPing, ""))
	for _, n := range []int{2, 10, 100} {
		var stream []byte
		var replies []Reply
		for i := range n {
			stream = append(stream, frame(fin|opPing, fmt.Sprint(i))...)
			replies = append(replies, Reply{opPong, fmt.Sprint(i)})
		}
		t.good("5.5.2", fmt.Sprintf("%d pings in a row", n), stream, replies...)
		t.pieces(1, "5.5.2", fmt.Sprintf("%d pings in a row", n), stream, replies...)
	}
	t.good("5.5.2", "pings around a message", join(frame(fin|opPing, "1"), frame(fin|opText, "m"), frame(fin|opPing, "2")),
		Reply{opPong, "1"}, Reply{opText, "m"}, Reply{opPong, "2"})
}

// reservedBits without an extension that gives them a meaning.
func reservedBits(t *table) {
	for bits := byte(rsv3); bits <= rsvs; bits += rsv3 {
		for _, f := range []struct {
			name   string
			op     byte
			before []byte
		}{
			{"text", opText, nil},
			{"binary", opBinary, nil},
			{"continuation", opContinuation, frame(opText, "begun")},
			{"ping", opPing, nil},
			{"ping amid fragments", opPing, frame(opText, "begun")},
			{"pong", opPong, nil},
			{"close", opClose, nil},
		} {
			t.bad("5.2", fmt.Sprintf("bits %03b of a %s", bits>>4, f.name), closeProtocol,
				join(frame(fin|opText, "before"), f.before, frame(fin|bits|f.op, "\x03\xe8")), Reply{opText, "before"})
			if bits == rsv1 && (f.op == opText || f.op == opBinary) {
				t.only(Plain)
			}
		}
	}
}

// reservedOpcodes of data and of control.
func reservedOpcodes(t *table) {
	for _, op := range []byte{3, 4, 5, 6, 7, 0xb, 0xc, 0xd, 0xe, 0xf} {
		name := fmt.Sprintf("opcode %#x", op)
		t.bad("5.2", name+", empty", closeProtocol, frame(fin|op, ""))
		t.bad("5.2", name+", with a payload", closeProtocol, frame(fin|op, "hello"))
		t.bad("5.2", name+", not final", closeProtocol, frame(op, ""))
		t.bad("5.2", name+" after a message", closeProtocol, join(frame(fin|opText, "before"), frame(fin|op, "x")), Reply{opText, "before"})
		t.bad("5.2", name+" amid fragments", closeProtocol, join(frame(opText, "be"), frame(fin|op, "x"), frame(fin|opContinuation, "fore")))
	}
}
