package rfc6455

import "fmt"

// ValidCloseCodes may be in a close frame: those of RFC 6455, section 7.4.1,
// those of its registry, and the ranges for libraries and applications.
var ValidCloseCodes = []int{1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4500, 4999}

// closing handshakes.
func closing(t *table) {
	for _, code := range ValidCloseCodes {
		for _, reason := range []string{"", "going home", "κόσμος", text(123)} {
			t.add(Case{Name: fmt.Sprintf("code %d with a reason of %d bytes", code, len(reason)), Rule: "7.4.1",
				Stream: closeFrame(code, reason), Code: code})
		}
	}
	for _, code := range []int{0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 10000, 65535} {
		t.bad("7.4", fmt.Sprintf("code %d", code), closeProtocol, closeFrame(code, ""))
		t.bad("7.4", fmt.Sprintf("code %d with a reason", code), closeProtocol, closeFrame(code, "why"))
	}
	t.bad("5.5.1", "no code", closeNoStatus, frame(fin|opClose, ""))
	t.bad("5.5.1", "half a code", closeProtocol, frame(fin|opClose, "\x03"))
	t.bad("5.5", "a reason of 124 bytes", closeProtocol, closeFrame(1000, text(124)))
	t.bad("5.5", "a frame that is not final", closeProtocol, frame(opClose, "\x03\xe8"))
	for _, s := range []string{"\xff", "abc\xc3", "\xed\xa0\x80", "\xc0\xaf", "\xf4\x90\x80\x80"} {
		t.bad("8.1", fmt.Sprintf("a reason of %+q", s), closeInvalid, closeFrame(1000, s))
	}
	t.good("5.5.1", "right away", nil)
	t.pieces(1, "5.5.1", "byte by byte", nil)
	t.good("5.5.1", "behind a message", frame(fin|opText, "last"), Reply{opText, "last"})
	t.good("5.5.1", "behind a ping", frame(fin|opPing, "last"), Reply{opPong, "last"})
	// Bytes after a close frame are ignored.
	for name, after := range map[string][]byte{
		"a message": frame(fin|opText, "late"), "a ping": frame(fin|opPing, "late"), "another close frame": closeFrame(1001, ""),
		"a reserved opcode": frame(fin|3, ""), "noise": []byte(noise(100)),
	} {
		t.bad("5.5.1", name+" behind", closeNormal, join(bye, after))
	}
}
