package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/client"
	"github.com/socketcluster-go/socketcluster/wire"
	"github.com/socketcluster-go/socketcluster/wire/minbin"
)

// The exact texts of what a client sends (RPC-1, CL-18, PS-5).
func TestTexts(t *testing.T) {
	withFake(t, func(t *testing.T, s *fake) {
		c, p := s.connect(client.Options{})
		null := json.RawMessage("null")
		for _, test := range []struct {
			send func(ctx context.Context) error
			want string
		}{
			{func(ctx context.Context) error { return c.Transmit(ctx, "t", nil) }, `{"event":"t"}`},
			{func(ctx context.Context) error { return c.Transmit(ctx, "t", socketcluster.None{}) }, `{"event":"t"}`},
			{func(ctx context.Context) error { return c.Transmit(ctx, "t", null) }, `{"event":"t","data":null}`},
			{func(ctx context.Context) error { return c.Transmit(ctx, "t", 1) }, `{"event":"t","data":1}`},
			{func(ctx context.Context) error { return c.Transmit(ctx, "<\"\n", "<&>") }, `{"event":"<\"\n","data":"<&>"}`},
			{func(ctx context.Context) error { return c.Transmit(ctx, "b", []byte("hi")) }, `{"event":"b","data":{"base64":true,"data":"aGk="}}`}, // TR-21
			{func(ctx context.Context) error { _, err := c.Invoke(ctx, "p", 1); return err }, `{"event":"p","data":1,"cid":2}`},
			{func(ctx context.Context) error { _, err := c.Invoke(ctx, "p", nil); return err }, `{"event":"p","cid":3}`},
			{func(ctx context.Context) error { _, err := c.Invoke(ctx, "p", null); return err }, `{"event":"p","data":null,"cid":4}`},
			{func(ctx context.Context) error { return c.TransmitPublish(ctx, "x", 5) }, `{"event":"#publish","data":{"channel":"x","data":5}}`},
			{func(ctx context.Context) error { return c.TransmitPublish(ctx, "x", nil) }, `{"event":"#publish","data":{"channel":"x"}}`},
			{func(ctx context.Context) error { return c.TransmitPublish(ctx, "x", null) }, `{"event":"#publish","data":{"channel":"x","data":null}}`},
			{func(ctx context.Context) error { return c.Publish(ctx, "x", 5) }, `{"event":"#publish","data":{"channel":"x","data":5},"cid":5}`},
			{func(ctx context.Context) error { return c.Send(ctx, "raw text") }, `raw text`}, // TR-26
		} {
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() { done <- test.send(ctx) }()
			p.want(test.want)
			cancel()
			if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
				t.Errorf("%s: %v", test.want, err)
			}
		}
		if err := c.SendBinary(t.Context(), []byte{0xff}); err != nil {
			t.Fatal(err)
		}
		if f, err := p.frame(); err != nil || f.Header.OpCode != ws.OpBinary || string(f.Payload) != "\xff" {
			t.Errorf("%v %v", f, err)
		}
		// What cannot be encoded fails, and sends nothing (TR-22).
		for _, err := range []error{
			c.Transmit(t.Context(), "t", func() {}),
			c.TransmitPublish(t.Context(), "t", make(chan int)),
			c.Publish(t.Context(), "t", func() {}),
		} {
			if err == nil {
				t.Error("no error")
			}
		}
		if _, err := c.Invoke(t.Context(), "t", func() {}); err == nil {
			t.Error("no error")
		}
		p.quiet()
	})
}

// What answers mean, in whatever order they come: data, errors, and nothing for those that
// nobody waits for (RPC-2, RPC-18).
func TestAnswers(t *testing.T) {
	withFake(t, func(t *testing.T, s *fake) {
		c, p := s.connect(client.Options{})
		r := record(t, c)
		type answer struct {
			data string
			err  error
		}
		var all [12]answer
		var wg sync.WaitGroup
		for i := range all {
			wg.Go(func() {
				data, err := c.Invoke(t.Context(), "p", nil)
				all[i] = answer{string(data), err}
			})
			synctest.Wait()
		}
		p.send(
			`{"rid":3,"data":{"a":1}}`, `{"rid":2}`, `{"rid":4,"data":null}`, `{"rid":5,"data":0}`,
			`{"rid":6,"error":"boom"}`, `{"rid":7,"error":{"message":"m"}}`, `{"rid":8,"error":{"name":"N","message":"m","x":[1]}}`,
			`{"rid":9,"error":null,"data":1}`, `{"rid":10,"error":0}`, `{"rid":11,"error":5}`, `{"rid":12,"error":{}}`, `{"rid":13,"error":["a"]}`,
			// These are answers to nothing.
			`{"rid":2,"data":"again"}`, `{"rid":1,"data":{"id":"y"}}`, `{"rid":99}`, `{"rid":-1}`, `{"rid":0}`, `{"rid":1.5}`, `{"rid":1e300}`,
		)
		wg.Wait()
		for i, want := range []string{
			"", `{"a":1}`, "null", "0", "Error: boom", "Error: m", "N: m", "1", "", "Error: 5", "Error: Invalid error message format", "Error: Invalid error message format",
		} {
			got := all[i].data
			if all[i].err != nil {
				got = all[i].err.Error()
			}
			if got != want {
				t.Errorf("answer %d: %s, want %s", i+2, got, want)
			}
		}
		if x, _ := wantError(t, all[6].err, "N: m").Field("x"); string(x.(json.RawMessage)) != "[1]" {
			t.Errorf("field %s", x)
		}
		r.want()
		if c.ID() != "id1" {
			t.Errorf("a second answer to the handshake counted: %s", c.ID())
		}
	})
}

// A call fails after the ack timeout, or at the deadline of its context, and a late answer
// counts for nothing. That is no event (RPC-12, CF-25).
func TestAckTimeout(t *testing.T) {
	withFake(t, func(t *testing.T, s *fake) {
		c, p := s.connect(client.Options{})
		r := record(t, c)
		wait := func(ctx context.Context, want time.Duration, text string) {
			t.Helper()
			began := time.Now()
			_, err := c.Invoke(ctx, "p", nil)
			if took := time.Since(began); took < want || took > want+tick {
				t.Errorf("after %v, want %v", took, want)
			}
			if err == nil || err.Error() != text {
				t.Errorf("%v, want %s", err, text)
			}
		}
		const timeout = "TimeoutError: Event response for p event timed out"
		wait(t.Context(), 10*time.Second, timeout)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		wait(ctx, time.Minute, timeout)
		ctx, cancel = context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		wait(ctx, time.Second, context.Canceled.Error())
		wait(ctx, 0, context.Canceled.Error())
		p.send(`{"rid":2}`, `{"rid":3}`, `{"rid":4}`)
		r.want()
		p.want(`{"event":"p","cid":2}`, `{"event":"p","cid":3}`, `{"event":"p","cid":4}`)
		p.quiet()
	})
}

// A timeout is one for Go code too, whatever has set the time and whatever the call waits
// for. A TimeoutError of the server is not, and a call whose context has ended is not sent.
func TestTimeoutIsDeadlineExceeded(t *testing.T) {
	withFake(t, func(t *testing.T, s *fake) {
		c, p := s.connect(client.Options{})
		check := func(err error, want bool) {
			t.Helper()
			if !errors.Is(err, wire.ErrTimeout) || errors.Is(err, context.DeadlineExceeded) != want || os.IsTimeout(err) != want {
				t.Errorf("%v, want a timeout here: %v", err, want)
			}
		}
		invoke := func(ctx context.Context) error {
			_, err := c.Invoke(ctx, "p", nil)
			return err
		}
		check(invoke(t.Context()), true)
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		check(invoke(short), true)
		p.want(`{"event":"p","cid":2}`, `{"event":"p","cid":3}`)
		<-short.Done()
		check(invoke(short), true)
		p.quiet()
		call := calling(c, "p", nil)
		p.want(`{"event":"p","cid":4}`)
		p.send(`{"rid":4,"error":{"name":"TimeoutError","message":"another call"}}`)
		check(<-call, false)
		check(c.Publish(short, "a", nil), true)
		p.Close()
		synctest.Wait()
		check(invoke(t.Context()), true) // waits for a connection
	})
}

// What waits for a connection ends in time: calls with an error, events in silence, and the
// rest leaves (CL-15).
func TestBufferTimeout(t *testing.T) {
	withFake(t, func(t *testing.T, s *fake) {
		c := s.new(client.Options{})
		began := time.Now()
		call := calling(c, "early", nil)
		if err := c.Transmit(t.Context(), "early", nil); err != nil {
			t.Fatal(err)
		}
		long, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := c.Transmit(long, "long", nil); err != nil {
			t.Fatal(err)
		}
		canceled, cancel := context.WithCancel(t.Context())
		gone := make(chan error, 1)
		go func() {
			_, err := c.Invoke(canceled, "gone", nil)
			gone <- err
		}()
		synctest.Wait()
		cancel()
		if err := <-gone; err != context.Canceled {
			t.Error(err)
		}
		wantError(t, <-call, "TimeoutError: Event response for early event timed out")
		if took := time.Since(began); took < 10*time.Second || took > 10*time.Second+tick {
			t.Errorf("after %v", took)
		}
		if err := c.Transmit(t.Context(), "late", nil); err != nil {
			t.Fatal(err)
		}
		p := s.greet(1, noToken)
		p.want(`{"event":"long"}`, `{"event":"late"}`)
		p.quiet()
	})
}

// The end of an attempt clears what waits for it: calls fail, events are lost, and nothing
// is sent later (CL-16, CL-17).
func TestBufferLost(t *testing.T) {
	withFake(t, func(t *testing.T, s *fake) {
		c := s.new(client.Options{})
		call := calling(c, "p", nil)
		if err := c.Transmit(t.Context(), "t", nil); err != nil {
			t.Fatal(err)
		}
		if err := c.Disconnect(0, ""); err != nil {
			t.Fatal(err)
		}
		e := wantError(t, <-call, "BadConnectionError: Event p was aborted due to a bad connection")
		if got := string(e.AppendJSON(nil)); got != `{"message":"Event p was aborted due to a bad connection","name":"BadConnectionError","type":"connectAbort","code":1000,"reason":"Socket closed normally"}` {
			t.Error(got)
		}
		connecting(c)
		p := s.greet(1, noToken)
		p.quiet()
		call = calling(c, "q", nil)
		p.next()
		p.write(closing(1001, ""))
		e = wantError(t, <-call, "BadConnectionError: Event q was aborted due to a bad connection")
		if got := string(e.AppendJSON(nil)); !strings.HasSuffix(got, `"type":"disconnect","code":1001,"reason":"Socket was disconnected"}`) {
			t.Error(got)
		}
		p = s.greet(3, noToken)
		p.quiet()
	})
}

// A call that fails with its connection returns before the handler of the disconnect event
// can tell (RPC-14, CF-25).
func TestCallsFailBeforeDisconnect(t *testing.T) {
	withFake(t, func(t *testing.T, s *fake) {
		c, p := s.connect(client.Options{})
		failed, handled := make(chan error, 1), make(chan struct{})
		client.On(c, func(client.DisconnectEvent) {
			defer close(handled)
			synctest.Wait()
			select {
			case err := <-failed:
				wantError(t, err, "BadConnectionError: Event p was aborted due to a bad connection")
			default:
				t.Error("the call still waits")
			}
		})
		go func() {
			_, err := c.Invoke(context.Background(), "p", nil)
			failed <- err
		}()
		synctest.Wait()
		p.Close()
		<-handled
	})
}

// The buffer has a limit, which events that are too old do not count in.
func TestBufferFull(t *testing.T) {
	withFake(t, func(t *testing.T, s *fake) {
		c := s.new(client.Options{Limits: client.Limits{Buffer: 1000}, Timeouts: client.Timeouts{Connect: time.Hour}})
		big := strings.Repeat("x", 400)
		if err := c.Transmit(t.Context(), "t", big); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		go c.Invoke(ctx, "t", big[:200])
		synctest.Wait()
		if err := c.Transmit(t.Context(), "t", big); !errors.Is(err, client.ErrBufferFull) {
			t.Error(err)
		}
		cancel() // makes room
		synctest.Wait()
		if err := c.Transmit(t.Context(), "t", big[:200]); err != nil {
			t.Error(err)
		}
		if _, err := c.Invoke(t.Context(), "t", big); !errors.Is(err, client.ErrBufferFull) {
			t.Error(err)
		}
		time.Sleep(11 * time.Second)
		if err := c.Transmit(t.Context(), "new", big); err != nil {
			t.Error(err)
		}
		p := s.greet(1, noToken)
		p.want(`{"event":"new","data":"` + big + `"}`)
		p.quiet()
	})
}

// Raw messages are sent only over a connection (TR-26).
func TestSendNeedsConnection(t *testing.T) {
	withFake(t, func(t *testing.T, s *fake) {
		c := s.new(client.Options{})
		if err := c.Send(t.Context(), "a"); !errors.Is(err, wire.ErrBadConnection) || c.State() != socketcluster.Closed {
			t.Error(err, c.State())
		}
	})
}

// A codec is used in both directions, but for pings and raw messages. In version 1 pings have
// two forms, and each is answered in its own (QK-56).
func TestCodec(t *testing.T) {
	for _, v := range []wire.Version{wire.Version1, wire.Version2} {
		withFake(t, func(t *testing.T, s *fake) {
			encode := func(text string) string {
				b, err := minbin.Codec{}.Encode(nil, []byte(text))
				if err != nil {
					t.Fatal(err)
				}
				return string(b)
			}
			c := s.new(client.Options{Codec: minbin.Codec{}, ProtocolVersion: v})
			r := record(t, c)
			p := func() *peer {
				connecting(c)
				return s.accept()
			}()
			want := func(text string) {
				t.Helper()
				f, err := p.frame()
				if err != nil || f.Header.OpCode != ws.OpBinary {
					t.Fatalf("%v %v", f, err)
				}
				got, err := minbin.Codec{}.Decode(nil, f.Payload, 1<<20)
				if err != nil || string(got) != text {
					t.Fatalf("got %s %v, want %s", got, err, text)
				}
			}
			send := func(text string) { p.write(string(ws.MustCompileFrame(ws.NewBinaryFrame([]byte(encode(text)))))) }
			want(`{"event":"#handshake","data":{"authToken":null},"cid":1}`)
			send(`{"rid":1,"data":{"id":"x","pingTimeout":3600000}}`)
			p.send(v.Ping())
			p.want(v.Pong())
			if v == wire.Version1 {
				send(`"#1"`)
				want(`"#2"`)
			}
			if err := c.TransmitPublish(t.Context(), "a", 1); err != nil {
				t.Fatal(err)
			}
			want(`{"event":"#publish","data":{"channel":"a","data":1}}`)
			r.want("connecting", "connect x")
			// What is no message of the codec is an error, and no end.
			p.write(string(ws.MustCompileFrame(ws.NewBinaryFrame([]byte("\xc1nonsense")))))
			p.send(`{"event":"a"}`)
			if events := r.take(); len(events) != 2 || !strings.HasPrefix(events[0], "error InvalidMessageError") || !strings.HasPrefix(events[1], "error InvalidMessageError") {
				t.Errorf("%q", events)
			}
			p.send(v.Ping())
			p.want(v.Pong())
		})
	}
}
