package ws

import (
	"io"
	"net"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// scriptConn hands a stream out in pieces of at most n bytes.
type scriptConn struct {
	net.Conn
	stream []byte
	n      int
}

func (s *scriptConn) Read(p []byte) (int, error) {
	if len(s.stream) == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), s.n)], s.stream)
	s.stream = s.stream[n:]
	return n, nil
}

// FuzzReader compares the reader with the reference decoder, for connections
// that are read in pieces of any size, for those that had sent something ahead
// of the upgrade's end, and for sockets.
func FuzzReader(f *testing.F) {
	for _, tc := range readCases {
		if len(tc.stream) < 1<<10 {
			f.Add(tc.stream, uint16(1), uint16(0), false)
			f.Add(tc.stream, uint16(7), uint16(3), true)
		}
	}
	for _, tc := range inflateCases {
		if len(tc.payload) < 1<<10 {
			f.Add(frame(fin|compressedBit|binry, tc.payload), uint16(100), uint16(2), true)
		}
	}
	f.Add(mixed, uint16(1000), uint16(500), false)
	f.Add(join(lengths(9000, 9000), frame(text, "a"), lengths(5000)), uint16(4096), uint16(4097), false)
	f.Add(join(frame(compressedBit|text, deflated("hello")[:2]), frame(fin|ping, "p"), frame(fin|cont, deflated("hello")[2:]),
		frame(fin|text, "plain")), uint16(3), uint16(0), true)
	l := listenUnix(f)
	defer l.Close()
	f.Fuzz(func(t *testing.T, stream []byte, piece, ahead uint16, deflate bool) {
		const limit, maxFragments = 10000, 4
		want, wantErr := reference(stream, limit, maxFragments, deflate)
		check := func(connect func(o Options) *Conn) {
			t.Helper()
			o, readAll := listen(Options{ReadLimit: limit, MaxFragments: maxFragments})
			c := connect(o)
			c.deflate = deflate
			events, err := readAll(c)
			if diff := cmp.Diff(want, events); diff != "" {
				t.Errorf("events (-reference +reader):\n%s", diff)
			}
			checkEnd(t, err, wantErr)
			if c.buf != nil || c.in != nil {
				t.Error("a failed reader holds a buffer")
			}
			if read := c.BytesRead(); read > int64(len(stream)) {
				t.Errorf("%d bytes read of %d", read, len(stream))
			}
		}
		check(func(o Options) *Conn {
			n := min(int(ahead), len(stream))
			return newConn(&scriptConn{stream: stream[n:], n: int(piece) + 1}, stream[:n:n], o)
		})
		check(func(o Options) *Conn {
			client, c := connectThrough(t, l, o)
			send(t, client, stream)
			return c
		})
	})
}

// FuzzCheckRequest: what a stranger writes into the headers is refused or accepted, never fatal.
func FuzzCheckRequest(f *testing.F) {
	f.Add("Upgrade", "websocket", sampleKey, "13", "chat, superchat")
	f.Add("keep-alive, upgrade", "h2c", "", "", "")
	f.Add(",", " ,", "=", "-1", ",")
	f.Fuzz(func(t *testing.T, connection, upgrade, key, version, protocol string) {
		r := upgradeRequest("Connection: "+connection, "Upgrade: "+upgrade, "Sec-WebSocket-Key: "+key,
			"Sec-WebSocket-Version: "+version, "Sec-WebSocket-Protocol: "+protocol)
		if refusal := CheckRequest(r); refusal != nil {
			if refusal.Status != 400 || refusal.Text == "" {
				t.Errorf("refused with %d %q", refusal.Status, refusal.Text)
			}
			return
		}
		if len(key) != 24 || version != "13" && version != "8" {
			t.Errorf("accepted key %q, version %q", key, version)
		}
		for _, name := range Subprotocols(r) {
			answer := upgradeResponse(r, Options{Subprotocol: name}, "")
			if want := response + "Sec-WebSocket-Protocol: " + name + "\r\n\r\n"; key == sampleKey && string(answer) != want {
				t.Errorf("answer %q", answer)
			}
		}
	})
}
