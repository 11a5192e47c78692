package ws

import (
	"bytes"
	"compress/flate"
	"errors"
	"io"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// deflated is the payload of a compressed message: at flate's default level,
// by way of Z_SYNC_FLUSH, without the tail.
func deflated(payload string) string { return deflatedAt(flate.DefaultCompression, payload) }

func deflatedAt(level int, payload string) string {
	var b bytes.Buffer
	w, _ := flate.NewWriter(&b, level)
	_, _ = io.WriteString(w, payload)
	_ = w.Flush()
	return strings.TrimSuffix(b.String(), flushTail)
}

// deflatedWith refers back to a window.
func deflatedWith(window, payload string) string {
	var b bytes.Buffer
	w, _ := flate.NewWriterDict(&b, flate.DefaultCompression, []byte(window))
	_, _ = io.WriteString(w, payload)
	_ = w.Flush()
	return strings.TrimSuffix(b.String(), flushTail)
}

// finished is a stream that ends with a final block.
func finished(payload string) string {
	var b bytes.Buffer
	w, _ := flate.NewWriter(&b, flate.DefaultCompression)
	_, _ = io.WriteString(w, payload)
	_ = w.Close()
	return b.String()
}

// noise does not compress.
func noise(n int) string {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{}).Read(b)
	return string(b)
}

// bomb is a message of so many MiB that takes about a thousandth of them.
func bomb(mib int) string {
	return strings.Repeat(deflated(strings.Repeat("a", 1<<20))+flushTail, mib)
}

const inflateLimit = 10000

var inflateCases = []struct {
	name    string
	payload string
	want    string
	err     error
}{
	{"RFC 7692 7.2.3.1 one block", "\xf2\x48\xcd\xc9\xc9\x07\x00", "Hello", nil},
	{"RFC 7692 7.2.3.3 a block that is stored", "\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00", "Hello", nil},
	{"RFC 7692 7.2.3.4 a final block", "\xf3\x48\xcd\xc9\xc9\x07\x00\x00", "Hello", nil},
	{"RFC 7692 7.2.3.5 two blocks", "\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00", "Hello", nil},
	{"RFC 7692 7.2.3.6 an empty message", "\x00", "", nil},
	{"RFC 7692 7.2.3.6 an empty message has a byte", "", "", errDeflate},
	{"the tail is not left out", deflated("Hello") + flushTail + "\x00", "Hello", nil},
	{"data behind a final block", finished("Hel") + deflated("lo"), "Hello", nil},
	{"as many streams as are allowed", strings.Repeat(finished("a"), 3) + "\x00", "aaa", nil},
	{"a stream too many", strings.Repeat(finished("a"), 4) + "\x00", "", ErrStreams},
	{"a large window", deflated(noise(4000) + noise(4000)), noise(4000) + noise(4000), nil},
	{"stored", deflatedAt(flate.NoCompression, noise(inflateLimit)), noise(inflateLimit), nil},
	{"at the limit", deflated(strings.Repeat("a", inflateLimit)), strings.Repeat("a", inflateLimit), nil},
	{"over the limit by one", deflated(strings.Repeat("a", inflateLimit+1)), "", ErrTooBig},
	{"a bomb", bomb(10), "", ErrTooBig},
	{"a final block over the limit", finished(strings.Repeat("a", inflateLimit+1)) + "\x00", "", ErrTooBig},
	{"a reserved kind of block", "\x07", "", errDeflate},
	{"text", "Hello", "", errDeflate},
	{"only the tail of a block", deflated("Hello, hello, hello")[5:], "", errDeflate},
	{"cut short", deflated(noise(100))[:50], "", errDeflate},
	{"a distance before the beginning", "\x4a\x84\x03\x00", "", errDeflate},
	{"a distance into the stream before", finished(noise(50)) + deflatedWith(noise(50), noise(50)), "", errDeflate},
	{"a final block that is not padded", finished("Hello"), "", errDeflate},
}

func TestInflate(t *testing.T) {
	for _, tc := range inflateCases {
		t.Run(tc.name, func(t *testing.T) {
			out, err := inflate([]byte(tc.payload), inflateLimit, 4)
			if err != tc.err {
				t.Fatalf("error %v, want %v", err, tc.err)
			}
			if err == nil && string(out.bytes()) != tc.want {
				t.Errorf("got %.100q, want %.100q", out.bytes(), tc.want)
			}
			out.release()
		})
	}
}

func TestReadCompressed(t *testing.T) {
	bits := func(b byte) byte { return b | compressedBit }
	small := Options{ReadLimit: 100, MaxFragments: 3}
	hello := deflated("Hello")
	for _, tc := range []struct {
		name   string
		o      Options
		stream []byte
		events []string
		err    error
	}{
		{"text and binary, and plain ones between", Options{}, join(frame(bits(fin|text), hello), frame(fin|text, "plain"), frame(bits(fin|binry), hello)),
			[]string{`text "Hello"`, `text "plain"`, `binary "Hello"`}, io.EOF},
		{"RFC 7692 7.2.3.2 no window from the message before", Options{}, join(frame(bits(fin|text), "\xf2\x48\xcd\xc9\xc9\x07\x00"), frame(bits(fin|text), "\xf2\x00\x11\x00\x00")),
			[]string{`text "Hello"`}, errDeflate},
		{"fragments, and a ping between", Options{}, join(frame(bits(text), hello[:1]), frame(fin|ping, "p"), frame(cont, ""), frame(fin|cont, hello[1:])),
			[]string{`ping "p"`, `text "Hello"`}, io.EOF},
		{"all data in the last fragment", Options{}, join(frame(bits(text), ""), frame(fin|cont, hello)), []string{`text "Hello"`}, io.EOF},
		{"an empty message", Options{}, frame(bits(fin|binry), "\x00"), []string{`binary ""`}, io.EOF},
		{"an empty payload", Options{}, frame(bits(fin|binry), ""), nil, errDeflate},
		{"a plain message after a compressed one", Options{}, join(frame(bits(text), hello), frame(fin|cont, ""), frame(text, "a"), frame(fin|cont, "b")),
			[]string{`text "Hello"`, `text "ab"`}, io.EOF},

		{"TR-8 UTF-8 is looked for behind the compression", Options{}, frame(bits(fin|text), deflated("a\xc3")), nil, protocolError(1007)},
		{"TR-8 a character split over fragments", Options{}, join(frame(bits(text), deflatedAt(0, "\xe2\x82\xac")[:6]), frame(fin|cont, deflatedAt(0, "\xe2\x82\xac")[6:])),
			[]string{`text "€"`}, io.EOF},
		{"broken", Options{}, frame(bits(fin|text), "\x07"), nil, errDeflate},
		{"RFC 7692 6.1 the bit on a continuation", Options{}, join(frame(bits(text), hello[:1]), frame(bits(fin|cont), hello[1:])), nil, protocolError(1002)},
		{"RFC 7692 6.1 the bit on a ping", Options{}, frame(bits(fin|ping), hello), nil, protocolError(1002)},
		{"RFC 7692 6.1 the bit on a close frame", Options{}, frame(bits(fin|clos), ""), nil, protocolError(1002)},
		{"the other bits", Options{}, frame(bits(fin|text)|0x20, hello), nil, protocolError(1002)},
		{"the other bits alone", Options{}, frame(fin|0x10|text, "a"), nil, protocolError(1002)},
		{"a new compressed message amid fragments", Options{}, join(frame(text, "a"), frame(bits(fin|text), hello)), nil, protocolError(1002)},

		{"TR-8 at the limit", small, frame(bits(fin|text), deflated(strings.Repeat("a", 100))),
			[]string{`text "` + strings.Repeat("a", 100) + `"`}, io.EOF},
		{"TR-8 over the limit", small, frame(bits(fin|text), deflated(strings.Repeat("a", 101))), nil, ErrTooBig},
		{"TR-8 a bomb", small, frame(bits(fin|text), bomb(10)[:120]), nil, ErrTooBig},
		{"TR-8 at the limit and stored, which is longer", small, frame(bits(fin|binry), deflatedAt(0, strings.Repeat("a", 100))),
			[]string{`binary "` + strings.Repeat("a", 100) + `"`}, io.EOF},
		{"TR-8 over the limit by announcement alone", small, frame(bits(fin|text), strings.Repeat("a", 177))[:8], nil, ErrTooBig},
		{"TR-8 over the limit in sum", small, join(frame(bits(text), strings.Repeat("a", 100)), frame(fin|cont, strings.Repeat("a", 77))), nil, ErrTooBig},
		{"QK-32 streams in a message", small, frame(bits(fin|text), strings.Repeat(finished(""), 3)+"\x00"), nil, ErrStreams},
		{"lost between fragments", Options{}, frame(bits(text), hello), nil, io.ErrUnexpectedEOF},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o, readAll := listen(tc.o)
			client, c := connectMemory(t, o)
			c.deflate = true
			send(t, client, tc.stream)
			events, err := readAll(c)
			if diff := cmp.Diff(tc.events, events); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
			checkEnd(t, err, tc.err)
		})
	}
}

// For a bomb the server holds the limit and a decompressor, not the
// decompressed bomb.
func TestBombMemoryStaysWithinTheLimit(t *testing.T) {
	const limit = 1 << 20
	payload := []byte(bomb(512))
	allocated := func() uint64 {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.TotalAlloc
	}
	before := allocated()
	if _, err := inflate(payload, limit, 4096); err != ErrTooBig {
		t.Fatalf("error %v", err)
	}
	// The last buffer, and the smaller one that it was copied from.
	if used := allocated() - before; used > 2*limit+100<<10 {
		t.Errorf("%d bytes allocated for a limit of %d", used, limit)
	}
}

// A message that costs more bytes than it has content is no way around the limits.
func TestManyStreamsAreBounded(t *testing.T) {
	payload := []byte(strings.Repeat(finished(""), 100000))
	if _, err := inflate(payload, 1<<20, defaultMaxFragments); err != ErrStreams {
		t.Errorf("error %v", err)
	}
}

// FuzzInflate: the content never exceeds the limit, and what a compressor has
// made is what it was made of.
func FuzzInflate(f *testing.F) {
	for _, tc := range inflateCases {
		f.Add([]byte(tc.payload), uint16(inflateLimit), uint8(1))
	}
	f.Fuzz(func(t *testing.T, payload []byte, limit uint16, level uint8) {
		out, err := inflate(payload, int(limit), 4)
		var broken *ProtocolError
		if err != nil && (out != nil || !errors.As(err, &broken)) {
			t.Errorf("got %v, %v", out, err)
		}
		if out.len() > int(limit) {
			t.Errorf("%d bytes for a limit of %d", out.len(), limit)
		}
		out.release()

		whole := Seal(append(NewBuffer(len(payload)), payload...), OpBinary)
		z := Deflate(whole, int(level%9)+1, 0)
		if z[0] != fin|compressedBit|binry {
			t.Fatalf("first byte %x", z[0])
		}
		out, err = inflate(framePayload(z), len(payload), 1)
		if err != nil || !bytes.Equal(out.bytes(), payload) {
			t.Errorf("%d bytes came back as %d, %v", len(payload), out.len(), err)
		}
		out.release()
	})
}

// A connection that waits for its next message holds nothing of the last one.
func TestParkedAfterCompressedMessage(t *testing.T) {
	client, c := connectTCP(t, Options{})
	c.deflate = true
	send(t, client, frame(fin|compressedBit|text, deflated(strings.Repeat("a", 100_000))))
	m, err := c.Read()
	if err != nil || len(m.Data) != 100_000 {
		t.Fatalf("%d bytes, %v", len(m.Data), err)
	}
	m.Release()
	if c.buf != nil || c.in != nil {
		t.Error("the connection holds a buffer")
	}
}
