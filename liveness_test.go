package socketcluster_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/wire"
)

// PP-1, PP-2, HS-10, GT-11: pings of both versions, at the interval, also
// before the handshake.
func TestPing(t *testing.T) {
	for _, test := range []struct {
		version wire.Version
		ping    string
		pong    string
	}{
		{wire.Version2, "", ""},
		{wire.Version1, "#1", "#2"},
	} {
		inBubble(t, socketcluster.Config{ProtocolVersion: test.version}, func(w *world) {
			began := time.Now()
			p := w.dial()
			for i := 1; i <= 10; i++ {
				f, err := p.nextFrame()
				if err != nil || f.Header.OpCode != ws.OpText || string(f.Payload) != test.ping {
					t.Fatalf("ping %d: %q %v", i, f.Payload, err)
				}
				if d := time.Since(began).Round(50 * time.Millisecond); d != time.Duration(i)*8*time.Second {
					t.Fatalf("ping %d came after %v", i, d)
				}
				if i == 1 {
					p.send(`{"event":"#handshake","data":{},"cid":1}`)
					p.next()
				}
				p.send(test.pong)
			}
		})
	}
}

// latestPing is the longest interval that goes with a timeout, so that pings
// change nothing about it.
func latestPing(timeout time.Duration) time.Duration { return timeout - 10*time.Millisecond } // a tick

// PP-3, CF-19: a client that says nothing is closed with 4001.
func TestPongTimeout(t *testing.T) {
	inBubble(t, socketcluster.Config{Timeouts: socketcluster.Timeouts{Ping: 5 * time.Second, PingInterval: latestPing(5 * time.Second)}}, func(w *world) {
		log := w.record()
		p := w.client()
		began := time.Now()
		p.wantClose(4001, "")
		if d := time.Since(began).Round(100 * time.Millisecond); d != 5*time.Second {
			t.Errorf("closed after %v, want 5s", d)
		}
		log.want("connect disconnect close error end")
	})
}

// A client that has never answered a ping may not know them for pings. The
// events report this; the client receives no text (TR-32).
func TestSilenceIsExplained(t *testing.T) {
	const silent = "Client pong timed out"
	hint := func(v int) string {
		return fmt.Sprintf("%s. It has never answered a ping: it may speak version %d of the protocol, see Config.ProtocolVersion and Config.Protocol1Path", silent, v)
	}
	for _, test := range []struct {
		name   string
		cfg    socketcluster.Config
		answer string
		want   string
	}{
		{"no answer", socketcluster.Config{}, "", hint(1)},
		{"of version 1", socketcluster.Config{ProtocolVersion: wire.Version1}, "", hint(2)},
		{"the answer of the other version", socketcluster.Config{ProtocolVersion: wire.Version1}, "{}", hint(2)},
		{"an answer", socketcluster.Config{ProtocolVersion: wire.Version1}, "#2", silent},
	} {
		t.Run(test.name, func(t *testing.T) {
			inBubble(t, test.cfg, func(w *world) {
				var closed, disconnected string
				socketcluster.On(w.srv, func(e socketcluster.CloseEvent) { closed = e.Reason })
				socketcluster.On(w.srv, func(e socketcluster.DisconnectEvent) { disconnected = e.Reason })
				p := w.client()
				if test.answer != "" {
					p.send(test.answer)
				}
				for { // the pings go unanswered
					f, err := p.nextFrame()
					if err != nil {
						t.Fatal(err)
					}
					if code, text := ws.ParseCloseFrameData(f.Payload); f.Header.OpCode == ws.OpClose {
						if code != 4001 || text != "" {
							t.Errorf("closed with %d %q", code, text)
						}
						break
					}
				}
				synctest.Wait()
				if closed != test.want || disconnected != test.want {
					t.Errorf("closed %q, disconnected %q, want %q", closed, disconnected, test.want)
				}
			})
		})
	}
}

// PP-4, PP-5, CV-6: what restarts the pong timeout.
func TestPongTimeoutRestart(t *testing.T) {
	const timeout = 8 * time.Second
	for _, test := range []struct {
		name  string
		after time.Duration // of a message after the handshake
		send  string
		lives time.Duration
	}{
		{"PP-4: a pong always does", time.Second, "", time.Second + timeout},
		{"PP-5: other traffic does not at once", time.Second, "x", timeout},
		{"PP-5: other traffic does not after exactly a quarter", timeout / 4, "x", timeout},
		{"PP-5: other traffic does right after a quarter", timeout/4 + 10*time.Millisecond, "x", timeout/4 + 10*time.Millisecond + timeout},
		{"PP-5: other traffic does after a quarter", 3 * time.Second, "x", 3*time.Second + timeout},
	} {
		t.Run(test.name, func(t *testing.T) {
			inBubble(t, socketcluster.Config{Timeouts: socketcluster.Timeouts{Ping: timeout, PingInterval: latestPing(timeout)}}, func(w *world) {
				p := w.client()
				began := time.Now()
				time.Sleep(test.after)
				p.send(test.send)
				p.wantClose(4001, "")
				if d := time.Since(began).Truncate(10 * time.Millisecond); d != test.lives { // a tick is 10 ms
					t.Errorf("closed after %v, want %v", d, test.lives)
				}
			})
		})
	}
}

// PP-6, CF-19: without pings there is no timeout either, and it is announced
// nevertheless (HS-15).
func TestPingTimeoutDisabled(t *testing.T) {
	inBubble(t, socketcluster.Config{Timeouts: socketcluster.Timeouts{PingDisabled: true}}, func(w *world) {
		p, status := w.connect("null")
		if status["pingTimeout"] != 30000.0 {
			t.Errorf("pingTimeout %v", status["pingTimeout"])
		}
		p.Conn.SetReadDeadline(time.Now().Add(24 * time.Hour))
		if _, err := p.In.ReadByte(); err == nil {
			t.Error("something was sent")
		}
		p.send(`{"event":"x","cid":2}`)
		p.next()
	})
}

// PP-4: in version 1 an empty message is no pong but a raw message.
func TestEmptyMessageInVersion1(t *testing.T) {
	inBubble(t, socketcluster.Config{ProtocolVersion: wire.Version1}, func(w *world) {
		log := w.record()
		p := w.client()
		p.send("")
		p.send("#2")
		p.quiet(time.Second)
		log.want("connect raw")
	})
}

// PP-10, PP-5: pongs pass the raw middleware in the order of arrival, and
// restart the timeout when they arrive, not when it is done with them.
func TestPongsAndRawMiddleware(t *testing.T) {
	inBubble(t, socketcluster.Config{Timeouts: socketcluster.Timeouts{Ping: 8 * time.Second, PingInterval: latestPing(8 * time.Second)}}, func(w *world) {
		p := w.client()
		var seen []string
		socketcluster.Use(w.srv, func(_ context.Context, a *socketcluster.RawMessage) error {
			seen = append(seen, string(a.Data))
			time.Sleep(6 * time.Second)
			return nil
		})
		began := time.Now()
		for _, text := range []string{"", "a", "", "b"} {
			p.send(text)
			time.Sleep(5 * time.Second)
		}
		p.wantClose(4001, "")
		if d := time.Since(began).Round(100 * time.Millisecond); d != 23*time.Second {
			t.Errorf("closed after %v, want 8s after the last message", d)
		}
		time.Sleep(time.Minute) // until the middleware is done
		synctest.Wait()
		if got := fmt.Sprintf("%q", seen); got != `["" "a" "" "b"]` {
			t.Errorf("the middleware saw %s", got)
		}
	})
}

// TR-18: an empty binary message is no pong but a raw message.
func TestEmptyBinaryMessageIsNoPong(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		p := w.client()
		raw := make(chan socketcluster.RawEvent, 2)
		socketcluster.On(w.only(), func(e socketcluster.RawEvent) { raw <- e })
		p.send("")
		p.sendBinary("")
		if e := <-raw; !e.Binary || len(e.Data) != 0 {
			t.Errorf("got %+v", e)
		}
		synctest.Wait()
		if len(raw) != 0 {
			t.Error("a pong is a raw message too")
		}
	})
}
