package client_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/client"
	"github.com/socketcluster-go/socketcluster/wire"
)

// wild is a server that does all kinds of things to its client until it is calmed, and
// knows what the client ought to know.
type wild struct {
	t *testing.T

	mu     sync.Mutex
	rng    *rand.Rand
	calm   bool
	kicked bool // a kick-out may have crossed a request of the client
	last   float64
	conn   int // the number of the current connection
	subs   map[string]bool
	token  string
}

// chance is true once in n times, and never of a calm server.
func (w *wild) chance(n int) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return !w.calm && w.rng.IntN(n) == 0
}

func (w *wild) serve(nc net.Conn) {
	defer nc.Close()
	r, err := http.ReadRequest(bufio.NewReader(nc))
	if err != nil {
		return
	}
	switch {
	case w.chance(10):
		return
	case w.chance(10):
		io.WriteString(nc, "HTTP/1.1 503 Service Unavailable\r\n\r\n")
		return
	case w.chance(20):
		io.Copy(io.Discard, nc)
		return
	}
	io.WriteString(nc, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "+acceptKey(r)+"\r\n\r\n")
	w.mu.Lock()
	w.conn++
	conn := w.conn
	w.subs, w.token = make(map[string]bool), ""
	w.mu.Unlock()
	for first := true; ; first = false {
		f, err := readFrame(w.t, nc)
		if err != nil {
			return
		}
		if f.Header.OpCode == ws.OpClose {
			nc.Write(ws.MustCompileFrame(ws.NewCloseFrame(f.Payload)))
			return
		}
		if len(f.Payload) == 0 {
			continue // a pong
		}
		out, end := w.handle(conn, f.Payload, first)
		io.WriteString(nc, out)
		if end {
			return
		}
	}
}

// handle handles a message, and returns what the server writes, and whether it then drops
// the connection.
func (w *wild) handle(conn int, message []byte, first bool) (out string, end bool) {
	var p struct {
		Event string
		Data  json.RawMessage
		CID   float64
		RID   float64
	}
	if err := json.Unmarshal(message, &p); err != nil || p.Event == "" && p.RID == 0 {
		w.t.Errorf("the client sent %s", message)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if conn != w.conn {
		return "", false // an old connection that the client has left
	}
	// Each connection begins with the handshake, and the numbers of calls ascend.
	if first != (p.Event == "#handshake") {
		w.t.Errorf("first %v: %s", first, message)
	}
	if p.CID != 0 {
		if p.CID <= w.last {
			w.t.Errorf("cid %v after %v", p.CID, w.last)
		}
		w.last = p.CID
	}
	odd := func(n int) bool { return !w.calm && w.rng.IntN(n) == 0 }
	answer := func(rest string) { out += frames(fmt.Sprintf(`{"rid":%v%s}`, p.CID, rest)) }
	switch {
	case odd(25):
		return "", true
	case odd(25):
		return closing([]int{1000, 1001, 1011, 4001, 4444, 4500}[w.rng.IntN(6)], ""), true
	case p.CID != 0 && odd(25):
		return "", false // in silence
	case odd(25):
		out = frames("", "raw", `{"event":"e"}`, `{"event":"p","cid":1}`, `{"rid":77}`)
	}
	switch p.Event {
	case "#handshake":
		if odd(10) {
			answer(`,"error":{"name":"E","message":"no","statusCode":4321}`)
			break
		}
		var data struct{ AuthToken string }
		json.Unmarshal(p.Data, &data)
		w.token = data.AuthToken
		answer(fmt.Sprintf(`,"data":{"id":"%d","pingTimeout":3600000,"isAuthenticated":%v}`, conn, w.token != ""))
	case "#subscribe":
		var data struct{ Channel string }
		json.Unmarshal(p.Data, &data)
		if odd(5) {
			answer(`,"error":"no"`)
			break
		}
		if w.subs[data.Channel] {
			w.t.Errorf("subscribed twice: %s", message)
		}
		w.subs[data.Channel] = true
		answer("")
		out += frames(`{"event":"#publish","data":{"channel":"` + data.Channel + `","data":1}}`)
		if odd(5) {
			delete(w.subs, data.Channel)
			w.kicked = true
			out += frames(`{"event":"#kickOut","data":{"channel":"` + data.Channel + `"}}`)
		}
	case "#unsubscribe":
		var channel string
		json.Unmarshal(p.Data, &channel)
		delete(w.subs, channel)
	case "#authenticate":
		if odd(4) {
			w.token = ""
			answer(`,"data":{"isAuthenticated":false}`)
			break
		}
		json.Unmarshal(p.Data, &w.token)
		answer(`,"data":{"isAuthenticated":true}`)
	case "#removeAuthToken":
		w.token = ""
	case "login":
		w.token = fmt.Sprintf("a.b.%v", p.CID)
		out += frames(`{"event":"#setAuthToken","data":{"token":"` + w.token + `"}}`)
		answer("")
	case "p":
		answer(`,"data":1`)
	}
	return out, false
}

// grammar checks that events come in an order that they can have.
type grammar struct {
	t     *testing.T
	seed  uint64
	phase string
	auth  bool
	subs  map[string]bool
}

func (g *grammar) check(events []string) {
	g.t.Helper()
	g.phase, g.subs = "close", make(map[string]bool)
	follows := map[string]string{"connecting": "close", "connect": "connecting", "connectAbort": "connecting", "disconnect": "connect", "close": "connectAbort disconnect"}
	for i, e := range events {
		name, rest, _ := strings.Cut(e, " ")
		ok := true
		switch name {
		case "connecting", "connect", "connectAbort", "disconnect", "close":
			ok = strings.Contains(" "+follows[name]+" ", " "+g.phase+" ")
			if name == "disconnect" || name == "connectAbort" {
				ok = ok && len(g.subs) == 0 // they are left before
			}
			g.phase = name
		case "subscribe":
			ok = !g.subs[rest] && g.phase == "connect"
			g.subs[rest] = true
		case "unsubscribe":
			ok = g.subs[rest]
			delete(g.subs, rest)
		case "authStateChange":
			to := strings.HasPrefix(rest, "unauthenticated authenticated")
			ok = g.auth != to
			g.auth = to
		case "authenticate":
			ok = g.auth
		case "deauthenticate":
			ok = !g.auth
		}
		if !ok {
			g.t.Fatalf("seed %d: event %d, %s, cannot come here: %q", g.seed, i, e, events[max(0, i-10):i+1])
		}
	}
}

// Whatever several goroutines do with a client at the same time, and a server with it:
// everything that waits returns, events have an order that they can have, and in the end
// client and server agree.
func TestRandom(t *testing.T) {
	for seed := range uint64(100) {
		withFake(t, func(t *testing.T, s *fake) { runRandom(t, s, seed) })
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func runRandom(t *testing.T, s *fake, seed uint64) {
	w := &wild{t: t, rng: rand.New(rand.NewPCG(seed, 0))}
	go func() {
		for {
			nc, err := s.listen.Accept()
			if err != nil {
				return
			}
			go w.serve(nc)
		}
	}()
	c := s.new(client.Options{
		Reconnect: client.Reconnect{InitialDelay: 10 * time.Millisecond, MaxDelay: 50 * time.Millisecond},
		Timeouts:  client.Timeouts{Connect: 2 * time.Second, Ack: time.Second, Close: 100 * time.Millisecond},
	})
	r := record(t, c)
	c.Handle("p", procedure(func(ctx context.Context, _ *call) (any, error) {
		return client.FromContext(ctx).State() == socketcluster.Open, nil
	}))
	var wg sync.WaitGroup
	for worker := range 4 {
		rng := rand.New(rand.NewPCG(seed, 1+uint64(worker)))
		wg.Go(func() {
			for range 40 {
				time.Sleep(time.Duration(rng.IntN(20)) * time.Millisecond)
				if worker == 0 { // one at a time: of two at once, nobody could say who wins
					switch rng.IntN(4) {
					case 0:
						c.Invoke(context.Background(), "login", nil)
					case 1:
						c.Authenticate(context.Background(), fmt.Sprintf("x.y.%d", rng.IntN(1000)))
					case 2:
						c.Deauthenticate(context.Background())
					}
					continue
				}
				ctx, cancel := context.WithTimeout(context.Background(), time.Duration(rng.IntN(100))*time.Millisecond)
				channel := string(rune('a' + rng.IntN(3)))
				switch rng.IntN(12) {
				case 0, 1:
					c.Connect(ctx)
				case 2:
					c.Disconnect([]wire.CloseCode{0, 1001, 4001, 4444, 4500}[rng.IntN(5)], "r")
				case 3:
					c.Reconnect(ctx, 0, "")
				case 4, 5:
					c.Transmit(ctx, "e", rng.IntN(9))
				case 6, 7:
					c.Invoke(ctx, "p", nil)
				case 8, 9:
					var o []client.SubscribeOption
					if rng.IntN(2) == 0 {
						o = append(o, client.WaitForAuth())
					}
					sub, err := c.Subscribe(context.Background(), channel, append(o, client.PendingOK())...)
					if err != nil {
						t.Errorf("seed %d: %v", seed, err)
						break
					}
					sub.Wait(ctx)
					switch rng.IntN(3) {
					case 0:
						sub.Close()
					case 1:
						go func() {
							for range sub.All() {
							}
						}()
					}
				case 10:
					c.Unsubscribe(channel)
				case 11:
					c.Publish(ctx, channel, 1)
				}
				cancel()
			}
		})
	}
	wg.Wait()
	w.mu.Lock()
	w.calm = true
	w.mu.Unlock()
	c.Disconnect(0, "")
	time.Sleep(time.Second)
	if err := c.Connect(t.Context()); err != nil {
		t.Errorf("seed %d: %v", seed, err)
	}
	synctest.Wait()
	w.mu.Lock()
	if got := c.SignedAuthToken(); got != w.token {
		t.Errorf("seed %d: the token is %q here, and %q on the server", seed, got, w.token)
	}
	for name, state := range subscriptions(c) {
		if (state == client.Subscribed) != w.subs[name] {
			t.Errorf("seed %d: channel %s is %v here, and %v on the server", seed, name, state, w.subs[name])
		}
		if state == client.Pending && w.token != "" {
			t.Errorf("seed %d: channel %s is pending", seed, name)
		}
	}
	if len(w.subs) > len(subscriptions(c)) {
		t.Errorf("seed %d: the server has %v", seed, w.subs)
	}
	w.mu.Unlock()
	c.Close()
	synctest.Wait()
	(&grammar{t: t, seed: seed}).check(r.take())
}

// A client may be closed at any moment, whatever else happens: everything returns.
func TestCloseAtAnyMoment(t *testing.T) {
	for seed := range uint64(24) {
		withFake(t, func(t *testing.T, s *fake) {
			w := &wild{t: t, rng: rand.New(rand.NewPCG(seed, 0))}
			go func() {
				for {
					nc, err := s.listen.Accept()
					if err != nil {
						return
					}
					go w.serve(nc)
				}
			}()
			c := s.new(client.Options{
				TokenStore: new(client.MemoryStore),
				Reconnect:  client.Reconnect{InitialDelay: time.Millisecond, Randomness: -1, MaxDelay: 2 * time.Millisecond},
				Timeouts:   client.Timeouts{Close: 100 * time.Millisecond},
			})
			var wg sync.WaitGroup
			for _, act := range []func() error{
				func() error { return c.Connect(context.Background()) },
				func() error { _, err := c.Invoke(context.Background(), "login", nil); return err },
				func() error { return c.Authenticate(context.Background(), "a.b.c") },
				func() error { return c.Deauthenticate(context.Background()) },
				func() error { return c.Transmit(context.Background(), "e", nil) },
				func() error { return c.Reconnect(context.Background(), 4001, "") },
				func() error {
					sub, err := c.Subscribe(context.Background(), "a", client.PendingOK())
					if err == nil {
						for range sub.All() {
						}
						err = sub.Err()
					}
					return err
				},
			} {
				wg.Go(func() {
					for c.Connect(context.Background()) != client.ErrClosed {
						act()
					}
				})
			}
			time.Sleep(time.Duration(seed/3) * time.Millisecond)
			for range seed % 3 * 50 { // and a little later, within the same moment
				c.State()
			}
			c.Close()
			wg.Wait()
		})
	}
}
