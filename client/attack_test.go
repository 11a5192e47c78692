package client_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/client"
	"github.com/socketcluster-go/socketcluster/wire"
	"github.com/socketcluster-go/socketcluster/wire/minbin"
)

// heapInUse is how much of the heap is reachable.
func heapInUse() int {
	runtime.GC()
	runtime.GC() // what pools have kept of the first
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

// flood writes a frame again and again until the client no longer reads, or has read
// limit bytes. It returns how often, when everything is at rest. The frames end with the
// connection.
func (p *peer) flood(frame string, limit int) int {
	var n atomic.Int64
	go func() {
		for int(n.Load())*len(frame) < limit {
			if _, err := io.WriteString(p.Conn, frame); err != nil {
				return
			}
			n.Add(1)
		}
	}()
	synctest.Wait()
	return int(n.Load())
}

// binaryFrame returns a binary message.
func binaryFrame(data string) string {
	return string(ws.MustCompileFrame(ws.NewBinaryFrame([]byte(data))))
}

// A flood of anything that the client must keep for handlers, for its store, or for a server
// that does not read, stops reading at a limit, and keeps no more than that. Close ends it
// nevertheless.
func TestFloods(t *testing.T) {
	const held, outbox = 64 << 10, 64 << 10
	big := strings.Repeat("x", 10_000)
	for name, test := range map[string]struct {
		frame   string
		options client.Options
		prepare func(c *client.Client, block func())
		store   bool // it is the store that blocks
	}{
		"raw messages": {frame: frames("raw"), prepare: func(c *client.Client, block func()) {
			client.On(c, func(client.RawEvent) { block() })
		}},
		"large raw messages": {frame: frames(big), prepare: func(c *client.Client, block func()) {
			client.On(c, func(client.RawEvent) { block() })
		}},
		"pings as messages": {frame: frames(""), prepare: func(c *client.Client, block func()) {
			client.On(c, func(client.MessageEvent) { block() })
		}},
		"transmissions": {frame: frames(`{"event":"e","data":"` + big + `"}`), prepare: func(c *client.Client, block func()) {
			c.Receive("e", receiver(func(context.Context, *transmission) error { block(); return nil }))
		}},
		"small transmissions": {frame: frames(`{"event":"e"}`), prepare: func(c *client.Client, block func()) {
			c.Receive("e", receiver(func(context.Context, *transmission) error { block(); return nil }))
		}},
		"calls": {frame: frames(`{"event":"p","cid":1}`), prepare: func(c *client.Client, block func()) {
			c.Handle("p", procedure(func(context.Context, *call) (any, error) { block(); return nil, nil }))
		}},
		"concurrent calls": {frame: frames(`{"event":"p","cid":1}`), prepare: func(c *client.Client, block func()) {
			c.Handle("p", procedure(func(context.Context, *call) (any, error) { block(); return nil, nil }), socketcluster.Concurrent(1000))
		}},
		"tokens for handlers": {frame: frames(`{"event":"#setAuthToken","data":{"token":"` + big + `"}}`), prepare: func(c *client.Client, block func()) {
			client.On(c, func(client.AuthenticateEvent) { block() })
		}},
		"tokens for the store":   {frame: frames(`{"event":"#setAuthToken","data":{"token":"` + big + `"}}`), store: true},
		"removals for the store": {frame: frames(`{"event":"#removeAuthToken"}`), store: true},
		"called removals":        {frame: frames(`{"event":"#removeAuthToken","cid":1}`), store: true},
		"undecodable messages": {frame: binaryFrame("\xc1" + big), options: client.Options{Codec: minbin.Codec{}}, prepare: func(c *client.Client, block func()) {
			client.On(c, func(client.ErrorEvent) { block() })
		}},
		"calls with large answers": {frame: frames("[" + strings.Repeat(`{"event":"p","cid":1},`, 99) + `{"event":"p","cid":1}]`), prepare: func(c *client.Client, _ func()) {
			c.Handle("p", procedure(func(context.Context, *call) (any, error) { return big + big + big + big + big + big, nil }))
		}},
		"unknown procedures":            {frame: frames(`{"event":"nope","cid":1}`)},
		"tokens without a token":        {frame: frames(`{"event":"#setAuthToken","cid":1}`)},
		"pings of WebSocket":            {frame: "\x89\x7d" + big[:125]},
		"a batch of unknown procedures": {frame: frames("[" + strings.Repeat(`{"event":"nope","cid":1},`, 99) + `{"event":"nope","cid":1}]`)},
	} {
		t.Run(name, func(t *testing.T) {
			withFake(t, func(t *testing.T, s *fake) {
				s.listen.BufferSize = 4 << 10
				o := test.options
				o.Limits = client.Limits{Held: held, Outbox: outbox}
				o.Reconnect.Disabled = true
				release := make(chan struct{})
				store := new(testStore)
				o.TokenStore = store
				c := s.new(o)
				if test.prepare != nil {
					test.prepare(c, func() { <-release })
				}
				connecting(c)
				p := s.accept()
				if o.Codec != nil {
					p.frame()
					answer, err := o.Codec.Encode(nil, []byte(`{"rid":1,"data":{"id":"x","pingTimeout":3600000}}`))
					if err != nil {
						t.Fatal(err)
					}
					p.write(binaryFrame(string(answer)))
				} else {
					p.next()
					p.send(`{"rid":1,"data":{"id":"x","pingTimeout":3600000}}`)
				}
				synctest.Wait()
				if test.store {
					store.set(nil, release)
				}
				before := heapInUse()
				limit := min(16<<20, 20_000*len(test.frame))
				n := p.flood(test.frame, limit)
				read := n * len(test.frame)
				if read >= limit {
					t.Fatalf("the client has read all %d messages", n)
				}
				// What it holds, what is on its way in both directions, and goroutines.
				if more := heapInUse() - before; more > 4<<20 {
					t.Errorf("%d bytes are held after %d messages of %d bytes", more, n, len(test.frame))
				}
				if c.State() != socketcluster.Open {
					t.Errorf("%v", c.State())
				}
				began := time.Now()
				c.Close()
				if took := time.Since(began); took > 7*time.Second {
					t.Errorf("closed after %v", took)
				}
				close(release)
			})
		})
	}
}

// A flood that the client may drop, or answers by one pong, does not stop it, and holds
// nothing.
func TestHarmlessFloods(t *testing.T) {
	for name, text := range map[string]string{
		"pings":               "",
		"unknown events":      `{"event":"nope"}`,
		"unknown channels":    `{"event":"#publish","data":{"channel":"nope","data":"` + strings.Repeat("x", 1000) + `"}}`,
		"kick-outs":           `{"event":"#kickOut","data":{"channel":"nope"}}`,
		"answers":             `{"rid":1,"data":{"id":"x"}}`,
		"publications":        `{"event":"#publish","data":{"channel":"a","data":"` + strings.Repeat("x", 1000) + `"}}`,
		"raw":                 `raw`,
		"a batch of nonsense": "[" + strings.Repeat("1,", 1000) + "1]",
	} {
		t.Run(name, func(t *testing.T) {
			withFake(t, func(t *testing.T, s *fake) {
				c, p := s.connect(client.Options{Limits: client.Limits{Queue: 10}})
				sub := subscribe(t, c, "a")
				synctest.Wait()
				before := heapInUse()
				limit := min(1<<20, 10_000*len(frames(text)))
				n := p.flood(frames(text), limit)
				if n*len(frames(text)) < limit {
					t.Errorf("the client has stopped to read after %d messages", n)
				}
				if more := heapInUse() - before; more > 1<<20 {
					t.Errorf("%d bytes are held after %d messages", more, n)
				}
				if name == "publications" && sub.Dropped() != uint64(n-10) {
					t.Errorf("%d of %d dropped", sub.Dropped(), n)
				}
				if c.State() != socketcluster.Open {
					t.Error(c.State())
				}
			})
		})
	}
}

// The events of a batch share a copy of the message.
func TestRawBatchIsCopiedOnce(t *testing.T) {
	withFake(t, func(t *testing.T, s *fake) {
		c, p := s.connect(client.Options{})
		release := make(chan struct{})
		defer close(release)
		client.On(c, func(client.RawEvent) { <-release })
		before := heapInUse()
		p.send("[" + strings.Repeat("1,", 9_998) + `"` + strings.Repeat("x", 1<<20) + `"]`)
		synctest.Wait()
		if more := heapInUse() - before; more > 8<<20 {
			t.Errorf("%d bytes are held", more)
		}
	})
}

// While calls wait, reading goes on, as only that brings their answers, up to a limit that
// ends the connection with 1008. Otherwise it just pauses.
func TestFloodWhileCallsWait(t *testing.T) {
	withFake(t, func(t *testing.T, s *fake) {
		c := s.new(client.Options{Limits: client.Limits{Held: 10_000}, Reconnect: client.Reconnect{Disabled: true}})
		release := make(chan struct{})
		defer close(release)
		c.Receive("e", receiver(func(context.Context, *transmission) error { <-release; return nil }))
		p := s.connectTo(c)
		data := `{"event":"e","data":"` + strings.Repeat("x", 1000) + `"}`
		p.send(data, data, data, data)
		synctest.Wait()
		call := calling(c, "p", nil) // makes it read on
		p.next()
		p.send(data, data, `{"rid":2,"data":1}`)
		if err := <-call; err != nil {
			t.Error(err)
		}
		closes := make(chan client.CloseEvent, 1)
		client.On(c, func(e client.CloseEvent) { closes <- e })
		call = calling(c, "p", nil)
		p.next()
		before := heapInUse()
		p.flood(frames(data), 8<<20) // it is read and dropped, up to the end of the connection
		if e := <-closes; e.Code != wire.ClosePolicy {
			t.Errorf("closed with %d", e.Code)
		}
		if more := heapInUse() - before; more > 1<<20 {
			t.Errorf("%d bytes are held", more)
		}
		if err := <-call; !errors.Is(err, wire.ErrBadConnection) {
			t.Error(err)
		}
	})
}

// While the client does not read, pings are not missed: neither during the pause nor right
// after it.
func TestPauseKeepsConnection(t *testing.T) {
	withFake(t, func(t *testing.T, s *fake) {
		c := s.new(client.Options{Limits: client.Limits{Held: 1000}})
		gate := make(chan struct{})
		c.Receive("e", receiver(func(context.Context, *transmission) error { <-gate; return nil }))
		connecting(c)
		p := s.accept()
		p.next()
		p.send(`{"rid":1,"data":{"id":"x","pingTimeout":5000}}`)
		synctest.Wait()
		r := record(t, c)
		pause := func(d time.Duration) {
			t.Helper()
			p.send(`{"event":"e"}`, "")
			time.Sleep(d)
			p.quiet() // the ping is not read
			gate <- struct{}{}
			p.want("")
			// The next ping may take its whole time.
			time.Sleep(4990 * time.Millisecond)
			p.send("")
			p.want("")
		}
		pause(time.Hour)
		pause(4999 * time.Millisecond) // the deadline of the last ping is right after the end of the pause
		pause(5000 * time.Millisecond)
		// The server may have been held up, too.
		p.send(`{"event":"e"}`)
		time.Sleep(5000 * time.Millisecond)
		gate <- struct{}{}
		time.Sleep(time.Second)
		p.send("")
		p.want("")
		r.want()
		if err := c.Transmit(t.Context(), "a", nil); err != nil { // it is not stale
			t.Fatal(err)
		}
		p.want(`{"event":"a"}`)
		time.Sleep(5020 * time.Millisecond)
		if events := r.take(); len(events) == 0 || events[0] != "disconnect 4000 Server ping timed out" {
			t.Errorf("%q", events)
		}
	})
}

// A server that does not read makes senders wait, which the end of their context ends. After
// half a minute at most the connection ends, and what waits fails.
func TestServerDoesNotRead(t *testing.T) {
	withFake(t, func(t *testing.T, s *fake) {
		c, _ := s.connect(client.Options{Limits: client.Limits{Outbox: 256 << 10}})
		closes := make(chan client.CloseEvent, 1)
		client.On(c, func(e client.CloseEvent) { closes <- e })
		data := strings.Repeat("x", 10_000)
		began := time.Now()
		sent := 0
		for {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			err := c.Transmit(ctx, "e", data)
			cancel()
			if errors.Is(err, context.DeadlineExceeded) {
				break
			}
			if err != nil || sent > 100 {
				t.Fatal(sent, err)
			}
			sent++
		}
		if took := time.Since(began); took != time.Second {
			t.Errorf("waited for %v", took)
		}
		var fails [4]<-chan error
		for i := range fails {
			fails[i] = calling(c, "p", data)
		}
		if e := <-closes; e.Code != wire.CloseAbnormal || time.Since(began) > 31*time.Second {
			t.Errorf("closed with %d %s after %v", e.Code, e.Reason, time.Since(began))
		}
		for _, failed := range fails {
			if err := <-failed; err == nil {
				t.Error("no error")
			}
		}
	})
}

// Close does not wait for a server that does not read.
func TestCloseWhileServerDoesNotRead(t *testing.T) {
	withFake(t, func(t *testing.T, s *fake) {
		c, _ := s.connect(client.Options{})
		if err := c.Transmit(t.Context(), "e", strings.Repeat("x", 300_000)); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		c.Close()
		if took := time.Since(began); took > 4*time.Second {
			t.Errorf("closed after %v", took)
		}
	})
}

// Frames that break the rules of WebSocket, and messages beyond the limits, end the
// connection with their code and with an error that names the limit, without the memory that
// they announce (TR-8).
func TestBadFrames(t *testing.T) {
	length := func(first byte, n uint64) string {
		return string(binary.BigEndian.AppendUint64([]byte{first, 127}, n))
	}
	for name, test := range map[string]struct {
		bytes, error string
		code         int
	}{
		"announces 1 GiB":       {length(0x81, 1<<30), "Limits.MessageSize is 1000000", 1009},
		"announces everything":  {length(0x81, 1<<63), "highest bit", 1002},
		"one byte too large":    {length(0x81, 1_000_001), "Limits.MessageSize is 1000000", 1009},
		"fragments without end": {strings.Repeat("\x01\x00"+strings.Repeat("\x00\x7d"+strings.Repeat("x", 125), 5000), 1), "fragments", 1009},
		"large fragments":       {"\x01\x00" + strings.Repeat(string(binary.BigEndian.AppendUint16([]byte{0x00, 126}, 65535))+strings.Repeat("x", 65535), 16), "Limits.MessageSize is 1000000", 1009},
		"masked":                {"\x81\x81abcdx", "", 1002},
		"reserved bits":         {"\xf1\x00", "", 1002},
		"reserved opcode":       {"\x83\x00", "", 1002},
		"no beginning":          {"\x80\x00", "", 1002},
		"large ping":            {"\x89\x7e\x00\x7e", "", 1002},
		"no UTF-8":              {"\x81\x02\xc3\x28", "UTF-8", 1007},
		"compressed unasked":    {"\xc1\x01x", "", 1002},
		"close of one byte":     {"\x88\x01x", "", 1002},
		"batch":                 {frames("[" + strings.Repeat("{},", 100) + "{}]"), "Limits.BatchSize is 100", 1009},
		"depth":                 {frames(strings.Repeat("[", 100_000)), "deep", 1009},
	} {
		t.Run(name, func(t *testing.T) {
			withFake(t, func(t *testing.T, s *fake) {
				c, p := s.connect(client.Options{Limits: client.Limits{MessageSize: 1_000_000, BatchSize: 100}, Reconnect: client.Reconnect{Disabled: true}})
				r := record(t, c)
				before := heapInUse()
				go io.WriteString(p.Conn, test.bytes) // the client does not read it all
				synctest.Wait()
				if more := heapInUse() - before; more > 4<<20 {
					t.Errorf("%d bytes are held", more)
				}
				p.wantClose(test.code, "")
				events := r.take()
				if name == "depth" && strings.Contains(events[0], "BatchSize") {
					t.Errorf("the error names a limit that has nothing to do with it: %q", events[0])
				}
				if len(events) < 3 || !strings.HasPrefix(events[0], "error ") || !strings.Contains(events[0], test.error) || !strings.HasPrefix(events[1], fmt.Sprintf("disconnect %d ", test.code)) {
					t.Errorf("%q", events)
				}
			})
		})
	}
}

// An answer to the upgrade that never ends, ends the attempt.
func TestEndlessUpgrade(t *testing.T) {
	for name, test := range map[string]struct{ first, again string }{
		"interim responses": {"", "HTTP/1.1 100 Continue\r\n\r\n"},
		"headers":           {"HTTP/1.1 101 Switching Protocols\r\n", "X: y\r\n"},
		"one header":        {"HTTP/1.1 101 Switching Protocols\r\nX: ", "y"},
		"refusal":           {"HTTP/1.1 403 Forbidden\r\n\r\n", "no"},
	} {
		t.Run(name, func(t *testing.T) {
			withFake(t, func(t *testing.T, s *fake) {
				c := s.new(client.Options{Reconnect: client.Reconnect{Disabled: true}})
				connected := connecting(c)
				nc, _ := s.raw()
				before := heapInUse()
				io.WriteString(nc, test.first)
				p := &peer{Conn: nc, t: t}
				if n := p.flood(test.again, 4<<20); n*len(test.again) >= 4<<20 {
					t.Error("the client has read everything")
				}
				if more := heapInUse() - before; more > 1<<20 {
					t.Errorf("%d bytes are held", more)
				}
				if err := <-connected; !errors.Is(err, wire.ErrSocketProtocol) {
					t.Error(err)
				}
			})
		})
	}
}

// Events of attempts that the server refuses are bounded as those of messages: the client
// waits for its handlers before it connects again.
func TestEndlessRefusals(t *testing.T) {
	withFake(t, func(t *testing.T, s *fake) {
		c := s.new(client.Options{
			Reconnect: client.Reconnect{InitialDelay: time.Millisecond, Randomness: -1, MaxDelay: time.Millisecond},
			Timeouts:  client.Timeouts{Connect: time.Hour},
		})
		release := make(chan struct{})
		client.On(c, func(client.ErrorEvent) { <-release })
		connecting(c)
		var attempts atomic.Int64
		failure := strings.Repeat("x", 300_000)
		go func() {
			for {
				nc, err := s.listen.Accept()
				if err != nil {
					return
				}
				r, err := http.ReadRequest(bufio.NewReader(nc))
				if err != nil {
					return
				}
				io.WriteString(nc, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "+acceptKey(r)+"\r\n\r\n")
				io.WriteString(nc, frames(fmt.Sprintf(`{"rid":%d,"error":{"name":"E","message":"m","x":"%s"}}`, attempts.Add(1), failure)))
				nc.Close()
			}
		}()
		time.Sleep(time.Minute)
		if n := attempts.Load(); n < 2 || n > 10 {
			t.Errorf("%d attempts", n)
		}
		close(release)
		synctest.Wait()
		before := attempts.Load()
		time.Sleep(200 * time.Millisecond)
		if n := attempts.Load(); n < before+5 {
			t.Errorf("%d attempts after the end of the handler", n-before)
		}
	})
}

// What a server sends before and around the handshake can neither connect the client nor
// confuse it.
func TestBeforeHandshake(t *testing.T) {
	withFake(t, func(t *testing.T, s *fake) {
		c := s.new(client.Options{})
		subscribe(t, c, "a")
		r := record(t, c)
		connecting(c)
		p := s.accept()
		p.next()
		p.send(`{"rid":2}`, `{"rid":0}`, `{"event":"#publish","data":{"channel":"a"}}`, `{"event":"#removeAuthToken"}`, `{"event":"#kickOut","data":{"channel":"b"}}`, `{"event":"x","cid":1}`)
		p.want(`{"rid":1,"error":{"message":"The client has no such procedure","name":"UnknownProcedureError"}}`)
		r.want("connecting", "removeAuthToken ")
		p.send(`{"rid":1,"data":{"id":"x"}}`, `{"rid":1,"data":{"id":"y"}}`, `{"rid":1,"error":"no"}`)
		p.want(`{"event":"#subscribe","data":{"channel":"a"},"cid":2}`)
		r.want("subscribeRequest a", "connect x")
		p.quiet()
	})
}

// An ID of the connection of a megabyte is kept once.
func TestHugeID(t *testing.T) {
	withFake(t, func(t *testing.T, s *fake) {
		c := s.new(client.Options{})
		connecting(c)
		p := s.accept()
		p.next()
		before := heapInUse()
		p.send(`{"rid":1,"data":{"id":"` + strings.Repeat("x", 1<<20) + `"}}`)
		synctest.Wait()
		if more := heapInUse() - before; more > 4<<20 || len(c.ID()) != 1<<20 {
			t.Errorf("%d bytes are held; %d", more, len(c.ID()))
		}
	})
}
