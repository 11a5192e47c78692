package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/client"
	"github.com/socketcluster-go/socketcluster/wire"
)

// What a successful connect does, in its order, on the wire and in events: the
// identity, subscriptions by priority, the connect event, and what has waited (CL-8,
// CL-26, CF-13).
func TestConnectOrder(t *testing.T) {
	withFake(t, func(t *testing.T, s *fake) {
		token := tokenOf(t, "alice")
		store := new(client.MemoryStore)
		c := s.new(client.Options{TokenStore: store, AuthTokenName: "t"})
		if err := store.Save(t.Context(), "t", token); err != nil {
			t.Fatal(err)
		}
		r := record(t, c)
		subscribe := func(name string, o ...client.SubscribeOption) {
			if _, err := c.Subscribe(t.Context(), name, append(o, client.PendingOK())...); err != nil {
				t.Fatal(err)
			}
		}
		subscribe("late")
		subscribe("later")
		subscribe("mine", client.WaitForAuth(), client.Priority(1))
		subscribe("first", client.Priority(2), client.Data(map[string]int{"q": 1}))
		if c.State() != socketcluster.Closed {
			t.Errorf("subscribing has connected the client: %v", c.State())
		}
		if err := c.Transmit(t.Context(), "hello", 1); err != nil {
			t.Fatal(err)
		}
		answered := calling(c, "p", nil)
		if err := c.TransmitPublish(t.Context(), "x", "y"); err != nil {
			t.Fatal(err)
		}
		r.want("connecting")
		p := s.greet(1, `{"authToken":"`+token+`"}`)
		p.want(
			`{"event":"#subscribe","data":{"channel":"first","data":{"q":1}},"cid":2}`,
			`{"event":"#subscribe","data":{"channel":"mine","waitForAuth":true},"cid":3}`,
			`{"event":"#subscribe","data":{"channel":"late"},"cid":4}`,
			`{"event":"#subscribe","data":{"channel":"later"},"cid":5}`,
			`{"event":"hello","data":1}`,
			`{"event":"p","cid":6}`,
			`{"event":"#publish","data":{"channel":"x","data":"y"}}`,
		)
		r.want(
			"authStateChange unauthenticated authenticated "+token, "authenticate "+token,
			"subscribeRequest first", "subscribeRequest mine", "subscribeRequest late", "subscribeRequest later",
			"connect id1",
		)
		p.send(`{"rid":6}`, `{"rid":3}`)
		if err := <-answered; err != nil {
			t.Error(err)
		}
		r.want("subscribeStateChange mine pending subscribed", "subscribe mine")
		if c.ID() != "id1" || c.State() != socketcluster.Open || c.Stats().BytesReceived == 0 {
			t.Errorf("%q %v %d", c.ID(), c.State(), c.Stats().BytesReceived)
		}
	})
}

// The connect event has what the server has said in the handshake, and what the client
// has sent (AUTH-60).
func TestConnectEvent(t *testing.T) {
	withFake(t, func(t *testing.T, s *fake) {
		store := new(client.MemoryStore)
		store.Save(t.Context(), "t", "stored")
		c := s.new(client.Options{TokenStore: store, AuthTokenName: "t"})
		events := make(chan client.ConnectEvent, 1)
		client.On(c, func(e client.ConnectEvent) { events <- e })
		connected := connecting(c)
		p := s.accept()
		p.want(`{"event":"#handshake","data":{"authToken":"stored"},"cid":1}`)
		p.send(`{"rid":1,"data":{"id":"x","pingTimeout":1500,"isAuthenticated":false,"authError":{"name":"AuthTokenExpiredError","message":"jwt expired","isBadToken":true,"expiry":"2020-01-01T00:00:00.000Z"}}}`)
		e := <-events
		if err := <-connected; err != nil {
			t.Error(err)
		}
		if e.Client != c || e.ID != "x" || e.PingTimeout != 1500*time.Millisecond || e.IsAuthenticated || e.SignedAuthToken != "stored" {
			t.Errorf("%+v", e)
		}
		refusal := wantError(t, e.AuthError, "AuthTokenExpiredError: jwt expired")
		if expiry, _ := refusal.Field("expiry"); expiry != "2020-01-01T00:00:00.000Z" {
			t.Errorf("dates remain text: %v", expiry)
		}
	})
}

// Connecting twice is connecting once (CL-5).
func TestConnectWhileConnecting(t *testing.T) {
	withFake(t, func(t *testing.T, s *fake) {
		c := s.new(client.Options{})
		r := record(t, c)
		first, second := connecting(c), connecting(c)
		synctest.Wait()
		if c.State() != socketcluster.Connecting || c.ID() != "" {
			t.Errorf("%v %q", c.State(), c.ID())
		}
		p := s.greet(1, noToken)
		if err := errors.Join(<-first, <-second, c.Connect(t.Context())); err != nil {
			t.Error(err)
		}
		r.want("connecting", "connect id1")
		p.quiet()
	})
}

// The end of a context ends the wait, and not the attempt. With a context that has ended,
// nothing begins.
func TestConnectContext(t *testing.T) {
	withFake(t, func(t *testing.T, s *fake) {
		c := s.new(client.Options{})
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		if err := c.Connect(ended); !errors.Is(err, context.Canceled) || c.State() != socketcluster.Closed {
			t.Errorf("%v %v", err, c.State())
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		if err := c.Connect(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		s.greet(1, noToken)
		synctest.Wait()
		if c.State() != socketcluster.Open {
			t.Errorf("%v", c.State())
		}
	})
}

// Silence in each phase ends it: before the upgrade with 4007, before the answer to the
// handshake with 4003, afterwards with 4000 (CL-6, PP-7).
func TestSilence(t *testing.T) {
	const refusal = "TimeoutError: Event response for #handshake event timed out"
	for name, test := range map[string]struct {
		until  func(s *fake) *peer // what the server does
		after  time.Duration
		code   wire.CloseCode
		reason string
		events []string
	}{
		"nobody accepts": {
			func(*fake) *peer { return nil }, 20 * time.Second, 4007, "Client connection establishment timed out",
			[]string{"error client: no connection within Timeouts.Connect (20s)", "connectAbort", "close", "error SocketProtocolError: Client connection establishment timed out"},
		},
		"no upgrade": {
			func(s *fake) *peer { s.raw(); return nil }, 20 * time.Second, 4007, "Client connection establishment timed out",
			[]string{"error client: no connection within Timeouts.Connect (20s)", "connectAbort", "close", "error SocketProtocolError: Client connection establishment timed out"},
		},
		"no answer": {
			func(s *fake) *peer { return s.accept() }, 10 * time.Second, 4003, refusal,
			[]string{"error " + refusal, "connectAbort", "close", "error SocketProtocolError: Failed to complete handshake"},
		},
		"no ping": {
			func(s *fake) *peer {
				p := s.accept()
				p.next()
				p.send(`{"rid":1,"data":{"id":"x","pingTimeout":5000}}`)
				return p
			}, 5 * time.Second, 4000, "Server ping timed out",
			[]string{"connect x", "disconnect", "close", "error SocketProtocolError: Server ping timed out"},
		},
		"other messages are no pings": {
			func(s *fake) *peer {
				p := s.accept()
				p.next()
				p.send(`{"rid":1,"data":{"id":"x","pingTimeout":5000}}`)
				go func() {
					time.Sleep(3 * time.Second)
					p.send(`{"event":"a"}`)
				}()
				return p
			}, 5 * time.Second, 4000, "Server ping timed out",
			[]string{"connect x", "disconnect", "close", "error SocketProtocolError: Server ping timed out"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			withFake(t, func(t *testing.T, s *fake) {
				c := s.new(client.Options{Reconnect: client.Reconnect{Disabled: true}})
				r := record(t, c)
				closed := make(chan client.CloseEvent, 1)
				client.On(c, func(e client.CloseEvent) { closed <- e })
				began := time.Now()
				connected := connecting(c)
				p := test.until(s)
				e := <-closed
				// The timing wheel adds up to 10 ms.
				if took := time.Since(began); took < test.after || took > test.after+20*time.Millisecond || e.Code != test.code || e.Reason != test.reason {
					t.Errorf("%d %q after %v", e.Code, e.Reason, took)
				}
				end := func(name string) string { return name + " " + closeText(test.code, test.reason) }
				want := []string{"connecting"}
				for _, event := range test.events {
					switch event {
					case "connectAbort", "disconnect", "close":
						event = end(event)
					}
					want = append(want, event)
				}
				r.want(want...)
				if err := <-connected; (err == nil) != (test.code == 4000) {
					t.Errorf("Connect: %v", err)
				}
				if p != nil {
					if test.code == 4003 {
						p.next() // the handshake
						p.wantClose(4003, refusal)
					} else {
						p.wantClose(int(test.code), "")
					}
				}
			})
		})
	}
}

func closeText(code wire.CloseCode, reason string) string {
	return fmt.Sprintf("%d %s", code, reason)
}

// Pings alone keep a connection, each is answered at once, and before the handshake has
// been answered too. In version 1 they look otherwise (PP-1, PP-7, PP-8).
func TestPings(t *testing.T) {
	for _, v := range []wire.Version{wire.Version1, wire.Version2} {
		withFake(t, func(t *testing.T, s *fake) {
			c := s.new(client.Options{ProtocolVersion: v})
			r := record(t, c)
			var messages []string
			client.On(c, func(e client.MessageEvent) { messages = append(messages, string(e.Data)) })
			connected := connecting(c)
			p := s.accept()
			p.want(`{"event":"#handshake","data":{"authToken":null},"cid":1}`)
			p.send(v.Ping())
			p.want(v.Pong())
			p.send(`{"rid":1,"data":{"id":"x","pingTimeout":5000}}`)
			if err := <-connected; err != nil {
				t.Fatal(err)
			}
			for range 10 {
				time.Sleep(4 * time.Second)
				p.send(v.Ping())
				began := time.Now()
				p.want(v.Pong())
				if time.Since(began) != 0 {
					t.Errorf("answered after %v", time.Since(began))
				}
			}
			r.want("connecting", "connect x")
			if len(messages) != 12 || messages[0] != v.Ping() {
				t.Errorf("messages: %q", messages) // TR-27
			}
		})
	}
}

// Without the check of pings, the client waits for ever.
func TestPingsDisabled(t *testing.T) {
	withFake(t, func(t *testing.T, s *fake) {
		c := s.new(client.Options{Timeouts: client.Timeouts{PingDisabled: true}})
		r := record(t, c)
		connected := connecting(c)
		p := s.accept()
		p.next()
		p.send(`{"rid":1,"data":{"id":"x","pingTimeout":5000}}`)
		if err := <-connected; err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		r.want("connecting", "connect x")
		if err := c.Transmit(t.Context(), "a", nil); err != nil {
			t.Fatal(err)
		}
		p.want(`{"event":"a"}`)
	})
}

// Nonsense in the answer to the handshake either counts as nothing or ends the attempt
// with 4003.
func TestHandshakeNonsense(t *testing.T) {
	for answer, ok := range map[string]bool{
		`"data":{"id":"x","pingTimeout":-5}`:                      true,
		`"data":{"id":"x","pingTimeout":1e300}`:                   true,
		`"data":{"id":"x","pingTimeout":0}`:                       true,
		`"data":{"id":"x","pingTimeout":2147483648}`:              true,
		`"data":{"id":"x","pingTimeout":null}`:                    true,
		`"data":{"id":"x","authError":"text"}`:                    true,
		`"data":{"id":"x","authError":5,"isAuthenticated":false}`: true,
		`"data":{"id":"x","pingTimeout":20000,"unknown":{}}`:      true,
		`"data":{"id":"x","pingTimeout":"NaN"}`:                   false,
		`"data":{"id":7}`:                                         false,
		`"data":"text"`:                                           false,
		`"data":[]`:                                               false,
		`"data":{"id":"x","isAuthenticated":"yes"}`:               false,
		`"other":1`:    false,
		`"error":"no"`: false,
		`"error":{}`:   false,
		`"error":{"message":"m","statusCode":4500.5}`: false,
		`"error":{"message":"m","statusCode":1e300}`:  false,
		`"error":{"message":"m","statusCode":"4500"}`: false,
		`"error":{"message":"m","statusCode":1006}`:   false,
	} {
		t.Run(answer, func(t *testing.T) {
			withFake(t, func(t *testing.T, s *fake) {
				c := s.new(client.Options{Reconnect: client.Reconnect{Disabled: true}})
				events := make(chan client.ConnectEvent, 1)
				client.On(c, func(e client.ConnectEvent) { events <- e })
				closes := make(chan client.CloseEvent, 1)
				client.On(c, func(e client.CloseEvent) { closes <- e })
				connected := connecting(c)
				p := s.accept()
				p.next()
				p.send(`{"rid":1,` + answer + `}`)
				err := <-connected
				if (err == nil) != ok {
					t.Fatal(err)
				}
				if ok {
					if e := <-events; e.PingTimeout != 20*time.Second || e.ID != "x" {
						t.Errorf("%+v", e)
					}
					return
				}
				if e := <-closes; e.Code != 4003 {
					t.Errorf("closed with %d", e.Code)
				}
			})
		})
	}
}

// A handshake that the server refuses ends with the code in the error, or 4003, and with
// the error as the reason (CL-7, CF-20). The last error is the fixed text of the code, or tells the
// reason (CL-10).
func TestHandshakeRefused(t *testing.T) {
	for _, test := range []struct {
		failure, error, last string
		code                 int
	}{
		{`{"name":"AppError","message":"not you","statusCode":4501}`, "AppError: not you", "SocketProtocolError: Socket connection closed with status code 4501 and reason: AppError: not you", 4501},
		{`{"name":"AppError","message":"not you"}`, "AppError: not you", "SocketProtocolError: Failed to complete handshake", 4003},
		{`{"message":"not you","statusCode":4008}`, "Error: not you", "SocketProtocolError: Server rejected handshake from client", 4008},
	} {
		withFake(t, func(t *testing.T, s *fake) {
			c := s.new(client.Options{Reconnect: client.Reconnect{Disabled: true}})
			r := record(t, c)
			connected := connecting(c)
			p := s.accept()
			p.next()
			p.send(`{"rid":1,"error":` + test.failure + `}`)
			err := <-connected
			var refusal *wire.Error
			if !errors.Is(err, wire.ErrSocketProtocol) || !errors.As(err, &refusal) {
				t.Errorf("Connect: %v", err)
			}
			end := closeText(wire.CloseCode(test.code), test.error)
			r.want("connecting", "error "+test.error, "connectAbort "+end, "close "+end, "error "+test.last)
			p.wantClose(test.code, test.error)
		})
	}
}

// How a connection ends, before and after the handshake, and the order of what it causes:
// channels, disconnect or connectAbort, close, and an error unless it is an ordinary end. Missing
// reasons are filled in (CL-9, CL-10, CF-10, CF-16, ERR-4).
func TestEndOfConnection(t *testing.T) {
	for name, test := range map[string]struct {
		end    func(p *peer)
		code   int
		reason string
		error  string
	}{
		"custom":                {func(p *peer) { p.write(closing(4444, "bye")) }, 4444, "bye", "SocketProtocolError: Socket connection closed with status code 4444 and reason: bye"},
		"custom without reason": {func(p *peer) { p.write(closing(4444, "")) }, 4444, "", "SocketProtocolError: Socket connection closed with status code 4444"},
		"1000":                  {func(p *peer) { p.write(closing(1000, "")) }, 1000, "Socket closed normally", ""},
		"1001":                  {func(p *peer) { p.write(closing(1001, "")) }, 1001, "Socket was disconnected", ""},
		"4001":                  {func(p *peer) { p.write(closing(4001, "")) }, 4001, "Client pong timed out", "SocketProtocolError: Client pong timed out"},
		"4009":                  {func(p *peer) { p.write(closing(4009, "own text")) }, 4009, "own text", "SocketProtocolError: Server received a message before the client handshake"},
		"no code":               {func(p *peer) { p.write("\x88\x00") }, 1005, "Socket closed without status code", "SocketProtocolError: Socket closed without status code"},
		"lost":                  {func(p *peer) { p.Close() }, 1006, "Socket hung up", "SocketProtocolError: Socket hung up"},
	} {
		for _, open := range []bool{true, false} {
			t.Run(name, func(t *testing.T) {
				withFake(t, func(t *testing.T, s *fake) {
					c := s.new(client.Options{Reconnect: client.Reconnect{Disabled: true}})
					r := record(t, c)
					connected := connecting(c)
					p := s.accept()
					p.next()
					kind, events := "connectAbort", []string(nil)
					if open {
						p.send(`{"rid":1,"data":{"id":"x","pingTimeout":20000}}`)
						if err := <-connected; err != nil {
							t.Fatal(err)
						}
						if _, err := c.Subscribe(t.Context(), "pending", client.PendingOK()); err != nil {
							t.Fatal(err)
						}
						if _, err := c.Subscribe(t.Context(), "a", client.PendingOK()); err != nil {
							t.Fatal(err)
						}
						p.send(`{"rid":3}`)
						r.take()
						kind, events = "disconnect", []string{"subscribeStateChange a subscribed pending", "unsubscribe a"}
					} else {
						events = []string{"connecting"}
					}
					call := calling(c, "p", nil)
					test.end(p)
					e := wantError(t, <-call, "BadConnectionError: Event p was aborted due to a bad connection")
					code, _ := e.Field("code")
					typ, _ := e.Field("type")
					if typ != kind || code != test.code { // RPC-14
						t.Errorf("%v %v", typ, code)
					}
					end := closeText(wire.CloseCode(test.code), test.reason)
					events = append(events, kind+" "+end, "close "+end)
					if test.error != "" {
						events = append(events, "error "+test.error)
					}
					r.want(events...)
					if c.ChannelState("a") == client.Subscribed {
						t.Error("still subscribed")
					}
					if !open {
						if err := <-connected; !errors.Is(err, wire.ErrSocketProtocol) {
							t.Error(err)
						}
					}
				})
			})
		}
	}
}

// Close frames of a server are answered with their code, without a reason.
func TestCloseIsAnswered(t *testing.T) {
	for code, answer := range map[int]int{1000: 1000, 4444: 4444, 1011: 1011} {
		withFake(t, func(t *testing.T, s *fake) {
			_, p := s.connect(client.Options{Reconnect: client.Reconnect{Disabled: true}})
			p.write(closing(code, "bye"))
			p.wantClose(answer, "")
		})
	}
}

// Codes that nobody may send end the connection as a protocol error.
func TestForbiddenCloseCodes(t *testing.T) {
	for _, code := range []int{0, 999, 1004, 1005, 1006, 1015, 2000, 5000, 65535} {
		withFake(t, func(t *testing.T, s *fake) {
			c, p := s.connect(client.Options{Reconnect: client.Reconnect{Disabled: true}})
			closes := make(chan client.CloseEvent, 1)
			client.On(c, func(e client.CloseEvent) { closes <- e })
			p.write(closing(code, ""))
			if e := <-closes; e.Code != wire.CloseProtocolError {
				t.Errorf("%d: closed with %d", code, e.Code)
			}
			p.wantClose(1002, "")
		})
	}
}

// A client that disconnects sends its code and reason, and connects again only if the
// code says so (CL-13, TR-33, QK-41).
func TestDisconnect(t *testing.T) {
	withFake(t, func(t *testing.T, s *fake) {
		c, p := s.connect(client.Options{})
		r := record(t, c)
		for _, code := range []wire.CloseCode{1, 999, 1004, 1005, 1006, 1015, 2999, 5000, -1} {
			if err := c.Disconnect(code, ""); !errors.Is(err, wire.ErrInvalidArguments) {
				t.Errorf("%d: %v", code, err)
			}
		}
		r.want()
		if err := c.Disconnect(0, ""); err != nil {
			t.Fatal(err)
		}
		r.want("disconnect 1000 Socket closed normally", "close 1000 Socket closed normally")
		p.wantClose(1000, "")
		time.Sleep(time.Hour)
		r.want()
		connected := connecting(c)
		p = s.greet(2, noToken)
		if err := <-connected; err != nil {
			t.Fatal(err)
		}
		if err := c.Disconnect(4444, "see you"); err != nil {
			t.Fatal(err)
		}
		r.want("connecting", "connect id2", "disconnect 4444 see you", "close 4444 see you",
			"error SocketProtocolError: Socket connection closed with status code 4444 and reason: see you")
		p.wantClose(4444, "see you")
		at, ok := c.NextAttempt()
		if wait := time.Until(at); !ok || wait < 10*time.Second || wait > 20*time.Second {
			t.Errorf("next attempt in %v", wait)
		}
		if err := c.Disconnect(0, ""); err != nil {
			t.Fatal(err)
		}
		if _, ok := c.NextAttempt(); ok {
			t.Error("the next attempt is still to come")
		}
		time.Sleep(time.Hour)
		r.want()
	})
}

// Several calls of Disconnect and Connect in a row have an exact sequence of events (CF-26).
func TestConnectDisconnectInARow(t *testing.T) {
	withFake(t, func(t *testing.T, s *fake) {
		c := s.new(client.Options{})
		r := record(t, c)
		connects := []<-chan error{connecting(c)}
		synctest.Wait()
		for range 2 {
			if err := c.Disconnect(0, ""); err != nil {
				t.Fatal(err)
			}
			connects = append(connects, connecting(c))
			synctest.Wait()
		}
		s.greet(1, noToken)
		for i, connected := range connects {
			if err := <-connected; (err == nil) != (i == 2) {
				t.Errorf("%d: %v", i, err)
			}
		}
		if err := c.Disconnect(0, ""); err != nil {
			t.Fatal(err)
		}
		r.want(
			"connecting", "connectAbort 1000 Socket closed normally", "close 1000 Socket closed normally",
			"connecting", "connectAbort 1000 Socket closed normally", "close 1000 Socket closed normally",
			"connecting", "connect id1", "disconnect 1000 Socket closed normally", "close 1000 Socket closed normally",
		)
	})
}

// Reconnect is Disconnect and Connect (CL-13, CF-26).
func TestReconnectMethod(t *testing.T) {
	withFake(t, func(t *testing.T, s *fake) {
		c, p := s.connect(client.Options{})
		r := record(t, c)
		if err := c.Reconnect(t.Context(), 999, ""); !errors.Is(err, wire.ErrInvalidArguments) {
			t.Error(err)
		}
		done := make(chan error, 1)
		go func() { done <- c.Reconnect(context.Background(), 1000, "again") }()
		p.wantClose(1000, "again")
		s.greet(2, noToken)
		if err := <-done; err != nil {
			t.Error(err)
		}
		r.want("disconnect 1000 again", "close 1000 again", "connecting", "connect id2")
	})
}

// A server that does not answer the close frame delays Close by three seconds, and
// what it sends meanwhile counts for nothing.
func TestCloseWithoutAnswer(t *testing.T) {
	withFake(t, func(t *testing.T, s *fake) {
		c, p := s.connect(client.Options{})
		r := record(t, c)
		closed := make(chan time.Duration, 1)
		go func() {
			began := time.Now()
			c.Close()
			closed <- time.Since(began)
		}()
		synctest.Wait()
		p.send(`{"event":"#setAuthToken","data":{"token":"a.b.c"}}`, `{"event":"#kickOut","data":{"channel":"a"}}`, "raw")
		r.want("disconnect 1000 Socket closed normally", "close 1000 Socket closed normally")
		if took := <-closed; took < 3*time.Second || took > 3*time.Second+20*time.Millisecond {
			t.Errorf("closed after %v", took)
		}
		if err := c.Connect(t.Context()); !errors.Is(err, client.ErrClosed) {
			t.Error(err)
		}
		r.want()
	})
}

// Close ends everything that waits.
func TestClose(t *testing.T) {
	withFake(t, func(t *testing.T, s *fake) {
		c, p := s.connect(client.Options{})
		call := calling(c, "p", nil)
		p.next()
		sub, err := c.Subscribe(t.Context(), "a", client.PendingOK())
		if err != nil {
			t.Fatal(err)
		}
		p.next()
		waited := make(chan error, 2)
		go func() { waited <- sub.Wait(context.Background()) }()
		go func() {
			for range sub.All() {
			}
			waited <- sub.Err()
		}()
		loop := make(chan int, 1)
		events := client.Events[client.CloseEvent](t.Context(), c)
		go func() {
			n := 0
			for range events {
				n++
			}
			loop <- n
		}()
		synctest.Wait()
		go c.Close()
		p.wantClose(1000, "")
		wantError(t, <-call, "BadConnectionError: Event p was aborted due to a bad connection")
		for range 2 {
			if err := <-waited; !errors.Is(err, client.ErrClosed) {
				t.Error(err)
			}
		}
		if n := <-loop; n != 1 {
			t.Errorf("%d events", n)
		}
		c.Close()
		for name, err := range map[string]error{
			"Connect":        c.Connect(t.Context()),
			"Reconnect":      c.Reconnect(t.Context(), 0, ""),
			"Transmit":       c.Transmit(t.Context(), "a", nil),
			"Publish":        c.Publish(t.Context(), "a", nil),
			"Send":           c.Send(t.Context(), "a"),
			"Authenticate":   c.Authenticate(t.Context(), "a"),
			"Deauthenticate": c.Deauthenticate(t.Context()),
			"Subscribe":      func() error { _, err := c.Subscribe(t.Context(), "a"); return err }(),
		} {
			if !errors.Is(err, client.ErrClosed) {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

// Close ends an attempt in each of its phases, and whoever waits for it.
func TestCloseWhileConnecting(t *testing.T) {
	for name, until := range map[string]func(s *fake){
		"dialing":   func(*fake) {},
		"upgrading": func(s *fake) { s.raw() },
		"handshake": func(s *fake) { s.accept().next() },
	} {
		t.Run(name, func(t *testing.T) {
			withFake(t, func(t *testing.T, s *fake) {
				c := s.new(client.Options{})
				connected := connecting(c)
				until(s)
				synctest.Wait()
				c.Close()
				if err := <-connected; !errors.Is(err, client.ErrClosed) {
					t.Error(err)
				}
			})
		})
	}
}

// Handlers of every kind may close the client.
func TestCloseInHandlers(t *testing.T) {
	for name, test := range map[string]struct {
		register func(c *client.Client, done func())
		cause    string
	}{
		"event": {func(c *client.Client, done func()) { client.On(c, func(client.RawEvent) { c.Close(); done() }) }, "raw"},
		"procedure": {func(c *client.Client, done func()) {
			c.Handle("p", socketcluster.HandlerFunc(func(context.Context, *socketcluster.Call) (any, error) { c.Close(); done(); return nil, nil }))
		}, `{"event":"p","cid":1}`},
		"receiver": {func(c *client.Client, done func()) {
			c.Receive("p", socketcluster.ReceiverFunc(func(context.Context, *socketcluster.Transmission) error { c.Close(); done(); return nil }))
		}, `{"event":"p"}`},
	} {
		t.Run(name, func(t *testing.T) {
			withFake(t, func(t *testing.T, s *fake) {
				c, p := s.connect(client.Options{})
				done := make(chan struct{})
				test.register(c, func() { close(done) })
				p.send(test.cause)
				p.wantClose(1000, "")
				<-done
			})
		})
	}
}

// After Close no receiver and no procedure begins, though calls and transmissions wait for
// theirs.
func TestCloseDropsWhatWaits(t *testing.T) {
	withFake(t, func(t *testing.T, s *fake) {
		c, p := s.connect(client.Options{})
		release := make(chan struct{})
		var n atomic.Int32
		c.Receive("e", receiver(func(context.Context, *transmission) error { n.Add(1); <-release; return nil }))
		c.Handle("p", procedure(func(context.Context, *call) (any, error) { n.Add(1); <-release; return nil, nil }))
		p.send(`{"event":"e"}`, `{"event":"e"}`, `{"event":"p","cid":1}`, `{"event":"p","cid":2}`)
		synctest.Wait()
		c.Close()
		close(release)
		synctest.Wait()
		if n := n.Load(); n != 2 {
			t.Errorf("%d have begun", n)
		}
	})
}

// A panic in a function of the application fails the attempt.
func TestDialPanics(t *testing.T) {
	withFake(t, func(t *testing.T, s *fake) {
		c := s.new(client.Options{
			Reconnect:   client.Reconnect{Disabled: true},
			DialContext: func(context.Context, string, string) (net.Conn, error) { panic("oops") },
		})
		r := record(t, c)
		if err := c.Connect(t.Context()); !errors.Is(err, wire.ErrSocketProtocol) {
			t.Error(err)
		}
		r.want("connecting", "error panic in a function of Options: oops", "connectAbort 1006 Socket hung up", "close 1006 Socket hung up", "error SocketProtocolError: Socket hung up")
	})
}

// A DialContext that does not heed its context ends the attempt in time nevertheless.
func TestDialIgnoresContext(t *testing.T) {
	withFake(t, func(t *testing.T, s *fake) {
		release := make(chan struct{})
		c := s.new(client.Options{
			Reconnect: client.Reconnect{Disabled: true},
			DialContext: func(context.Context, string, string) (net.Conn, error) {
				<-release
				return s.listen.Dial(context.Background())
			},
		})
		began := time.Now()
		if err := c.Connect(t.Context()); err == nil || time.Since(began) > 21*time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		close(release)
		nc, err := s.listen.Accept()
		if err != nil {
			t.Fatal(err)
		}
		if b, err := io.ReadAll(nc); err != nil {
			t.Errorf("%q %v", b, err) // it is closed
		}
	})
}

// An attempt fails for what the server answers to the upgrade (CL-6).
func TestUpgradeRefused(t *testing.T) {
	for name, answer := range map[string]string{
		"refused":    "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno",
		"moved":      "HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n",
		"wrong key":  "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n",
		"no HTTP":    "hello\r\n\r\n",
		"no end":     "HTTP/1.1 101 Switching",
		"bad header": "HTTP/1.1 101 Switching Protocols\r\n\x00\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			withFake(t, func(t *testing.T, s *fake) {
				c := s.new(client.Options{Reconnect: client.Reconnect{Disabled: true}})
				r := record(t, c)
				connected := connecting(c)
				nc, _ := s.raw()
				io.WriteString(nc, answer)
				nc.Close()
				err := <-connected
				if !errors.Is(err, wire.ErrSocketProtocol) {
					t.Error(err)
				}
				events := r.take()
				if len(events) != 5 {
					t.Fatalf("%q", events)
				}
				events = append(events[:1], events[2:]...) // its text is that of the cause
				r.events = events
				r.want("connecting", "connectAbort 1006 Socket hung up", "close 1006 Socket hung up", "error SocketProtocolError: Socket hung up")
			})
		})
	}
}
