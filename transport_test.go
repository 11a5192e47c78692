package socketcluster_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"
	"github.com/google/go-cmp/cmp"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/internal/sctest"
	"github.com/socketcluster-go/socketcluster/internal/ws/rfc6455"
	"github.com/socketcluster-go/socketcluster/wire"
)

// TR-7: compression is offered by some clients, and not taken up.
func TestNoCompression(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		_, resp := w.upgrade(func(r *http.Request) {
			r.Header.Set("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits")
		})
		if ext := resp.Header.Get("Sec-WebSocket-Extensions"); resp.StatusCode != 101 || ext != "" {
			t.Errorf("%s, extensions %q", resp.Status, ext)
		}
	})
}

// TR-8: text that is no UTF-8 closes with 1007; the event is an error and the
// code 1006, as for a connection that was lost.
func TestInvalidText(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		log := w.record()
		codes := make(chan wire.CloseCode, 1)
		socketcluster.On(w.srv, func(e socketcluster.CloseEvent) { codes <- e.Code })
		p := w.client()
		p.send("\xff")
		p.wantClose(1007, "")
		if code := <-codes; code != 1006 {
			t.Errorf("code %d", code)
		}
		log.want("connect error disconnect close error end")
	})
}

// TR-20, TR-23, TR-24, TR-25, TR-27: what is a packet and what is not.
func TestRawMessages(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		p := w.client()
		s := w.only()
		type raw struct {
			binary bool
			data   string
		}
		var raws, messages []raw
		socketcluster.On(s, func(e socketcluster.RawEvent) { raws = append(raws, raw{e.Binary, string(e.Data)}) })
		socketcluster.On(s, func(e socketcluster.MessageEvent) { messages = append(messages, raw{e.Binary, string(e.Data)}) })
		p.send(`hello`)
		p.send(`5`)
		p.send(`"text"`)
		p.send(`{"broken":`)
		p.send(`{}`)
		p.send(`{"event":5,"cid":1}`)
		p.send(`[1,{"event":"a"},[{"event":"b"}]]`) // TR-25: one event for each element
		p.send(`[]`)
		p.send("\ufeff{}")
		p.sendBinary("\x00\xff")
		p.sendBinary("")
		p.send("") // a pong
		p.send(`{"rid":77}`)
		synctest.Wait()
		want := []raw{{false, `hello`}, {false, `5`}, {false, `"text"`}, {false, `{"broken":`}, {false, `{}`}, {false, `{"event":5,"cid":1}`},
			{false, `[1,{"event":"a"},[{"event":"b"}]]`}, {false, `[1,{"event":"a"},[{"event":"b"}]]`}, {false, "\ufeff{}"}, {true, "\x00\xff"}, {true, ""}}
		if len(raws) != len(want) {
			t.Errorf("raw events %v\nwant %v", raws, want)
		}
		for i := range min(len(raws), len(want)) {
			if raws[i] != want[i] {
				t.Errorf("raw event %d: %v, want %v", i, raws[i], want[i])
			}
		}
		if len(messages) != 13 || messages[11] != (raw{false, ""}) || messages[12].data != `{"rid":77}` {
			t.Errorf("TR-27: message events %v", messages)
		}
	})
}

// TR-24: event wins over rid.
func TestEventAndRID(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		w.srv.Handle("echo", socketcluster.Func(echo))
		p := w.client()
		p.send(`{"rid":9,"cid":2,"event":"echo"}`)
		p.want(`{"rid":2}`)
	})
}

// TR-17, TR-26: raw messages of the server, verbatim, in the order of the
// calls.
func TestSend(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		ctx := context.Background()
		log := w.record()
		p := w.client()
		s := w.only()
		log.take()
		s.Transmit(ctx, "a", nil)
		s.Send(ctx, `{"raw":`)
		s.SendBinary(ctx, []byte{0, 255})
		s.Transmit(ctx, "b", []byte("hi")) // TR-21
		p.want(`{"event":"a"}`, `{"raw":`)
		if f, err := p.nextFrame(); err != nil || f.Header.OpCode != ws.OpBinary || string(f.Payload) != "\x00\xff" {
			t.Errorf("got %v %q %v", f.Header, f.Payload, err)
		}
		p.want(`{"event":"b","data":{"base64":true,"data":"aGk="}}`)
		p.Conn.Close()
		synctest.Wait()
		log.take()
		if err := s.Send(ctx, "x"); err == nil {
			t.Error("sent on a closed socket")
		}
		if err := s.SendBinary(ctx, nil); err == nil {
			t.Error("sent on a closed socket")
		}
		log.want("error error")
	})
}

// TR-22: what cannot be encoded is the caller's error, and nothing is sent.
func TestUnencodable(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		ctx := context.Background()
		p := w.client()
		s := w.only()
		for _, bad := range []any{func() {}, make(chan int), failingJSON{}} {
			if s.Transmit(ctx, "a", bad) == nil || s.KickOut(ctx, "a", bad) == nil || w.srv.Exchange().Publish(ctx, "a", bad) == nil {
				t.Errorf("%T was sent", bad)
			}
			if _, err := s.Invoke(ctx, "a", bad); err == nil {
				t.Errorf("%T was sent", bad)
			}
		}
		p.quiet(time.Second)
	})
}

type failingJSON struct{}

func (failingJSON) MarshalJSON() ([]byte, error) { return nil, errors.New("no") }

// Pings of the WebSocket protocol are answered, and are no messages.
func TestProtocolPing(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		p := w.dial()
		p.sendFrame(ws.NewPingFrame([]byte("are you there")))
		f, err := p.nextFrame()
		if err != nil || f.Header.OpCode != ws.OpPong || string(f.Payload) != "are you there" {
			t.Errorf("got %v %q %v", f.Header, f.Payload, err)
		}
		p.send(`{"event":"#handshake","cid":1}`)
		p.next()
	})
}

// TR-1, TR-8, TR-33: what RFC 6455 and RFC 7692 ask of a server is kept by the
// whole one, with its handshake, queues and limits, as it is by the framing
// alone. Messages are not answered here, as they are no packets; pings are,
// and the close codes are the same.
func TestRFC6455(t *testing.T) {
	cases := rfc6455.Cases()
	for _, test := range []struct {
		name       string
		compressed bool
	}{{"plain", false}, {"deflate", true}} {
		t.Run(test.name, func(t *testing.T) {
			cfg := socketcluster.Config{Limits: socketcluster.Limits{MessageSize: rfc6455.Limit, Fragments: rfc6455.Fragments}}
			if test.compressed {
				cfg.Compression.Level = 1
			}
			inBubble(t, cfg, func(w *world) {
				t := w.t
				for _, c := range cases {
					if c.Mode == rfc6455.Plain && test.compressed || c.Mode == rfc6455.Compressed && !test.compressed {
						continue
					}
					conn, err := w.listen.Dial(context.Background())
					if err != nil {
						t.Fatal(err)
					}
					in, err := rfc6455.Upgrade(conn, socketcluster.DefaultPath, test.compressed)
					if err != nil {
						t.Fatal(err)
					}
					p := &deflatePeer{newPeer(t, &sctest.Conn{Conn: conn, In: in})}
					p.send(`{"event":"#handshake","data":{"authToken":null},"cid":1}`)
					p.data()
					pongs := slices.DeleteFunc(slices.Clone(c.Replies), isMessage)
					replies, code, err := c.Play(conn, in)
					if err != nil || code != c.Code {
						t.Errorf("%s %s (%s): closed with %d, %v; want %d", c.Number, c.Name, c.Rule, code, err, c.Code)
					}
					replies = slices.DeleteFunc(replies, func(r rfc6455.Reply) bool { return isMessage(r) && r.Payload == "" })
					if diff := cmp.Diff(pongs, replies); diff != "" && len(pongs)+len(replies) > 0 {
						t.Errorf("%s %s (%s): pongs (-want +got):\n%s", c.Number, c.Name, c.Rule, diff)
					}
				}
				synctest.Wait()
				if n := w.srv.NumClients(); n != 0 {
					t.Errorf("%d clients are left", n)
				}
			})
		})
	}
}

// isMessage distinguishes the echo of a message, or a ping of the protocol,
// from a pong.
func isMessage(r rfc6455.Reply) bool { return r.Op == 1 || r.Op == 2 }

// FuzzServer sends a server whatever messages, before and after a handshake:
// nothing panics, nothing hangs, and another client is served all the while.
//
// The messages are separated by the byte 0x1e; those that begin with 0x01 are
// binary. The bits of mode switch on what a server may have besides.
func FuzzServer(f *testing.F) {
	const (
		handshake = 1 << iota
		middleware
		lenient
		batching
		version1
		fragments
	)
	for _, messages := range []string{
		"",
		"\x1e",
		`{"event":"#handshake","data":{"authToken":null},"cid":1}`,
		`{"event":"#handshake","data":{"authToken":"a.b.c"},"cid":1}`,
		`{"event":"#handshake","cid":"1"}`,
		`{"event":"p","data":{"a":[1,2,null]},"cid":2}` + "\x1e" + `{"event":"t","data":"x"}`,
		`[{"event":"#subscribe","data":{"channel":"a","data":1,"waitForAuth":true},"cid":2},{"event":"#publish","data":{"channel":"a","data":1},"cid":3}]`,
		`{"event":"#subscribe","data":{"channel":"a"},"cid":2}` + "\x1e" + `{"event":"#unsubscribe","data":"a","cid":3}` + "\x1e" + `{"event":"#unsubscribe","data":"a"}`,
		`{"event":"#publish","data":{"channel":"a"}}` + "\x1e" + `{"event":"#publish","data":null,"cid":1e400}`,
		`{"event":"#authenticate","data":"x","cid":4}` + "\x1e" + `{"event":"#removeAuthToken"}` + "\x1e" + `{"event":"#authenticate"}`,
		`{"rid":1,"data":5}` + "\x1e" + `{"rid":1,"error":{"message":"m"}}` + "\x1e" + `[{"rid":1},{"rid":-1},{"rid":1e300}]`,
		`{"event":"__proto__","cid":-1.5}` + "\x1e" + `{"event":"\u0000\ud800","cid":0}` + "\x1e" + `{"event":5}`,
		"\x01" + `{"event":"p","cid":2}` + "\x1e\x01\x00\xff\x1e\x01",
		`[[[[[]]]]]` + "\x1e" + `[1,"x",null,{},[]]` + "\x1e" + `[`,
		"#1\x1e#2\x1e\xff\xfe",
		`{"event":"#disconnect","data":{"code":99999}}` + "\x1e" + `[{"event":"#disconnect","data":{"code":4321,"data":{"a":["\ud800"]}}},{"event":"p","cid":1}]`,
		strings.Repeat(`{"event":"p","cid":1}`+"\x1e", 20),
	} {
		for _, mode := range []byte{0, handshake, handshake | middleware | fragments, lenient, handshake | batching | version1} {
			f.Add(mode, []byte(messages))
		}
	}
	f.Fuzz(func(t *testing.T, mode byte, messages []byte) {
		cfg := socketcluster.Config{
			Compat: socketcluster.Compat{LenientHandshake: mode&lenient != 0},

			ProtocolVersion: 2,
			Limits:          socketcluster.Limits{Depth: 20, BatchSize: 20, Channels: 5, ChannelName: 20, Inbox: 4, Calls: 4, Outbox: 20_000},
		}
		if mode&batching != 0 {
			cfg.Batching.OnHandshake = 400 * time.Millisecond
		}
		if mode&version1 != 0 {
			cfg.ProtocolVersion = 1
		}
		inBubble(t, cfg, func(w *world) {
			w.srv.HandleDefault(socketcluster.Func(echo).ServeCall, socketcluster.Concurrent(2))
			w.srv.Handle("p", socketcluster.Func(echo))
			w.srv.ReceiveDefault(socketcluster.Recv(func(context.Context, map[string]int) error { return nil }).ServeTransmission)
			if mode&middleware != 0 {
				useAll(w.srv, func(context.Context, socketcluster.Action) error { return nil })
			}
			w.record()
			other := w.dial()
			other.send(`{"event":"#handshake","cid":1}`)
			other.next()
			w.only().Transmit(context.Background(), "a", nil)
			time.Sleep(time.Second) // past the batches of the handshake
			other.next()

			p := w.dial()
			go io.Copy(io.Discard, p.In)
			if mode&handshake != 0 {
				p.write(ws.NewTextFrame([]byte(`{"event":"#handshake","cid":1}`)))
				synctest.Wait()
				for s := range w.srv.Clients() {
					go s.Invoke(context.Background(), "p", 1)
				}
				other.next()
			}
			for message := range bytes.SplitSeq(messages, []byte{0x1e}) {
				op := ws.OpText
				if len(message) > 0 && message[0] == 1 {
					op, message = ws.OpBinary, message[1:]
				}
				if mode&fragments != 0 {
					p.write(ws.NewFrame(op, false, message[:len(message)/2]))
					op, message = ws.OpContinuation, message[len(message)/2:]
				}
				p.write(ws.NewFrame(op, true, bytes.Clone(message)))
			}
			synctest.Wait()

			for {
				other.send(`{"event":"p","data":"still there","cid":7}`)
				text := other.next()
				if text == `{"rid":7,"data":"still there"}` {
					break
				}
				t.Fatalf("the other client got %s", text)
			}
			if strings.Contains(w.logs.String(), "panic") {
				t.Fatalf("logged %s", w.logs)
			}
			p.Conn.Close()
		})
	})
}

// write sends a frame; the connection may be gone.
func (p *peer) write(f ws.Frame) { _ = ws.WriteFrame(p.Conn, ws.MaskFrame(f)) }
