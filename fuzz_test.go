package socketcluster_test

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"

	"github.com/socketcluster-go/socketcluster"
)

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
			LenientHandshake: mode&lenient != 0,
			BatchOnHandshake: mode&batching != 0,
			ProtocolVersion:  2,
			Limits:           socketcluster.Limits{Depth: 20, BatchSize: 20, Channels: 5, ChannelName: 20, Inbox: 4, Calls: 4, Outbox: 20_000},
		}
		if mode&version1 != 0 {
			cfg.ProtocolVersion = 1
		}
		inBubble(t, cfg, func(w *world) {
			w.srv.HandleRest(socketcluster.Func(echo), socketcluster.Concurrent(2))
			w.srv.Handle("p", socketcluster.Func(echo))
			w.srv.ReceiveRest(socketcluster.Recv(func(context.Context, *socketcluster.Transmission, map[string]int) error { return nil }))
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
			go io.Copy(io.Discard, p.in)
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
			p.conn.Close()
		})
	})
}

// write sends a frame; the connection may be gone.
func (p *peer) write(f ws.Frame) { _ = ws.WriteFrame(p.conn, ws.MaskFrame(f)) }
