package ws

import (
	"bytes"
	"strings"
	"testing"

	gws "github.com/gobwas/ws"
	"pgregory.net/rapid"

	"github.com/socketcluster-go/socketcluster/wire"
)

func TestSeal(t *testing.T) {
	for _, tc := range []struct {
		name string
		op   Opcode
		size int
		head string
	}{
		{"empty", OpText, 0, "\x81\x00"},
		{"shortest encoding at its limit", OpBinary, 125, "\x82\x7d"},
		{"16 bits", OpText, 126, "\x81\x7e\x00\x7e"},
		{"16 bits at their limit", OpText, 65535, "\x81\x7e\xff\xff"},
		{"64 bits", OpBinary, 65536, "\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00"},
		{"ping", OpPing, 1, "\x89\x01"},
		{"pong", OpPong, 1, "\x8a\x01"},
		{"close", OpClose, 2, "\x88\x02"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			payload := strings.Repeat("p", tc.size)
			buf := append(NewBuffer(tc.size), payload...)
			got := Seal(buf, tc.op)
			if want := tc.head + payload; string(got) != want {
				t.Errorf("header % x, want % x", got[:min(len(got), HeaderSpace)], tc.head)
			}
			if &got[len(got)-1] != &buf[len(buf)-1] {
				t.Error("the frame does not alias the buffer")
			}
		})
	}
}

func TestSealAllocatesOnce(t *testing.T) {
	payload := make([]byte, 300)
	var frame []byte
	if n := testing.AllocsPerRun(100, func() { frame = Seal(append(NewBuffer(len(payload)), payload...), OpText) }); n != 1 {
		t.Errorf("%v allocations for a frame of %d bytes", n, len(frame))
	}
}

func TestCloseFrame(t *testing.T) {
	for _, tc := range []struct {
		name   string
		code   wire.CloseCode
		reason string
		want   string
	}{
		{"TR-32 empty", 0, "", "\x88\x00"},
		{"no code, no reason", 0, "lost", "\x88\x00"},
		{"TR-33 1005 is not sent", wire.CloseNoStatus, "", "\x88\x00"},
		{"TR-33 1006 is not sent", wire.CloseAbnormal, "x", "\x88\x00"},
		{"code", wire.ClosePongTimeout, "", "\x88\x02\x0f\xa1"},
		{"code and reason", wire.CloseNormal, "bye", "\x88\x05\x03\xe8bye"},
		{"TR-33 longest reason", 3000, strings.Repeat("r", 123), "\x88\x7d\x0b\xb8" + strings.Repeat("r", 123)},
		{"QK-18 cut reason", 3000, strings.Repeat("r", 122) + "€", "\x88\x7c\x0b\xb8" + strings.Repeat("r", 122)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := CloseFrame(tc.code, tc.reason); string(got) != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

// The decoding of headers agrees with the library's reader of streams.
func TestHeaderAgreesWithLibrary(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := rapid.SliceOfN(rapid.Byte(), maxHeader, maxHeader).Draw(t, "bytes")
		var got gws.Header
		size := firstBytes(b, &got)
		ok := restOfHeader(b[2:size], &got)
		r := bytes.NewReader(b)
		want, err := gws.ReadHeader(r)
		if ok != (err == nil) || ok && got != want || ok && size != len(b)-r.Len() {
			t.Fatalf("got %+v, %d bytes, %v; want %+v, %d bytes, %v", got, size, ok, want, len(b)-r.Len(), err)
		}
	})
}

// Unmasking piece by piece, at any alignment, is the XOR of RFC 6455, section 5.3.
func TestCipherAgreesWithDefinition(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 300).Draw(t, "n")
		cut := rapid.IntRange(0, n).Draw(t, "cut")
		shift := rapid.IntRange(0, 31).Draw(t, "shift")
		mask := [4]byte(rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, "mask"))
		memory := bytes.Repeat([]byte{0xa5}, shift+n+64)
		want := bytes.Clone(memory)
		for i := range n {
			want[shift+i] ^= mask[i%4]
		}
		p := memory[shift : shift+n]
		gws.Cipher(p[:cut], mask, 0)
		gws.Cipher(p[cut:], mask, cut)
		if !bytes.Equal(memory, want) {
			t.Fatalf("got % x, want % x", memory, want)
		}
	})
}
