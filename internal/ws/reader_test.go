package ws

import (
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/socketcluster-go/socketcluster/wire"
)

// readCases are raw streams of a client, after which it ends the stream.
var readCases = []struct {
	name   string
	o      Options
	stream []byte
	events []string
	err    error
}{
	// Section numbers are those of RFC 6455.
	{"end at a frame's boundary", Options{}, nil, nil, io.EOF},
	{"5.7 text", Options{}, frame(fin|text, "Hello"), []string{`text "Hello"`}, io.EOF},
	{"5.7 the RFC's own bytes", Options{}, []byte("\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"), []string{`text "Hello"`}, io.EOF},
	{"TR-18 empty text and empty binary", Options{}, join(frame(fin|text, ""), frame(fin|binry, "")),
		[]string{`text ""`, `binary ""`}, io.EOF},
	{"binary is any bytes", Options{}, frame(fin|binry, "\xff\x00"), []string{`binary "\xff\x00"`}, io.EOF},
	{"a mask of zeros", Options{}, maskedFrame(fin|text, "x", [4]byte{}), []string{`text "x"`}, io.EOF},
	{"5.2 lengths around the encodings", Options{}, join(lengths(125, 126, 127, 65535, 65536)),
		texts(125, 126, 127, 65535, 65536), io.EOF},
	{"5.2 longer encodings of a length are accepted", Options{},
		[]byte("\x81\xfe\x00\x01\x00\x00\x00\x00a\x81\xff\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00b"),
		[]string{`text "a"`, `text "b"`}, io.EOF},
	{"5.4 fragments", Options{}, join(frame(text, "Hel"), frame(cont, ""), frame(fin|cont, "lo")),
		[]string{`text "Hello"`}, io.EOF},
	{"5.4 control frames amid fragments", Options{},
		join(frame(binry, "a"), frame(fin|ping, "p"), frame(fin|pong, "q"), frame(fin|cont, "b"), frame(fin|text, "c")),
		[]string{`ping "p"`, `binary "ab"`, `text "c"`}, io.EOF},
	{"5.5.1 close amid fragments", Options{}, join(frame(text, "a"), frame(fin|clos, "\x03\xe8bye")),
		nil, &CloseError{1000, "bye"}},
	{"5.5.1 empty close frame", Options{}, join(frame(fin|clos, ""), frame(fin|text, "late")), nil, &CloseError{Code: 1005}},
	{"5.5.1 close without reason", Options{}, frame(fin|clos, "\x03\xe9"), nil, &CloseError{Code: 1001}},
	{"5.5.1 longest reason", Options{}, frame(fin|clos, "\x0f\xa1"+strings.Repeat("r", 123)),
		nil, &CloseError{4001, strings.Repeat("r", 123)}},
	{"5.5.1 payload of one byte", Options{}, frame(fin|clos, "\x03"), nil, protocolError(1002)},
	{"5.5.1 reason is not UTF-8", Options{}, frame(fin|clos, "\x03\xe8\xff"), nil, protocolError(1007)},
	{"5.5.2 pings", Options{}, join(frame(fin|ping, ""), frame(fin|ping, strings.Repeat("p", 125))),
		[]string{`ping ""`, fmt.Sprintf("ping %q", strings.Repeat("p", 125))}, io.EOF},
	{"5.5.3 unsolicited pong", Options{}, join(frame(fin|pong, "x"), frame(fin|text, "a")), []string{`text "a"`}, io.EOF},

	{"5.1 unmasked", Options{}, []byte("\x81\x01a"), nil, protocolError(1002)},
	{"5.1 unmasked, known from two bytes", Options{}, []byte("\x81\x00"), nil, protocolError(1002)},
	{"5.2 reserved bit 1", Options{}, frame(fin|0x40|text, "a"), nil, protocolError(1002)},
	{"5.2 reserved bit 2", Options{}, frame(fin|0x20|text, "a"), nil, protocolError(1002)},
	{"5.2 reserved bit 3", Options{}, frame(fin|0x10|text, "a"), nil, protocolError(1002)},
	{"5.2 reserved bit of a control frame", Options{}, frame(fin|0x40|ping, "a"), nil, protocolError(1002)},
	{"5.2 highest bit of the length", Options{}, []byte("\x82\xff\x80\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00"),
		nil, protocolError(1002)},
	{"5.4 continuation of nothing", Options{}, frame(fin|cont, "a"), nil, protocolError(1002)},
	{"5.4 continuation after the end", Options{}, join(frame(text, "a"), frame(fin|cont, "b"), frame(fin|cont, "c")),
		[]string{`text "ab"`}, protocolError(1002)},
	{"5.4 new message amid fragments", Options{}, join(frame(text, "a"), frame(fin|text, "b")), nil, protocolError(1002)},
	{"5.5 fragmented ping", Options{}, frame(ping, "a"), nil, protocolError(1002)},
	{"5.5 fragmented close", Options{}, frame(clos, ""), nil, protocolError(1002)},
	{"5.5 ping of 126 bytes", Options{}, frame(fin|ping, strings.Repeat("p", 126)), nil, protocolError(1002)},
	{"5.5 close of 126 bytes, known from two", Options{}, []byte("\x88\xfe"), nil, protocolError(1002)},

	{"TR-8 5.6 text is not UTF-8", Options{}, frame(fin|text, "a\xc3"), nil, protocolError(1007)},
	{"TR-8 surrogates are not UTF-8", Options{}, frame(fin|text, "\xed\xa0\x80"), nil, protocolError(1007)},
	{"TR-8 overlong forms are not UTF-8", Options{}, frame(fin|text, "\xc0\xaf"), nil, protocolError(1007)},
	{"a character split over fragments", Options{}, join(frame(text, "\xe2\x82"), frame(fin|cont, "\xac")),
		[]string{`text "€"`}, io.EOF},
	{"TR-8 a character broken by the end", Options{}, join(frame(text, "a\xe2"), frame(fin|cont, "b")), nil, protocolError(1007)},

	{"TR-8 not UTF-8, known from the first fragment", Options{}, frame(text, "a\xff"), nil, protocolError(1007)},
	{"TR-8 no character begins so, known from the second", Options{}, join(frame(text, "\xed"), frame(cont, "\xa0")), nil, protocolError(1007)},
	{"a character in fragments of one byte", Options{}, join(frame(text, "a\xf4"), frame(cont, "\x8f"), frame(cont, "\xbf"), frame(fin|cont, "\xbf")),
		[]string{"text \"a\\U0010ffff\""}, io.EOF},

	{"TR-8 at the limit", Options{ReadLimit: 3}, join(frame(fin|text, "abc"), frame(binry, "ab"), frame(fin|cont, "c")),
		[]string{`text "abc"`, `binary "abc"`}, io.EOF},
	{"TR-8 over the limit", Options{ReadLimit: 3}, frame(fin|text, "abcd"), nil, ErrTooBig},
	{"TR-8 over the limit by announcement alone", Options{ReadLimit: 3}, frame(fin|text, "abcd")[:6], nil, ErrTooBig},
	{"TR-8 over the limit in sum", Options{ReadLimit: 3}, join(frame(text, "ab"), frame(fin|cont, "cd")), nil, ErrTooBig},
	{"TR-8 the greatest length", Options{ReadLimit: math.MaxInt64},
		join(frame(binry, "a"), []byte("\x80\xff\x7f\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00")), nil, ErrTooBig},
	{"TR-8 default limit", Options{}, []byte("\x82\xff\x00\x00\x00\x00\x06\x40\x00\x01\x00\x00\x00\x00"), nil, ErrTooBig},
	{"control frames are outside of the limit", Options{ReadLimit: 1}, join(frame(fin|ping, "abc"), frame(fin|text, "x")),
		[]string{`ping "abc"`, `text "x"`}, io.EOF},
	{"QK-32 fragments at the limit", Options{MaxFragments: 2}, join(frame(text, "a"), frame(fin|cont, ""), frame(fin|text, "b")),
		[]string{`text "a"`, `text "b"`}, io.EOF},
	{"QK-32 too many fragments", Options{MaxFragments: 2}, join(frame(text, "a"), frame(cont, ""), frame(fin|cont, "b")),
		nil, ErrFragments},

	{"lost in the first byte", Options{}, frame(fin|text, "a")[:1], nil, io.ErrUnexpectedEOF},
	{"lost in the header", Options{}, frame(fin|text, "a")[:4], nil, io.ErrUnexpectedEOF},
	{"lost before the payload", Options{}, frame(fin|text, "a")[:6], nil, io.ErrUnexpectedEOF},
	{"lost in the payload", Options{}, frame(fin|text, "ab")[:7], nil, io.ErrUnexpectedEOF},
	{"lost in a large payload", Options{}, frame(fin|text, strings.Repeat("x", 1<<20))[:100000], nil, io.ErrUnexpectedEOF},
	{"lost in a control frame", Options{}, frame(fin|ping, "ab")[:7], nil, io.ErrUnexpectedEOF},
	{"lost between fragments", Options{}, frame(text, "ab"), nil, io.ErrUnexpectedEOF},
}

// protocolError stands for any *ProtocolError with the code.
func protocolError(code wire.CloseCode) error { return &ProtocolError{Code: code} }

// lengths is a stream of text messages of the given lengths, texts what they are read as.
func lengths(sizes ...int) (stream []byte) {
	for _, n := range sizes {
		stream = append(stream, frame(fin|text, strings.Repeat("x", n))...)
	}
	return stream
}

func texts(sizes ...int) (events []string) {
	for _, n := range sizes {
		events = append(events, fmt.Sprintf("text %q", strings.Repeat("x", n)))
	}
	return events
}

func checkEnd(t *testing.T, err, want error) {
	t.Helper()
	var got, pe *ProtocolError
	if errors.As(want, &pe) && pe.Reason == "" && errors.As(err, &got) {
		err = protocolError(got.Code)
	}
	if fmt.Sprintf("%T %v", err, err) != fmt.Sprintf("%T %v", want, want) {
		t.Errorf("ended with %T %v; want %T %v", err, err, want, want)
	}
}

func TestRead(t *testing.T) {
	for _, tr := range transports {
		t.Run(tr.name, func(t *testing.T) {
			for _, tc := range readCases {
				t.Run(tc.name, func(t *testing.T) {
					o, readAll := listen(tc.o)
					client, c := tr.connect(t, o)
					send(t, client, tc.stream)
					events, err := readAll(c)
					if diff := cmp.Diff(tc.events, events); diff != "" {
						t.Errorf("events (-want +got):\n%s", diff)
					}
					checkEnd(t, err, tc.err)
					if _, again := c.Read(); again != err {
						t.Errorf("the error did not stay: %v, then %v", err, again)
					}
				})
			}
		})
	}
}

// TestCloseCodes walks all codes that fit a close frame: TR-33 and RFC 6455, section 7.4.
func TestCloseCodes(t *testing.T) {
	for code := range 1 << 16 {
		err := closeError([]byte{byte(code >> 8), byte(code)})
		legal := code >= 1000 && code <= 1014 && code != 1004 && code != 1005 && code != 1006 || code >= 3000 && code < 5000
		var ce *CloseError
		if errors.As(err, &ce) != legal || legal && int(ce.Code) != code {
			t.Errorf("code %d: %v", code, err)
		}
		var pe *ProtocolError
		if !legal && (!errors.As(err, &pe) || pe.Code != wire.CloseProtocolError) {
			t.Errorf("code %d: %v", code, err)
		}
	}
}

// mixed has every kind of frame and encoding of lengths, and a message that is
// larger than a read buffer.
var mixed = join(
	frame(fin|text, ""), frame(fin|text, "short"), frame(fin|ping, "now"), frame(text, "sp\xc3"),
	frame(fin|pong, "no"), frame(cont, "\xa9l"), frame(fin|cont, "it"), frame(fin|binry, strings.Repeat("m", 300)),
	frame(fin|binry, strings.Repeat("l", mixedLarge)), mixedRest,
)

const mixedLarge = 2*readSize + 1

var mixedRest = join(frame(fin|text, "end"), frame(fin|clos, "\x0f\xa0stop"))

func wantMixed(t *testing.T, cut int, events []string, err error) {
	t.Helper()
	want := []string{`text ""`, `text "short"`, `ping "now"`, `text "spélit"`,
		fmt.Sprintf("binary %q", strings.Repeat("m", 300)), fmt.Sprintf("binary %q", strings.Repeat("l", mixedLarge)), `text "end"`}
	if diff := cmp.Diff(want, events); diff != "" {
		t.Errorf("cut at %d (-want +got):\n%s", cut, diff)
	}
	checkEnd(t, err, &CloseError{4000, "stop"})
}

// alikeAround reports whether a cut of mixed is one of many that are alike: deep inside
// the large payload, and not near where as many bytes of the stream or of the payload as
// a read buffer holds are in front of it, or of the payload behind it.
func alikeAround(cut int) bool {
	const near = 16
	behind := len(mixed) - len(mixedRest) - cut
	front := mixedLarge - behind
	if front < 64 || behind < 64 || cut%64 == 0 {
		return false
	}
	return !slices.ContainsFunc([]int{cut, front, behind}, func(n int) bool { return (n+near)%readSize <= 2*near })
}

// A stream means the same wherever it is cut into segments.
func TestReadCutAtEveryByte(t *testing.T) {
	t.Run("memnet", func(t *testing.T) {
		for cut := range mixed {
			if alikeAround(cut) {
				continue
			}
			synctest.Test(t, func(t *testing.T) {
				o, readAll := listen(Options{})
				client, c := connectMemory(t, o)
				go func() {
					_, _ = client.Write(mixed[:cut])
					synctest.Wait() // the reader is parked behind the first part
					_, _ = client.Write(mixed[cut:])
				}()
				events, err := readAll(c)
				wantMixed(t, cut, events, err)
			})
		}
	})
	t.Run("tcp", func(t *testing.T) {
		for cut := range mixed {
			if alikeAround(cut) {
				continue
			}
			o, readAll := listen(Options{})
			client, c := connectTCP(t, o)
			go func() {
				_, _ = client.Write(mixed[:cut])
				awaitBytes(c, cut)
				_, _ = client.Write(mixed[cut:])
			}()
			events, err := readAll(c)
			wantMixed(t, cut, events, err)
			closeBoth(client, c)
		}
	})
	t.Run("tcp byte by byte", func(t *testing.T) {
		o, readAll := listen(Options{})
		client, c := connectTCP(t, o)
		go func() {
			for i := range mixed {
				_, _ = client.Write(mixed[i : i+1])
				awaitBytes(c, i+1)
			}
		}()
		events, err := readAll(c)
		wantMixed(t, 1, events, err)
	})
}

func TestReadPongFloodDoesNotReturn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, c := connectMemory(t, Options{})
		var returned atomic.Bool
		done := make(chan struct{})
		go func() {
			_, err := c.Read()
			returned.Store(true)
			if !errors.Is(err, net.ErrClosed) {
				t.Errorf("Read: %v", err)
			}
			close(done)
		}()
		for range 1000 {
			if _, err := client.Write(frame(fin|pong, "")); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if returned.Load() {
			t.Error("Read returned for a pong")
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		<-done
	})
}

func TestSetReadLimitHoldsFromTheNextFrame(t *testing.T) {
	client, c := connectMemory(t, Options{ReadLimit: 1})
	c.SetReadLimit(4)
	send(t, client, join(frame(fin|text, "abcd"), frame(fin|text, "abcd")))
	m, err := c.Read()
	if err != nil || string(m.Data) != "abcd" {
		t.Fatalf("Read = %q, %v", m.Data, err)
	}
	m.Release()
	m.Release()
	c.SetReadLimit(3)
	if _, err := c.Read(); err != ErrTooBig {
		t.Errorf("Read: %v", err)
	}
}

func TestPingOwnsItsPayload(t *testing.T) {
	var pings [][]byte
	client, c := connectMemory(t, Options{Owner: owner{ping: func(p []byte) { pings = append(pings, p) }}})
	send(t, client, join(frame(fin|ping, "one"), frame(fin|ping, "two"), frame(fin|text, "x")))
	if _, err := c.Read(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([][]byte{[]byte("one"), []byte("two")}, pings); diff != "" {
		t.Error(diff)
	}
}

// Messages that are not released stay intact beside later ones.
func TestMessagesDoNotShareMemory(t *testing.T) {
	client, c := connectMemory(t, Options{})
	send(t, client, join(frame(fin|text, "aaa"), frame(fin|text, "bbb"), frame(fin|text, "ccc")))
	var messages []Message
	for range 3 {
		m, err := c.Read()
		if err != nil {
			t.Fatal(err)
		}
		messages = append(messages, m)
	}
	for i, want := range []string{"aaa", "bbb", "ccc"} {
		if string(messages[i].Data) != want {
			t.Errorf("message %d is %q", i, messages[i].Data)
		}
		messages[i].Release()
		if messages[i].Data != nil {
			t.Error("Data outlives Release")
		}
	}
}

func TestCloseUnblocksRead(t *testing.T) {
	for _, tr := range transports {
		t.Run(tr.name, func(t *testing.T) {
			_, c := tr.connect(t, Options{})
			result := make(chan error)
			go func() { _, err := c.Read(); result <- err }()
			if err := c.Close(); err != nil {
				t.Error(err)
			}
			if err := <-result; !errors.Is(err, net.ErrClosed) {
				t.Errorf("Read: %v", err)
			}
			if err := c.Close(); err != nil {
				t.Errorf("second Close: %v", err)
			}
		})
	}
}

// Wait takes nothing away from Read, neither a message nor an error.
func TestWait(t *testing.T) {
	for _, tr := range transports {
		t.Run(tr.name, func(t *testing.T) {
			client, c := tr.connect(t, Options{})
			for _, want := range []string{"a", "b"} {
				if _, err := client.Write(frame(fin|text, want)); err != nil {
					t.Fatal(err)
				}
				c.Park(false)
				c.Park(false) // there is something to read already
				if len(c.in) == 0 {
					t.Error("Wait returned without a byte")
				}
				if m, err := c.Read(); err != nil || string(m.Data) != want {
					t.Fatalf("Read: %q, %v", m.Data, err)
				}
			}
			_ = client.CloseWrite()
			c.Park(false)
			if _, err := c.Read(); err != io.EOF {
				t.Errorf("Read: %v, want EOF", err)
			}
			c.Park(false) // the end stays
		})
	}
}

// The cost of a message of many fragments grows with its length, not with its
// square: it is not copied for each of them.
func TestFragmentsAreNotCopiedOverAndOver(t *testing.T) {
	const count, size = 2048, 512
	stream := frame(binry, strings.Repeat("x", size))
	for range count - 2 {
		stream = append(stream, frame(cont, strings.Repeat("x", size))...)
	}
	stream = append(stream, frame(fin|cont, strings.Repeat("x", size))...)
	c := newConn(&scriptConn{stream: stream, n: len(stream)}, nil, Options{})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	m, err := c.Read()
	runtime.ReadMemStats(&after)
	if err != nil || len(m.Data) != count*size {
		t.Fatalf("%d bytes, %v", len(m.Data), err)
	}
	if used := after.TotalAlloc - before.TotalAlloc; used > 4*count*size {
		t.Errorf("%d bytes allocated for a message of %d", used, count*size)
	}
	m.Release()
}
