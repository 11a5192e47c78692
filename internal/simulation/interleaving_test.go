package simulation_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/socketcluster-go/socketcluster"
)

// interleaving drives a server and up to six clients by random steps, many of
// them at the same time. It follows each message: whether it was handled, when,
// and by whom.
type interleaving struct {
	staff
	world  *world
	actors []*actor

	settles      bool          // nothing takes time: each step ends before the next one
	slowOutbound bool          // publications may be on their way to a client for a while
	batches      time.Duration // that messages may be collected for after a handshake
	started      time.Time
	joined       time.Time
	quiet        bool // nothing was going on before the current steps

	seq          int                 // of all that is numbered
	names        map[int]string      // of the channels, by publication
	publications map[int]publication // not confirmed
	due          map[int][]*actor    // confirmed publications, and who must get them
	mu           sync.Mutex
	acked        []int // of the server's own publications
	failed       []failedAsk
}

// failedAsk is a call of a client by the server that has failed.
type failedAsk struct {
	client *actor
	how    string
}

// publication is one that the server has not confirmed yet.
type publication struct {
	channel   string
	witnesses []witness
}

var interleavedChannels = []string{"a", "b", "p", "q"}

// join connects another client.
func (m *interleaving) join(rt *rapid.T) {
	c := newActor()
	off := socketcluster.On(m.srv, func(e socketcluster.HandshakeEvent) {
		c.socket, c.events = e.Socket, followAll(e.Socket)
	})
	c.conn = m.world.dial()
	go c.readAll()
	go c.writeAll()
	token := ""
	if rapid.IntRange(0, 3).Draw(rt, "token") > 0 {
		cl := m.claims(rt)
		cl.MS, cl.Blocked = 0, false
		token = m.world.sign(cl, cl.expiry())
	}
	c.call("#handshake", `{"authToken":`+quote(token)+`}`, sentCall{token: token})
	c.flush(false)
	synctest.Wait()
	off()
	m.joined = time.Now()
	m.actors = append(m.actors, c)
}

func (m *interleaving) next() int {
	m.seq++
	return m.seq
}

// claims draws those of a token.
func (m *interleaving) claims(rt *rapid.T) claims {
	return claims{
		Seq: m.next(), Q: rapid.Bool().Draw(rt, "q"), Blocked: rapid.IntRange(0, 4).Draw(rt, "blocked") == 0,
		MS: m.time(rt), Life: rapid.SampledFrom([]int{1, 3, longLife, longLife}).Draw(rt, "life"),
	}
}

// time draws the milliseconds that something takes.
func (m *interleaving) time(rt *rapid.T) int {
	if m.settles {
		return 0
	}
	return rapid.SampledFrom([]int{0, 0, 0, 0, 1, 20, 200}).Draw(rt, "ms")
}

// publishing notes a publication that is about to be sent.
func (m *interleaving) publishing(n int, channel string, changing map[*actor]bool) {
	pub := publication{channel: channel}
	for _, c := range m.actors {
		if w, ok := c.witness(channel, m.quiet && !m.slowOutbound && !changing[c]); ok {
			pub.witnesses = append(pub.witnesses, w)
		}
	}
	m.publications[n] = pub
	m.names[n] = channel
}

// gotFirst checks that a publisher that is subscribed has got its publication
// before it is told that it was confirmed, unless its token has changed or
// expired: then the subscription may have to be authorized again first.
func (m *interleaving) gotFirst(rt *rapid.T, n int, publisher *actor) {
	pub := m.publications[n]
	for _, w := range pub.witnesses {
		if w.client == publisher && w.steady && w.changes == ledgerOf(publisher.socket).changesSoFar() && (w.token == nil || !w.token.Expired(time.Now())) && w.holds(pub.channel) && !publisher.heardOf[n] {
			rt.Fatalf("publication %d was confirmed before its publisher has got it", n)
		}
	}
}

// confirmed notes who must have got a publication that the server has
// confirmed, once all clients have digested everything that they received until
// then.
func (m *interleaving) confirmed(n int) {
	pub := m.publications[n]
	for _, w := range pub.witnesses {
		if w.holds(pub.channel) {
			m.due[n] = append(m.due[n], w.client)
		}
	}
	delete(m.publications, n)
}

// step draws something to happen to a client and returns it as a function
// that runs beside others, once it has noted what is expected. It draws no
// change of a token while another one may be going on: a client cannot tell
// what has come of the two.
func (m *interleaving) step(rt *rapid.T, c *actor, changing map[*actor]bool) func() {
	ctx := context.Background()
	s := c.socket
	channel := rapid.SampledFrom(interleavedChannels).Draw(rt, "channel")
	kinds := []string{"call", "call", "call", "transmit", "transmit", "subscribe", "subscribe", "subscribe", "subscribe", "unsubscribe", "unsubscribe",
		"publish", "publish", "publish", "publish", "refused", "serverPublish", "serverPublish", "kickOut", "ask", "burst", "rare"}
	if m.quiet && !changing[c] {
		kinds = append(kinds, "login", "login", "serverLogin", "serverLogin", "authenticate", "authenticate", "badToken", "logout", "logout", "clientLogout")
	}
	kind := rapid.SampledFrom(kinds).Draw(rt, "step")
	if kind == "rare" {
		kind = rapid.SampledFrom([]string{"end", "kickOutAll"}).Draw(rt, "rare step")
	}
	switch kind {
	case "login", "serverLogin", "authenticate", "badToken", "logout", "clientLogout":
		changing[c] = true
		c.bump("p", "q")
	}
	n := m.next()
	data := fmt.Sprintf(`{"n":%d,"ms":%d}`, n, m.time(rt))
	switch kind {
	case "call":
		name := rapid.SampledFrom([]string{"first", "first", "second", "wide", "looped", "asks", "twice", "fails", "panics", "typed", "nobody"}).Draw(rt, "procedure")
		c.call(name, data, sentCall{n: n})
		c.owes(n, name)
	case "transmit":
		name := rapid.SampledFrom([]string{"note", "note", "memo", "crowd", "nowhere"}).Draw(rt, "receiver")
		c.transmit(name, data)
		c.owes(n, name)
	case "burst":
		name := rapid.SampledFrom([]string{"first", "wide", "looped", "asks"}).Draw(rt, "procedure")
		for range 10 {
			n := m.next()
			c.call(name, fmt.Sprintf(`{"n":%d,"ms":%d}`, n, m.time(rt)), sentCall{n: n})
			c.owes(n, name)
		}
	case "subscribe":
		if kickedAtOnce(n) {
			c.kicked[channel] = true
		}
		wait := rapid.Bool().Draw(rt, "waitForAuth")
		c.joining[channel]++
		c.call("#subscribe", fmt.Sprintf(`{"channel":%q,"waitForAuth":%t,"data":%s}`, channel, wait, data),
			sentCall{channel: channel, waitForAuth: wait, gone: c.gone[channel]})
		c.owes(n, "")
	case "unsubscribe":
		c.bump(channel)
		if rapid.Bool().Draw(rt, "call") {
			c.leaving[channel]++
			c.call("#unsubscribe", quote(channel), sentCall{channel: channel, gone: c.gone[channel]})
			break
		}
		c.transmit("#unsubscribe", quote(channel))
		delete(c.subs, channel)
		c.gone[channel]++
		c.loose[channel] = true
	case "publish":
		m.publishing(n, channel, changing)
		from := fmt.Sprintf(`{"channel":%q,"data":{"n":%d,"ms":%d,"from":"client%d"}}`, channel, n, m.time(rt), slices.Index(m.actors, c))
		if rapid.IntRange(0, 2).Draw(rt, "call") > 0 {
			c.call("#publish", from, sentCall{channel: channel, n: n})
		} else {
			c.transmit("#publish", from)
		}
		c.owes(n, "")
	case "refused":
		if rapid.Bool().Draw(rt, "malformed") {
			c.call("#publish", `{"data":1}`, sentCall{})
			break
		}
		c.call("#publish", fmt.Sprintf(`{"channel":"forbidden","data":%s}`, data), sentCall{channel: "forbidden"})
		c.owes(n, "")
	case "serverPublish":
		second := m.next()
		m.publishing(n, channel, changing)
		m.publishing(second, channel, changing)
		return func() {
			for _, seq := range []int{n, second} {
				if m.srv.Exchange().Publish(ctx, channel, work{N: seq, From: fmt.Sprint("server", n)}) == nil {
					m.mu.Lock()
					m.acked = append(m.acked, seq)
					m.mu.Unlock()
				}
			}
		}
	case "kickOut":
		c.kicked[channel] = true
		c.bump(channel)
		return func() { s.KickOut(ctx, channel, "out") }
	case "kickOutAll":
		for _, channel := range interleavedChannels {
			c.kicked[channel] = true
			c.bump(channel)
		}
		return func() { s.KickOutAll(ctx, nil) }
	case "ask":
		return func() {
			if got, err := m.ask(ctx, s, n); err != nil || got != n {
				m.mu.Lock()
				defer m.mu.Unlock()
				m.failed = append(m.failed, failedAsk{c, fmt.Sprintf("asked %d, got %d, %v", n, got, err)})
			}
		}
	case "end":
		c.left = true
		switch rapid.IntRange(0, 4).Draw(rt, "how") {
		case 0:
			return func() { c.conn.Close() }
		case 1:
			return func() { s.Disconnect(4500, "") }
		case 2:
			return s.Terminate
		default:
			c.orderly, c.hangsUp = true, true
		}
	default:
		return m.changeToken(rt, c, kind)
	}
	return func() {}
}

// changeToken is step for what changes the token of a client.
func (m *interleaving) changeToken(rt *rapid.T, c *actor, kind string) func() {
	ctx := context.Background()
	cl := m.claims(rt)
	c.loggedIn = cl.Life == longLife && (kind == "login" || kind == "serverLogin" || kind == "authenticate" && !cl.Blocked)
	switch kind {
	case "login":
		c.call("login", fmt.Sprintf(`{"seq":%d,"q":%t,"life":%d}`, cl.Seq, cl.Q, cl.Life), sentCall{})
	case "serverLogin":
		return func() { c.socket.SetAuthToken(ctx, cl, cl.expiry()) }
	case "authenticate":
		token := m.world.sign(cl, cl.expiry())
		c.call("#authenticate", quote(token), sentCall{token: token})
	case "badToken":
		c.call("#authenticate", `"a.b.c"`, sentCall{})
	case "logout":
		return func() { c.socket.Deauthenticate(ctx) }
	case "clientLogout":
		c.token = ""
		c.transmit("#removeAuthToken", "null")
	}
	return func() {}
}

// awaitExpiry waits for the moment in which the server notices that a token has
// expired.
func (m *interleaving) awaitExpiry() {
	for _, c := range m.actors {
		if cl := c.claims(); cl != nil && !c.left && cl.Life < longLife {
			m.awaitTick(cl.expires())
			return
		}
	}
}

// awaitTick waits for the first tick of the server's wheel after a moment.
func (m *interleaving) awaitTick(moment time.Time) {
	const tick = 10 * time.Millisecond
	time.Sleep(time.Until(m.started.Add((moment.Sub(m.started) + tick - 1) / tick * tick)))
}

// expiring reports whether the token of a client has expired, and the server has
// not noticed it yet.
func (m *interleaving) expiring() bool {
	return slices.ContainsFunc(m.actors, func(c *actor) bool {
		token := c.socket.AuthToken()
		return token != nil && !c.left && token.Expired(time.Now())
	})
}

// look digests what all clients have received, and checks what must hold at any
// time.
func (m *interleaving) look(rt *rapid.T) {
	m.digest(rt)
	if m.settles && m.expiring() {
		m.awaitTick(time.Now().Add(time.Millisecond))
		m.digest(rt)
	}
	m.quiet = m.busy.Load() == 0 && time.Since(m.joined) >= m.batches && !m.expiring()
	if m.quiet {
		m.compare(rt)
	} else if m.settles {
		rt.Fatal("a step has not ended")
	}
}

// digest digests what all clients have received.
func (m *interleaving) digest(rt *rapid.T) {
	synctest.Wait()
	var acked []int
	for i, c := range m.actors {
		c.digest(rt, i, func(n int) {
			m.gotFirst(rt, n, c)
			acked = append(acked, n)
		})
		c.events.mu.Lock()
		faults := c.events.faults
		c.events.mu.Unlock()
		l := ledgerOf(c.socket)
		l.mu.Lock()
		faults = slices.Concat(faults, l.faults)
		l.mu.Unlock()
		if len(faults) > 0 {
			rt.Fatalf("client %d: %q", i, faults)
		}
	}
	m.mu.Lock()
	acked = append(acked, m.acked...)
	failed := m.failed
	m.acked, m.failed = nil, nil
	m.mu.Unlock()
	for _, f := range failed {
		if !f.client.left {
			rt.Fatalf("client %d: %s", slices.Index(m.actors, f.client), f.how)
		}
	}
	for _, n := range acked {
		m.confirmed(n)
	}
}

// compare checks what must hold when nothing goes on any more.
func (m *interleaving) compare(rt *rapid.T) {
	open := 0
	counts := map[string]int{}
	for i, c := range m.actors {
		m.checkHandled(rt, i, c)
		c.events.mu.Lock()
		phase, state := c.events.phase, c.events.state
		c.events.mu.Unlock()
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
		if signed := c.socket.AuthToken().Signed(); signed != c.token || c.socket.AuthState() != state {
			rt.Fatalf("client %d has %q and believes %q; %v, and the events say %v", i, signed, c.token, c.socket.AuthState(), state)
		}
		if c.loggedIn && c.token == "" {
			rt.Fatalf("client %d has lost its login", i)
		}
		for _, channel := range interleavedChannels {
			has := c.socket.IsSubscribed(channel)
			sub, believes := c.subs[channel]
			// A subscription with waitForAuth survives a logout: the client
			// goes on to take it for its own.
			suspended := believes && sub.waitForAuth && c.token == "" && !mayJoin(channel, nil)
			if has && !mayJoin(channel, c.claims()) || has != (believes && !suspended) {
				rt.Fatalf("client %d in %s: %t, and believes %t %+v with the token %q", i, channel, has, believes, sub, c.token)
			}
			if has {
				counts[channel]++
			}
		}
		clear(c.loose)
		clear(c.kicked)
	}
	if n := m.srv.NumClients(); n != open {
		rt.Fatalf("%d clients, want %d", n, open)
	}
	for _, channel := range interleavedChannels {
		if n := m.srv.Exchange().NumSubscribers(channel); n != counts[channel] {
			rt.Fatalf("%d subscribers of %s, want %d", n, channel, counts[channel])
		}
	}
	m.checkHeard(rt)
}

// checkHandled compares what a client has sent with what was handled: all of
// it, in order; or, when the client was cut off, what came before that.
func (m *interleaving) checkHandled(rt *rapid.T, i int, c *actor) {
	l := ledgerOf(c.socket)
	l.mu.Lock()
	defer l.mu.Unlock()
	cut := c.left && !c.orderly
	if n := len(l.arrived); n > len(c.sent) || !cut && n < len(c.sent) || !slices.Equal(l.arrived, c.sent[:n]) {
		rt.Fatalf("client %d, cut off %t: sent %v, and middleware has seen %v", i, cut, c.sent, l.arrived)
	}
	want := map[string][]int{}
	for k := range l.arrived {
		name := c.names[k]
		switch name {
		case "", "typed", "nobody", "nowhere":
		default:
			want[name] = append(want[name], c.sent[k])
		}
	}
	lost := 0
	for name, all := range want {
		got := l.begun[name]
		if width(name) > 1 {
			got = slices.Sorted(slices.Values(got))
		}
		if len(got) > len(all) || !slices.Equal(got, all[:len(got)]) {
			rt.Fatalf("client %d: %s was to handle %v, and has handled %v", i, name, all, got)
		}
		lost += len(all) - len(got)
	}
	// A client that is cut off may lose the publication that was waiting for a
	// place.
	if lost > 1 || lost > 0 && !cut {
		rt.Fatalf("client %d, cut off %t: was to be handled %v, and was handled %v", i, cut, want, l.begun)
	}
}

// checkHeard checks that confirmed publications have arrived, and that all
// subscribers of a channel have heard them in the same order.
func (m *interleaving) checkHeard(rt *rapid.T) {
	for n, clients := range m.due {
		for _, c := range clients {
			if !c.left && !c.heardOf[n] {
				rt.Fatalf("client %d was subscribed to %s, and has not got the confirmed publication %d", slices.Index(m.actors, c), m.names[n], n)
			}
		}
	}
	clear(m.due)
	for i, c := range m.actors {
		for k, other := range m.actors[:i] {
			for _, channel := range interleavedChannels {
				a, b := c.heard[channel], other.heard[channel]
				if mine, theirs := common(a, b), common(b, a); !slices.Equal(mine, theirs) {
					rt.Fatalf("in %s, clients %d and %d have heard %v and %v", channel, i, k, mine, theirs)
				}
			}
		}
	}
}

// settle waits until nothing goes on any more.
func (m *interleaving) settle(rt *rapid.T) {
	for range 600 {
		time.Sleep(time.Second)
		m.look(rt)
		if m.quiet {
			return
		}
	}
	rt.Fatal("something goes on for ever")
}

// bubble hides Deadline, which must not be called inside a synctest bubble,
// from rapid.
type bubble struct{ *testing.T }

// AUTH-28, AUTH-30, AUTH-42, PS-8, PS-9, PS-11, PS-13 to PS-17, PS-25, PS-26,
// QK-4, QK-10, QK-31, RPC-6, RPC-7: whatever clients and the server do at the
// same time, what one client sends is handled in order, in order for each name,
// and once; each of its calls is answered once; a confirmed publication reaches
// those that are subscribed; and who is subscribed to what is what the clients
// were told: after each step if none takes time, and otherwise whenever nothing
// is under way.
func TestInterleavings(t *testing.T) {
	for _, settles := range []bool{true, false} {
		for _, outbound := range []bool{false, true} {
			t.Run(fmt.Sprintf("settles %t, outbound middleware %t", settles, outbound), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					rapid.Check(bubble{t}, func(rt *rapid.T) { interleave(t, rt, settles, outbound) })
				})
			})
		}
	}
}

func interleave(t *testing.T, rt *rapid.T, settles, outbound bool) {
	m := &interleaving{
		settles: settles, slowOutbound: outbound && !settles,
		names: map[int]string{}, publications: map[int]publication{}, due: map[int][]*actor{},
	}
	cfg := socketcluster.Config{Timeouts: socketcluster.Timeouts{Close: time.Hour}}
	if !settles && rapid.Bool().Draw(rt, "batch on handshake") {
		cfg.Batching.OnHandshake = 400 * time.Millisecond
		m.batches = cfg.Batching.OnHandshake + 100*time.Millisecond // the last one is sent behind the end
	}
	if rapid.Bool().Draw(rt, "routed") {
		cfg.Broker = &routedBroker{staff: &m.staff, on: map[string]bool{}}
	}
	cfg.Limits.CallRate, cfg.Limits.PublishRate, cfg.Limits.SubscribeRate, cfg.Limits.AuthenticateRate = 1<<20, 1<<20, 1<<20, 1<<20
	if rapid.Bool().Draw(rt, "short queues") {
		cfg.Limits.Calls, cfg.Limits.Inbox = 3, 2
	}
	w := newWorld(t, rt, cfg)
	w.serve()
	srv := w.srv
	m.srv, m.world, m.started = srv, w, time.Now()
	m.serve(outbound)
	defer func() {
		for _, c := range m.actors {
			c.conn.Close()
		}
		srv.Close()
		w.web.Close()
		time.Sleep(time.Minute) // handlers
		for _, c := range m.actors {
			close(c.outgoing)
		}
		synctest.Wait()
	}()
	m.join(rt)
	m.join(rt)
	rt.Repeat(map[string]func(*rapid.T){
		"join": func(rt *rapid.T) {
			if len(m.actors) < 6 {
				m.join(rt)
			}
		},
		"steps":      m.steps,
		"more steps": m.steps,
		"still more": m.steps,
		"time": func(rt *rapid.T) {
			time.Sleep(time.Duration(rapid.IntRange(1, 3000).Draw(rt, "ms")) * time.Millisecond)
		},
		"settle": m.settle,
		"":       m.look,
	})
	m.settle(rt)
}

// steps has several things happen at the same time.
func (m *interleaving) steps(rt *rapid.T) {
	changing := map[*actor]bool{}
	var all []func()
	for range rapid.IntRange(1, 8).Draw(rt, "n") {
		c := m.actors[rapid.IntRange(0, len(m.actors)-1).Draw(rt, "client")]
		if !c.left {
			all = append(all, m.step(rt, c, changing))
		}
	}
	if rapid.IntRange(0, 3).Draw(rt, "at an expiry") == 0 {
		m.awaitExpiry()
	}
	for _, c := range m.actors {
		if len(c.packets) > 0 || c.hangsUp {
			c.flush(rapid.Bool().Draw(rt, "batch"))
		}
	}
	for _, fn := range all {
		delay := 0
		if !m.settles {
			delay = rapid.SampledFrom([]int{0, 0, 10}).Draw(rt, "delay")
		}
		go func() {
			m.takeTime(delay) // some come while middleware looks at what clients have sent
			fn()
		}()
	}
	synctest.Wait()
}
