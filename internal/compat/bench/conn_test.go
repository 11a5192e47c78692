//go:build linux

package main

import (
	"bytes"
	"compress/flate"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
)

// serverFrame builds an unmasked frame as a server sends it.
func serverFrame(opcode byte, payload string) []byte {
	frame := []byte{finBit | opcode}
	switch n := len(payload); {
	case n < len16:
		frame = append(frame, byte(n))
	case n < 1<<16:
		frame = append(frame, len16, byte(n>>8), byte(n))
	default:
		frame = append(frame, len64, 0, 0, 0, 0, byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
	}
	return append(frame, payload...)
}

// pipeConn returns a client whose server side writes sent, at most chunk
// bytes at a time. The result of the server side, which is everything that
// the client wrote, arrives once the client is closed.
func pipeConn(t *testing.T, sent []byte, chunk int) (*conn, <-chan []byte) {
	client, server := net.Pipe()
	t.Cleanup(func() { client.Close(); server.Close() })
	go func() {
		for len(sent) > 0 {
			n, err := server.Write(sent[:min(chunk, len(sent))])
			if err != nil {
				return
			}
			sent = sent[n:]
		}
	}()
	written := make(chan []byte, 1)
	go func() {
		b, _ := io.ReadAll(server)
		written <- b
	}()
	return &conn{net: client, proto: scProtocol{}, buf: make([]byte, 16)}, written
}

func TestNextReassemblesFrames(t *testing.T) {
	want := []string{"a", strings.Repeat("b", 125), strings.Repeat("c", 126), strings.Repeat("d", 70_000), "e"}
	var sent []byte
	for _, payload := range want {
		sent = append(sent, serverFrame(opText, payload)...)
	}
	for _, chunk := range []int{1, 3, 1000, len(sent)} {
		c, _ := pipeConn(t, sent, chunk)
		for i, payload := range want {
			got, err := c.next()
			if err != nil || string(got) != payload {
				t.Fatalf("chunks of %d: message %d: got %d bytes, %v", chunk, i, len(got), err)
			}
		}
	}
}

// PP-1: with protocol version 2 a ping is an empty text message, and so is its
// answer.
func TestNextAnswersPings(t *testing.T) {
	sent := append(serverFrame(opText, ""), serverFrame(opText, "x")...)
	c, written := pipeConn(t, sent, len(sent))
	if got, err := c.next(); err != nil || string(got) != "x" {
		t.Fatalf("got %q, %v", got, err)
	}
	c.net.Close()
	if got := <-written; !bytes.Equal(got, appendFrame(nil, opText, nil)) {
		t.Errorf("wrote % x", got)
	}
	if c.pings.Load() != 1 {
		t.Errorf("%d pings counted", c.pings.Load())
	}
}

// Messages of centrifuge may share a frame, pings among them.
func TestNextSplitsLines(t *testing.T) {
	sent := append(serverFrame(opText, "{\"id\":1}\n{}\n{\"push\":2}\n"), serverFrame(opText, "{\"id\":3}")...)
	c, written := pipeConn(t, sent, len(sent))
	c.proto = centrifugeProtocol{}
	for _, want := range []string{`{"id":1}`, `{"push":2}`, `{"id":3}`} {
		if got, err := c.next(); err != nil || string(got) != want {
			t.Errorf("got %q, %v, want %s", got, err, want)
		}
	}
	c.net.Close()
	if got := <-written; !bytes.Equal(got, appendFrame(nil, opText, []byte("{}"))) {
		t.Errorf("wrote % x", got)
	}
}

func TestNextInflates(t *testing.T) {
	var deflated bytes.Buffer
	w, err := flate.NewWriter(&deflated, 1)
	if err != nil {
		t.Fatal(err)
	}
	w.Write([]byte(payload))
	w.Flush()
	frame := serverFrame(opText, strings.TrimSuffix(deflated.String(), "\x00\x00\xff\xff"))
	frame[0] |= compressedBit
	c, _ := pipeConn(t, slices.Concat(frame, frame, serverFrame(opText, "x"), frame), 100)
	for _, want := range []string{payload, payload, "x", payload} {
		if got, err := c.next(); err != nil || string(got) != want {
			t.Errorf("got %q, %v", got, err)
		}
	}
}

func TestNextRefusesWhatItDoesNotUnderstand(t *testing.T) {
	for name, frame := range map[string][]byte{
		"fragment": {opText, 1, 'x'},
		"rsv":      {finBit | 0x20 | opText, 1, 'x'},
		"masked":   appendFrame(nil, opText, []byte("x")),
		"binary":   serverFrame(2, "x"),
		"too long": {finBit | opText, len64, 1, 0, 0, 0, 0, 0, 0, 0},
	} {
		c, _ := pipeConn(t, frame, len(frame))
		if got, err := c.next(); !errors.Is(err, errFrame) {
			t.Errorf("%s: got %q, %v", name, got, err)
		}
	}
}

func TestNextReportsAClose(t *testing.T) {
	for payload, want := range map[string]closeError{
		"":                 {code: 1005},
		"\x0f\xa9why":      {code: 4009, reason: "why"},
		"\x03\xe8":         {code: 1000},
		"\x0f\xa1goodbye ": {code: 4001, reason: "goodbye "},
	} {
		frame := serverFrame(opClose, payload)
		c, _ := pipeConn(t, frame, len(frame))
		_, err := c.next()
		var got *closeError
		if !errors.As(err, &got) || *got != want {
			t.Errorf("%q: got %v, want %v", payload, err, &want)
		}
	}
}

func TestAppendFrameMasks(t *testing.T) {
	for _, n := range []int{0, 1, 125, 126, 1000} {
		payload := bytes.Repeat([]byte{'p'}, n)
		frame := appendFrame(nil, opText, payload)
		header := 2
		if n >= len16 {
			header = 4
		}
		if frame[1]&maskBit == 0 {
			t.Fatalf("%d bytes: not masked", n)
		}
		masked := frame[header+4:]
		for i := range masked {
			masked[i] ^= frame[header+i&3]
		}
		if !bytes.Equal(masked, payload) {
			t.Errorf("%d bytes: unmasked to %q", n, masked)
		}
		// Without mask and mask bit it must read as what a server sends.
		plain := append(append([]byte{frame[0], frame[1] &^ maskBit}, frame[2:header]...), masked...)
		if _, _, got, size, err := parseFrame(plain); err != nil || size != len(plain) || !bytes.Equal(got, payload) {
			t.Errorf("%d bytes: parsed as %q, size %d, %v", n, got, size, err)
		}
	}
}

func FuzzParseFrame(f *testing.F) {
	f.Add(serverFrame(opText, "hello"))
	f.Add(serverFrame(opText, strings.Repeat("x", 300)))
	f.Add(serverFrame(opClose, "\x03\xe8"))
	f.Add([]byte{finBit | opText, len64, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		opcode, _, payload, size, err := parseFrame(b)
		if err != nil || size == 0 {
			return
		}
		if size > len(b) || len(payload) > size-2 || opcode > 0x0f {
			t.Errorf("frame of %d bytes out of %d, payload %d, opcode %d", size, len(b), len(payload), opcode)
		}
	})
}
