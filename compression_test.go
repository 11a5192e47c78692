package socketcluster_test

import (
	"bytes"
	"compress/flate"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/gobwas/ws"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/auth"
)

// deflateOffer is what browsers and the npm package ws send.
const deflateOffer = "permessage-deflate; client_max_window_bits"

// compressing is a server that compresses all but the shortest messages.
func compressing(threshold int) socketcluster.Config {
	return socketcluster.Config{Compression: socketcluster.Compression{Level: 1, Threshold: threshold}}
}

// dialDeflate opens a WebSocket on which compression has been agreed upon.
func (w *world) dialDeflate() *deflatePeer {
	w.t.Helper()
	p, resp := w.upgrade(func(r *http.Request) { r.Header.Set("Sec-WebSocket-Extensions", deflateOffer) })
	const want = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
	if got := resp.Header.Get("Sec-WebSocket-Extensions"); resp.StatusCode != http.StatusSwitchingProtocols || got != want {
		w.t.Fatalf("upgrade: %s, extensions %q", resp.Status, got)
	}
	return &deflatePeer{p}
}

// deflateClient is dialDeflate with a handshake.
func (w *world) deflateClient() *deflatePeer {
	w.t.Helper()
	p := w.dialDeflate()
	p.sendDeflated(`{"event":"#handshake","data":{"authToken":null},"cid":1}`)
	if got := p.next(); !strings.HasPrefix(got, `{"rid":1,`) {
		w.t.Fatalf("answer to the handshake: %s", got)
	}
	return p
}

// deflatePeer is a peer that compresses what it sends.
type deflatePeer struct{ *peer }

func (p *deflatePeer) sendDeflated(text string) {
	p.t.Helper()
	f := ws.NewTextFrame([]byte(deflated(text)))
	f.Header.Rsv = ws.Rsv(true, false, false)
	p.sendFrame(f)
}

// data returns the next frame with its message, decompressed.
func (p *deflatePeer) data() (f ws.Frame, text string) {
	p.t.Helper()
	f, err := p.nextFrame()
	if err != nil || f.Header.OpCode.IsControl() {
		p.t.Fatalf("got opcode %d with %q, %v", f.Header.OpCode, f.Payload, err)
	}
	text = string(f.Payload)
	if f.Header.Rsv1() {
		text = inflated(p.t, text)
	}
	return f, text
}

// wantData checks the next message, and whether it came compressed.
func (p *deflatePeer) wantData(compressed bool, want string) []byte {
	p.t.Helper()
	f, text := p.data()
	if text != want || f.Header.Rsv1() != compressed {
		p.t.Fatalf("got %.200q, compressed %v; want %.200q, compressed %v", text, f.Header.Rsv1(), want, compressed)
	}
	return f.Payload
}

const deflateTail = "\x00\x00\xff\xff"

func deflated(text string) string {
	var b bytes.Buffer
	w, _ := flate.NewWriter(&b, flate.DefaultCompression)
	_, _ = io.WriteString(w, text)
	_ = w.Flush()
	return strings.TrimSuffix(b.String(), deflateTail)
}

func inflated(t testing.TB, payload string) string {
	t.Helper()
	text, err := io.ReadAll(flate.NewReader(strings.NewReader(payload + deflateTail + "\x01\x00\x00\xff\xff")))
	if err != nil {
		t.Fatalf("decompress %q: %v", payload, err)
	}
	return string(text)
}

// TR-7: without Config.Compression, an offer of compression is declined, what
// goes out is not compressed, and a frame that claims to be is refused.
func TestCompressionIsOffByDefault(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		w.srv.Handle("echo", socketcluster.Func(echo))
		p, resp := w.upgrade(func(r *http.Request) { r.Header.Set("Sec-WebSocket-Extensions", deflateOffer) })
		if got := resp.Header.Values("Sec-WebSocket-Extensions"); resp.StatusCode != 101 || got != nil {
			t.Fatalf("%s, extensions %q", resp.Status, got)
		}
		p.send(`{"event":"#handshake","data":{"authToken":null},"cid":1}`)
		p.next()
		long := strings.Repeat("compressible", 1000)
		p.send(`{"event":"echo","data":"` + long + `","cid":2}`)
		(&deflatePeer{p}).wantData(false, `{"rid":2,"data":"`+long+`"}`)
		(&deflatePeer{p}).sendDeflated(`{"event":"echo","cid":3}`)
		p.wantClose(1002, "")
	})
}

// TR-7: with Config.Compression, clients that offer compression get it, and
// others do not.
func TestCompressionIsNegotiated(t *testing.T) {
	inBubble(t, compressing(0), func(w *world) {
		w.dialDeflate()
		for _, offer := range []string{"", "permessage-deflate; server_max_window_bits=9", "x-webkit-deflate-frame"} {
			_, resp := w.upgrade(func(r *http.Request) { r.Header.Set("Sec-WebSocket-Extensions", offer) })
			if got := resp.Header.Values("Sec-WebSocket-Extensions"); resp.StatusCode != 101 || got != nil {
				t.Errorf("offered %q: %s, extensions %q", offer, resp.Status, got)
			}
		}
		_, resp := w.upgrade(func(r *http.Request) { r.Header.Set("Sec-WebSocket-Extensions", "permessage-deflate;") })
		if body, _ := io.ReadAll(resp.Body); resp.StatusCode != 400 || string(body) != "Invalid or unacceptable Sec-WebSocket-Extensions header" {
			t.Errorf("TR-5 malformed: %s, %q", resp.Status, body)
		}
	})
}

// Messages from the threshold on come compressed, and any may be sent so.
func TestCompressedCalls(t *testing.T) {
	inBubble(t, compressing(100), func(w *world) {
		w.srv.Handle("echo", socketcluster.Func(echo))
		p, plain := w.deflateClient(), w.client()
		for i, size := range []int{0, 80, 81, 1000, 200_000} {
			data := quote(strings.Repeat("x", size))
			call := fmt.Sprintf(`{"event":"echo","cid":%d,"data":%s}`, i+100, data)
			answer := fmt.Sprintf(`{"rid":%d,"data":%s}`, i+100, data)
			p.sendDeflated(call)
			p.wantData(len(answer) >= 100, answer)
			p.send(call)
			p.wantData(len(answer) >= 100, answer)
			plain.send(call)
			plain.want(answer)
		}
	})
}

// A publication is compressed once: all who can read it get the same bytes.
// The others get it as it is, and nobody's order changes.
func TestCompressedPublications(t *testing.T) {
	inBubble(t, compressing(100), func(w *world) {
		const subscribe = `{"event":"#subscribe","data":{"channel":"room"},"cid":2}`
		readers := []*deflatePeer{w.deflateClient(), w.deflateClient(), w.deflateClient()}
		plain := w.client()
		plain.send(subscribe)
		plain.want(`{"rid":2}`)
		for _, p := range readers {
			p.send(subscribe)
			p.wantData(false, `{"rid":2}`)
		}
		for i := range 5 {
			data := quote(fmt.Sprint(i, strings.Repeat("x", i*50)))
			if err := w.srv.Exchange().Publish(context.Background(), "room", json.RawMessage(data)); err != nil {
				t.Fatal(err)
			}
			want := `{"event":"#publish","data":{"channel":"room","data":` + data + `}}`
			plain.want(want)
			var first []byte
			for j, p := range readers {
				got := p.wantData(len(want) >= 100, want)
				if j == 0 {
					first = got
				}
				if !bytes.Equal(got, first) {
					t.Errorf("publication %d: % x, and for another % x", i, got, first)
				}
			}
		}
	})
}

// A publication waits for its readers in its compressed form, which they
// share: it is made when it is published, and not when it is written.
func TestPublicationsWaitCompressed(t *testing.T) {
	cfg := compressing(0)
	cfg.Limits.Outbox = 20 << 20
	inBubble(t, cfg, func(w *world) {
		p := w.deflateClient()
		s := w.only()
		p.send(`{"event":"#subscribe","data":{"channel":"room"},"cid":2}`)
		p.wantData(false, `{"rid":2}`)
		// More than the network takes: what comes after it waits.
		noise := make([]byte, 200_000)
		_, _ = rand.NewChaCha8([32]byte{}).Read(noise)
		if err := s.SendBinary(context.Background(), noise); err != nil {
			t.Fatal(err)
		}
		before := s.Stats().OutboxBytes
		for range 100 {
			if err := w.srv.Exchange().Publish(context.Background(), "room", strings.Repeat("x", 60_000)); err != nil {
				t.Fatal(err)
			}
		}
		if more := s.Stats().OutboxBytes - before; more <= 0 || more > 100*1000 {
			t.Errorf("%d bytes wait for 100 publications that compress to a few hundred each", more)
		}
	})
}

// Packets that go through middleware or a batch are compressed too.
func TestCompressedBatches(t *testing.T) {
	inBubble(t, compressing(100), func(w *world) {
		w.srv.UseOutbound(func(_ context.Context, a socketcluster.Action) error {
			if a, ok := a.(*socketcluster.PublishOut); ok {
				a.Data = json.RawMessage(quote(strings.Repeat("y", 100)))
			}
			return nil
		})
		p := w.deflateClient()
		s := w.only()
		p.send(`{"event":"#subscribe","data":{"channel":"room"},"cid":2}`)
		p.wantData(false, `{"rid":2}`)
		want := `{"event":"#publish","data":{"channel":"room","data":` + quote(strings.Repeat("y", 100)) + `}}`
		publish := func() {
			if err := w.srv.Exchange().Publish(context.Background(), "room", 1); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		publish()
		p.wantData(true, want)
		s.StartBatch()
		publish()
		publish()
		s.StartBatch().End()
		p.wantData(true, "["+want+","+want+"]")
	})
}

// TR-8, TR-7: limits hold for what a message is after decompression, and
// what cannot be decompressed ends the connection.
func TestCompressedLimits(t *testing.T) {
	cfg := compressing(0)
	cfg.Limits = socketcluster.Limits{MessageSize: 2000, HandshakeMessageSize: 300}
	for _, test := range []struct {
		name    string
		open    bool
		payload string // of a compressed frame
		code    int
	}{
		{"exactly", true, deflated(sized("echo", 2000)), 0},
		{"one more", true, deflated(sized("echo", 2001)), 1009},
		{"a bomb", true, strings.Repeat(deflated(strings.Repeat(" ", 1<<20))+deflateTail, 100)[:2000], 1009},
		{"before the handshake, one more", false, deflated(sized("echo", 301)), 1009},
		{"not compressed", true, "x" + sized("echo", 100), 1007},
		{"not UTF-8", true, deflated("\xff"), 1007},
	} {
		t.Run(test.name, func(t *testing.T) {
			inBubble(t, cfg, func(w *world) {
				w.srv.Handle("echo", socketcluster.Func(echo))
				p := w.dialDeflate()
				if test.open {
					p = w.deflateClient()
				}
				f := ws.NewTextFrame([]byte(test.payload))
				f.Header.Rsv = ws.Rsv(true, false, false)
				p.sendFrame(f)
				if test.code != 0 {
					p.wantClose(test.code, "")
					return
				}
				if _, text := p.data(); !strings.HasPrefix(text, `{"rid":1,`) {
					t.Errorf("got %s", text)
				}
			})
		})
	}
	t.Run("compressed, and never agreed upon", func(t *testing.T) {
		inBubble(t, socketcluster.Config{}, func(w *world) {
			p := &deflatePeer{w.client()}
			p.sendDeflated(sized("echo", 100))
			p.wantClose(1002, "")
		})
	})
}

// Limits.InboxBytes counts what messages are after decompression.
func TestCompressedInboxBytes(t *testing.T) {
	const size, calls = 10_000, 40
	cfg := compressing(0)
	cfg.Timeouts.PingDisabled = true
	cfg.Limits.InboxBytes = 50_000
	inBubble(t, cfg, func(w *world) {
		release := make(chan struct{})
		var running atomic.Int32
		w.srv.Handle("slow", socketcluster.Func(func(context.Context, json.RawMessage) (int, error) {
			running.Add(1)
			<-release
			return 1, nil
		}), socketcluster.Concurrent(calls))
		p := w.deflateClient()
		sent := make(chan struct{})
		go func() {
			defer close(sent)
			for i := range calls {
				p.sendDeflated(fmt.Sprintf(`{"event":"slow","cid":%d,"data":%q}`, i+2, strings.Repeat("x", size)))
			}
		}()
		synctest.Wait()
		if n := running.Load(); n < 4 || n > 6 {
			t.Errorf("%d calls are running, want about 5", n)
		}
		close(release)
		<-sent
		for range calls {
			p.next()
		}
	})
}

// Pings, pongs and close frames are never compressed, whatever the threshold.
func TestControlFramesAreNotCompressed(t *testing.T) {
	inBubble(t, compressing(1), func(w *world) {
		p := w.dialDeflate()
		p.sendFrame(ws.NewPingFrame([]byte(strings.Repeat("p", 125))))
		f, err := p.nextFrame()
		if err != nil || f.Header.OpCode != ws.OpPong || f.Header.Rsv != 0 || len(f.Payload) != 125 {
			t.Errorf("got %+v, %v", f.Header, err)
		}
		p.sendFrame(ws.NewCloseFrame(ws.NewCloseFrameBody(1000, strings.Repeat("r", 100))))
		f, err = p.nextFrame()
		if err != nil || f.Header.OpCode != ws.OpClose || f.Header.Rsv != 0 {
			t.Errorf("got %+v, %v", f.Header, err)
		}
	})
}

func TestCompressionErrors(t *testing.T) {
	for _, test := range []struct {
		field string
		c     socketcluster.Compression
	}{
		{"Compression.Level", socketcluster.Compression{Level: -1}},
		{"Compression.Level", socketcluster.Compression{Level: 10}},
		{"Compression.Threshold", socketcluster.Compression{Level: 1, Threshold: -1}},
	} {
		_, err := socketcluster.New(socketcluster.Config{Auth: auth.Options{Key: testKey}, Compression: test.c})
		var wrong *socketcluster.ConfigError
		if !errors.As(err, &wrong) || wrong.Field != test.field {
			t.Errorf("%+v: got %v", test.c, err)
		}
	}
}
