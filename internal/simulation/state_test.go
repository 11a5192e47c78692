package simulation_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"
	"pgregory.net/rapid"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/internal/sctest"
)

// stateModel drives a server and up to three clients by random steps, some of
// them at the same time, and checks after each that nobody was told anything
// but the truth.
type stateModel struct {
	world   *world
	clients []*modelClient
	seq     int // of publications
}

// modelClient is the state of a client, as it follows from what it received.
type modelClient struct {
	*sctest.Conn
	socket *socketcluster.Socket
	left   bool // it has hung up, or been disconnected

	mu     sync.Mutex
	frames []string

	cid     int
	calls   map[int]modelCall // not answered
	subs    map[string]bool
	joining map[string]int // subscribe calls without an answer
	token   string
	lastSeq map[string]int // by channel and publisher

	events *eventModel
}

// modelCall is a call and what its success means.
type modelCall struct {
	event, channel, token string
}

// eventModel checks the events of one socket as they are emitted.
type eventModel struct {
	mu     sync.Mutex
	faults []string
	state  socketcluster.AuthState
	phase  string // connect, disconnect, close, end
	subs   map[string]int
}

func (e *eventModel) check(ok bool, format string, args ...any) {
	if !ok {
		e.faults = append(e.faults, fmt.Sprintf(format, args...))
	}
}

// follow notes an event, which may come in these phases.
func follow[E socketcluster.Event](s *socketcluster.Socket, m *eventModel, name string, phases string, fn func(E)) {
	socketcluster.On(s, func(e E) {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.check(slices.Contains(strings.Split(phases, "|"), m.phase), "%s in phase %q", name, m.phase)
		fn(e)
	})
}

func followAll(s *socketcluster.Socket) *eventModel {
	m := &eventModel{subs: map[string]int{}}
	enter := func(phase string) { m.phase = phase }
	follow(s, m, "connect", "", func(socketcluster.ConnectEvent) { enter("connect") })
	follow(s, m, "connectAbort", "", func(socketcluster.ConnectAbortEvent) { enter("disconnect") })
	follow(s, m, "disconnect", "connect", func(socketcluster.DisconnectEvent) { enter("disconnect") })
	follow(s, m, "close", "disconnect", func(socketcluster.CloseEvent) { enter("close") })
	follow(s, m, "end", "close", func(socketcluster.EndEvent) {
		enter("end")
		for c, n := range m.subs {
			m.check(n == 0, "end while in %s", c)
		}
	})
	follow(s, m, "subscribe", "connect", func(e socketcluster.SubscribeEvent) { m.subs[e.Channel] = 1 })
	follow(s, m, "unsubscribe", "connect|close", func(e socketcluster.UnsubscribeEvent) {
		m.subs[e.Channel]--
		m.check(m.subs[e.Channel] == 0, "unsubscribe from %s without subscribe", e.Channel)
	})
	follow(s, m, "authStateChange", "connect", func(e socketcluster.AuthStateChangeEvent) {
		m.check(e.OldAuthState == m.state && e.NewAuthState != m.state, "from %v to %v in state %v", e.OldAuthState, e.NewAuthState, m.state)
		m.state = e.NewAuthState
	})
	follow(s, m, "authenticate", "connect", func(socketcluster.AuthenticateEvent) {
		m.check(m.state == socketcluster.Authenticated, "authenticate in state %v", m.state)
	})
	follow(s, m, "deauthenticate", "|connect", func(socketcluster.DeauthenticateEvent) {
		m.check(m.state == socketcluster.Unauthenticated, "deauthenticate in state %v", m.state)
	})
	return m
}

// join connects another client, which may have a token from before.
func (m *stateModel) join(rt *rapid.T) {
	w := m.world
	token := ""
	if rapid.Bool().Draw(rt, "token") {
		token = w.sign(map[string]any{"n": len(m.clients)}, auth.ExpiresIn(time.Duration(rapid.IntRange(1, 100).Draw(rt, "life"))*time.Second))
	}
	c := &modelClient{calls: map[int]modelCall{}, subs: map[string]bool{}, joining: map[string]int{}, token: token, lastSeq: map[string]int{}}
	off := socketcluster.On(w.srv, func(e socketcluster.HandshakeEvent) {
		c.socket, c.events = e.Socket, followAll(e.Socket)
	})
	c.Conn = w.dial()
	go c.readAll()
	c.call("#handshake", `{"authToken":`+quote(token)+`}`, modelCall{token: token})
	synctest.Wait()
	off()
	m.clients = append(m.clients, c)
}

// readAll keeps what comes until the connection ends, and answers pings.
func (c *modelClient) readAll() {
	for {
		f, err := c.ReadFrame()
		if err != nil {
			return
		}
		if f.Header.OpCode == ws.OpClose {
			_ = ws.WriteFrame(c.Conn, ws.MaskFrame(f))
			return
		}
		if len(f.Payload) == 0 {
			c.write("")
			continue
		}
		c.mu.Lock()
		c.frames = append(c.frames, string(f.Payload))
		c.mu.Unlock()
	}
}

// write sends a message in one piece, as several goroutines may; the connection may
// be gone.
func (c *modelClient) write(text string) {
	_, _ = c.Conn.Write(ws.MustCompileFrame(ws.MaskFrame(ws.NewTextFrame([]byte(text)))))
}

func (c *modelClient) call(event, data string, call modelCall) {
	c.cid++
	call.event = event
	c.calls[c.cid] = call
	c.write(fmt.Sprintf(`{"event":%q,"data":%s,"cid":%d}`, event, data, c.cid))
}

// step draws something to happen to a client and returns it as a function
// that may run beside others, once it has noted what is expected. It never
// draws two changes of one client's token at a time: a client cannot tell the
// answers of those.
func (m *stateModel) step(rt *rapid.T, c *modelClient, busy map[*modelClient]bool) func() {
	ctx := context.Background()
	s := c.socket
	channel := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(rt, "channel")
	m.seq++
	seq := m.seq
	kinds := []string{"subscribe", "subscribe", "unsubscribe", "publish", "publishCall", "serverPublish", "kickOut", "kickOutAll", "invoke", "end"}
	if !busy[c] {
		kinds = append(kinds, "login", "shortLogin", "goodToken", "badToken", "logout", "clientLogout")
	}
	kind := rapid.SampledFrom(kinds).Draw(rt, "step")
	life := time.Duration(rapid.IntRange(1, 3).Draw(rt, "life")) * time.Second
	publication := fmt.Sprintf(`{"channel":%q,"data":"client%d %d"}`, channel, slices.Index(m.clients, c), seq)
	switch kind {
	case "subscribe":
		c.joining[channel]++
		c.call("#subscribe", fmt.Sprintf(`{"channel":%q}`, channel), modelCall{channel: channel})
	case "unsubscribe":
		c.call("#unsubscribe", quote(channel), modelCall{channel: channel})
	case "publish":
		c.write(`{"event":"#publish","data":` + publication + `}`)
	case "publishCall":
		c.call("#publish", publication, modelCall{})
	case "invoke":
		c.call("echo", "1", modelCall{})
	case "serverPublish":
		return func() {
			m.world.srv.Exchange().Publish(ctx, channel, fmt.Sprintf("%s %d", "server"+fmt.Sprint(seq), seq))
		}
	case "kickOut":
		return func() { s.KickOut(ctx, channel, "out") }
	case "kickOutAll":
		return func() { s.KickOutAll(ctx, nil) }
	case "login", "shortLogin":
		busy[c] = true
		if kind == "login" {
			life = time.Hour
		}
		return func() { s.SetAuthToken(ctx, map[string]any{"seq": seq}, auth.ExpiresIn(life)) }
	case "logout":
		busy[c] = true
		return func() { s.Deauthenticate(ctx) }
	case "clientLogout":
		busy[c] = true
		c.token = ""
		c.write(`{"event":"#removeAuthToken"}`)
	case "goodToken":
		busy[c] = true
		token := m.world.sign(map[string]any{"seq": seq}, auth.ExpiresIn(life))
		c.call("#authenticate", quote(token), modelCall{token: token})
	case "badToken":
		busy[c] = true
		c.call("#authenticate", `"a.b.c"`, modelCall{})
	case "end":
		c.left = true
		switch rapid.IntRange(0, 3).Draw(rt, "how") {
		case 0:
			return func() { c.Conn.Close() }
		case 1:
			return func() { _ = ws.WriteFrame(c.Conn, ws.MaskFrame(ws.NewCloseFrame(ws.NewCloseFrameBody(1000, "")))) }
		case 2:
			return func() { s.Disconnect(4500, "") }
		default:
			return s.Terminate
		}
	}
	return func() {}
}

// digest goes through what a client received.
func (c *modelClient) digest(rt *rapid.T) {
	c.mu.Lock()
	frames := c.frames
	c.frames = nil
	c.mu.Unlock()
	for _, text := range frames {
		var m struct {
			RID   *int
			Error *struct{ Name string }
			Event string
			Data  json.RawMessage
		}
		if err := json.Unmarshal([]byte(text), &m); err != nil {
			rt.Fatalf("got %q", text)
		}
		var data struct {
			Channel, Token  string
			Data            json.RawMessage
			IsAuthenticated bool
		}
		json.Unmarshal(m.Data, &data)
		switch {
		case m.RID != nil:
			call, ok := c.calls[*m.RID]
			if !ok {
				rt.Fatalf("an answer too many: %s", text)
			}
			delete(c.calls, *m.RID)
			switch call.event {
			case "#subscribe":
				c.joining[call.channel]--
				if m.Error == nil {
					c.subs[call.channel] = true
				}
			case "#unsubscribe":
				if m.Error == nil {
					delete(c.subs, call.channel)
				}
			case "#authenticate", "#handshake":
				c.token = ""
				if m.Error == nil && data.IsAuthenticated {
					c.token = call.token
				}
			}
		case m.Event == "#publish":
			if !c.subs[data.Channel] && c.joining[data.Channel] == 0 {
				rt.Fatalf("not subscribed: %s", text)
			}
			var from string
			var seq int
			var payload string
			json.Unmarshal(data.Data, &payload)
			fmt.Sscanf(payload, "%s %d", &from, &seq)
			if key := data.Channel + from; seq <= c.lastSeq[key] {
				rt.Fatalf("%s after %d", text, c.lastSeq[key])
			} else {
				c.lastSeq[key] = seq
			}
		case m.Event == "#kickOut":
			delete(c.subs, data.Channel)
		case m.Event == "#setAuthToken":
			c.token = data.Token
		case m.Event == "#removeAuthToken":
			c.token = ""
		default:
			rt.Fatalf("got %s", text)
		}
	}
}

// check compares what everybody believes, once nothing moves any more.
func (m *stateModel) check(rt *rapid.T) {
	synctest.Wait()
	srv := m.world.srv
	open := 0
	counts := map[string]int{}
	for i, c := range m.clients {
		c.digest(rt)
		c.events.mu.Lock()
		faults, phase, state := c.events.faults, c.events.phase, c.events.state
		c.events.mu.Unlock()
		if len(faults) > 0 {
			rt.Fatalf("client %d: %q", i, faults)
		}
		if c.left {
			if c.socket.State() != socketcluster.Closed || phase != "end" || c.socket.Stats().Subscriptions != 0 {
				rt.Fatalf("client %d has left: %v, %s, %d subscriptions", i, c.socket.State(), phase, c.socket.Stats().Subscriptions)
			}
			continue
		}
		open++
		if c.socket.State() != socketcluster.Open || len(c.calls) > 0 {
			rt.Fatalf("client %d: %v; not answered: %v", i, c.socket.State(), c.calls)
		}
		subs := slices.Sorted(c.socket.Subscriptions())
		var told []string
		for channel := range c.subs {
			told = append(told, channel)
			counts[channel]++
		}
		slices.Sort(told)
		if !slices.Equal(subs, told) {
			rt.Fatalf("client %d is subscribed to %q and believes %q", i, subs, told)
		}
		if c.token != c.socket.AuthToken().Signed() || c.socket.AuthState() != state {
			rt.Fatalf("client %d has %q and believes %q; told %v", i, c.socket.AuthToken().Signed(), c.token, state)
		}
	}
	if n := srv.NumClients(); n != open {
		rt.Fatalf("%d clients, want %d", n, open)
	}
	for _, channel := range []string{"a", "b", "c"} {
		if n := srv.Exchange().NumSubscribers(channel); n != counts[channel] {
			rt.Fatalf("%d subscribers of %s, want %d", n, channel, counts[channel])
		}
	}
}

// bubble hides Deadline, which must not be called inside a synctest bubble,
// from rapid.
type bubble struct{ *testing.T }

// AUTH-28, AUTH-30, AUTH-42, PS-9, PS-11, PS-13 to PS-17, QK-4, QK-10, QK-31,
// RPC-7: random logins, logouts, expiries, subscriptions, publications and
// ends of one to three clients.
func TestStates(t *testing.T) {
	for _, outbound := range []bool{false, true} {
		t.Run(fmt.Sprintf("outbound middleware %t", outbound), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				rapid.Check(bubble{t}, func(rt *rapid.T) { runStates(t, rt, outbound) })
			})
		})
	}
}

func runStates(t *testing.T, rt *rapid.T, outbound bool) {
	w := newWorld(t, rt, socketcluster.Config{})
	w.srv.Handle("echo", socketcluster.Func(func(_ context.Context, in json.RawMessage) (json.RawMessage, error) { return in, nil }))
	if outbound {
		w.srv.UseOutbound(func(context.Context, socketcluster.Action) error { return nil })
	}
	w.serve()
	m := &stateModel{world: w}
	defer func() {
		for _, c := range m.clients {
			c.Conn.Close()
		}
		w.srv.Close()
		w.web.Close()
		synctest.Wait()
	}()
	m.join(rt)
	rt.Repeat(map[string]func(*rapid.T){
		"join": func(rt *rapid.T) {
			if len(m.clients) < 3 {
				m.join(rt)
			}
		},
		"steps": func(rt *rapid.T) {
			busy := map[*modelClient]bool{}
			var all []func()
			for range rapid.IntRange(1, 5).Draw(rt, "n") {
				c := m.clients[rapid.IntRange(0, len(m.clients)-1).Draw(rt, "client")]
				if !c.left {
					all = append(all, m.step(rt, c, busy))
				}
			}
			for _, fn := range all {
				go fn()
			}
			synctest.Wait()
		},
		"time": func(rt *rapid.T) {
			time.Sleep(time.Duration(rapid.IntRange(1, 5000).Draw(rt, "ms")) * time.Millisecond)
		},
		"": m.check,
	})
}
