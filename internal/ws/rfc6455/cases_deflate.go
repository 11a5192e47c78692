package rfc6455

import (
	"compress/flate"
	"fmt"
	"strings"
)

// compression by RFC 7692, if it has been negotiated.
func compression(t *table) {
	good := func(rule, name string, stream []byte, replies ...Reply) {
		t.good("7692 "+rule, name, stream, replies...)
		t.only(Compressed)
	}
	bad := func(rule, name string, code int, stream []byte, replies ...Reply) {
		t.bad("7692 "+rule, name, code, stream, replies...)
		t.only(Compressed)
	}
	for _, m := range Messages() {
		reply := Reply{m.op(), m.Payload}
		z := deflate(flate.DefaultCompression, m.Payload)
		good("7.2", m.Name, frame(fin|rsv1|m.op(), z), reply)
	}
	for _, n := range lengths {
		for _, m := range []Message{{"text", false, text(n)}, {"binary", true, noise(n)}} {
			name := fmt.Sprintf("%s of %d bytes", m.Name, n)
			reply := Reply{m.op(), m.Payload}
			z := deflate(flate.DefaultCompression, m.Payload)
			good("6.1", name+" in three fragments", split(rsv1|m.op(), z, len(z)/3, len(z)/3), reply)
			if n <= 1000 {
				t.pieces(1, "7692 7.2", name, frame(fin|rsv1|m.op(), z), reply)
				t.only(Compressed)
				good("6.1", name+" in fragments of a byte", every(rsv1|m.op(), z, 1), reply)
			}
		}
	}
	for _, level := range []int{flate.NoCompression, flate.HuffmanOnly, 1, 6, 9} {
		for _, m := range []Message{{"text", false, text(100_000)}, {"noise", true, noise(100_000)}} {
			good("7.2.1", fmt.Sprintf("%s compressed with level %d", m.Name, level),
				frame(fin|rsv1|m.op(), deflate(level, m.Payload)), Reply{m.op(), m.Payload})
		}
	}
	hello := deflate(flate.DefaultCompression, "Hello")
	helloReply := Reply{opText, "Hello"}
	good("7.2.3.1", "the example", frame(fin|rsv1|opText, "\xf2\x48\xcd\xc9\xc9\x07\x00"), helloReply)
	good("7.2.3.1", "the example in fragments", split(rsv1|opText, "\xf2\x48\xcd\xc9\xc9\x07\x00", 3), helloReply)
	good("7.2.3.3", "a block without compression", frame(fin|rsv1|opText, "\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00"), helloReply)
	good("7.2.3.4", "a final block", frame(fin|rsv1|opText, "\xf3\x48\xcd\xc9\xc9\x07\x00\x00"), helloReply)
	good("7.2.3.5", "two blocks", frame(fin|rsv1|opText, "\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00"), helloReply)
	good("7.2.3.6", "an empty message", frame(fin|rsv1|opText, "\x00"), Reply{opText, ""})
	good("7.1.1.2", "the same twice, each by itself", join(frame(fin|rsv1|opText, hello), frame(fin|rsv1|opText, hello)), helloReply, helloReply)
	bad("7.1.1.2", "a reference to the message before", closeInvalid,
		join(frame(fin|rsv1|opText, "\xf2\x48\xcd\xc9\xc9\x07\x00"), frame(fin|rsv1|opText, "\xf2\x00\x11\x00\x00")), helloReply)
	good("6.1", "plain messages between", join(frame(fin|opText, "a"), frame(fin|rsv1|opText, hello), split(opText, "bc", 1), frame(fin|rsv1|opText, hello)),
		Reply{opText, "a"}, helloReply, Reply{opText, "bc"}, helloReply)
	good("6.1", "a ping amid fragments", join(frame(rsv1|opText, hello[:2]), frame(fin|opPing, "p"), frame(fin|opContinuation, hello[2:])),
		Reply{opPong, "p"}, helloReply)
	good("6.1", "all in the last fragment", join(frame(rsv1|opText, ""), frame(fin|opContinuation, hello)), helloReply)

	bad("6.1", "the bit on a continuation", closeProtocol, join(frame(rsv1|opText, hello[:2]), frame(fin|rsv1|opContinuation, hello[2:])))
	bad("6.1", "the bit on a continuation of a plain message", closeProtocol, join(frame(opText, "a"), frame(fin|rsv1|opContinuation, hello)))
	bad("5.4", "a compressed message amid fragments", closeProtocol, join(frame(opText, "a"), frame(fin|rsv1|opText, hello)))
	bad("6", "other bits beside", closeProtocol, frame(fin|rsv1|rsv2|opText, hello))

	for _, s := range invalidTexts {
		bad("6.2", fmt.Sprintf("text %+q", s), closeInvalid, frame(fin|rsv1|opText, deflate(flate.DefaultCompression, s)))
	}
	for name, payload := range map[string]string{
		"nothing": "", "text": "Hello", "a kind of block that is reserved": "\x06", "a distance too far": "\x4a\x84\x03\x00",
		"a block cut short": deflate(flate.DefaultCompression, text(1000))[:100], "a length that does not match": "\x00\x05\x00\x05\x00Hello\x00",
	} {
		bad("7.2.2", "broken: "+name, closeInvalid, frame(fin|rsv1|opBinary, payload))
	}

	z := deflate(flate.DefaultCompression, strings.Repeat("a", Limit))
	good("6.2", "at the limit", frame(fin|rsv1|opText, z), Reply{opText, strings.Repeat("a", Limit)})
	good("6.2", "at the limit, and longer by compression", frame(fin|rsv1|opBinary, deflate(flate.NoCompression, noise(Limit))), Reply{opBinary, noise(Limit)})
	bad("6.2", "a byte over the limit", closeTooBig, frame(fin|rsv1|opText, deflate(flate.DefaultCompression, strings.Repeat("a", Limit+1))))
	bomb := strings.Repeat(z+deflateTail, 500)
	bad("6.2", "500 MiB in 500 KiB", closeTooBig, frame(fin|rsv1|opBinary, bomb))
	bad("6.2", "500 MiB in fragments", closeTooBig, every(rsv1|opBinary, bomb, 4096))
	bad("6.2", "many streams in a message", closeTooBig, frame(fin|rsv1|opBinary, strings.Repeat("\x03\x00", 100_000)))
	bad("6.2", "announced", closeTooBig, announced(fin|rsv1|opBinary, 2*Limit))
}
