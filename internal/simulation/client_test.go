package simulation_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/gobwas/ws"

	"github.com/socketcluster-go/socketcluster/internal/sctest"
)

// simClient follows the rules of the stock client for its identity, and does
// what its own random numbers say.
type simClient struct {
	w     *simWorld
	index int
	rng   *rand.Rand
	link  *simLink
	deaf  bool // does not read any more
	k     int  // publications
}

// simLink is one connection of a client, as the client sees it.
type simLink struct {
	client *simClient
	w      *simWorld
	conn   *sctest.Conn
	tap    *tapConn

	mu       sync.Mutex
	cid      int
	asked    map[int]simAsk
	token    string // what the client takes for its identity
	ready    chan struct{}
	readyYet bool
	dead     bool
	left     bool // the client has closed it
	code     int  // of the server's close frame
	err      error
	open     bool // at the end
	subs     map[string]*simSub
	got      []gotPub
	answers  map[int]int // by cid
	logouts  []stamp     // that the client has sent
	logins   []stamp     // that it has got
	wakeAt   time.Time   // when it reads again
	deaf     bool
	notes    []linkNote
}

// linkNote is what happened to the subscriptions or the identity of a client.
type linkNote struct {
	at   stamp
	text string
}

// simAsk is a call that waits for its answer.
type simAsk struct {
	what    string
	channel string
	wait    bool // until the client is logged in
	token   string
	begin   stamp
}

// simSub is a subscription: from when the client knows of it.
type simSub struct {
	channel string
	since   stamp
	waits   bool // it may be suspended without the client's knowledge
}

// gotPub is a publication that a client has got.
type gotPub struct {
	n       int
	channel string
}

// simPacket is any packet of the protocol.
type simPacket struct {
	Event string          `json:"event"`
	Data  json.RawMessage `json:"data"`
	CID   int             `json:"cid"`
	RID   int             `json:"rid"`
	Error json.RawMessage `json:"error"`
}

// simPacketsOf reads the text of a frame.
func simPacketsOf(text []byte) (packets []simPacket) {
	if len(text) == 0 {
		return nil
	}
	if text[0] == '[' {
		if err := json.Unmarshal(text, &packets); err != nil {
			panic(fmt.Sprintf("%v: %s", err, text))
		}
		return packets
	}
	packets = make([]simPacket, 1)
	if err := json.Unmarshal(text, &packets[0]); err != nil {
		panic(fmt.Sprintf("%v: %s", err, text))
	}
	return packets
}

// simChannel is the data of what is about a channel.
type simChannel struct {
	Channel string          `json:"channel"`
	Data    payload         `json:"data"`
	Message json.RawMessage `json:"message"`
}

func channelOf(p *simPacket) (c simChannel) {
	if err := json.Unmarshal(p.Data, &c); err != nil {
		panic(fmt.Sprintf("%v: %s", err, p.Data))
	}
	return c
}

// simStatus is the answer of #handshake and #authenticate.
type simStatus struct {
	IsAuthenticated *bool           `json:"isAuthenticated"`
	AuthError       json.RawMessage `json:"authError"`
}

// connect opens another connection, with a token or "".
func (c *simClient) connect(token string) {
	conn, tap := c.w.dial(c.rng.IntN(4))
	if conn == nil {
		return
	}
	l := &simLink{
		client: c, w: c.w, conn: &sctest.Conn{Conn: conn, In: bufio.NewReaderSize(conn, 1024)}, tap: tap, asked: make(map[int]simAsk), ready: make(chan struct{}),
		subs: make(map[string]*simSub), answers: make(map[int]int),
	}
	c.link = l
	c.w.links.add(l)
	conn.SetWriteDeadline(c.w.began.Add(horizon))
	resp, err := l.conn.Upgrade(nil)
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "write" {
		l.die()
		return
	}
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		c.w.failf("upgrade: %v", err)
		l.die()
		return
	}
	go l.read()
	l.call("#handshake", fmt.Sprintf(`{"authToken":%s}`, quote(token)), simAsk{what: "handshake", token: token})
	select {
	case <-l.ready:
	case <-time.After(time.Second):
	}
}

// quiet makes a client stop reading, for a while or for good.
func (l *simLink) sleep(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.wakeAt = time.Now().Add(d)
}

func (l *simLink) die() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.dead {
		l.dead = true
		if !l.readyYet {
			l.readyYet = true
			close(l.ready)
		}
	}
}

// leave closes a connection without a word.
func (l *simLink) leave() {
	l.mu.Lock()
	l.left = true
	l.log(l.w.now(), "leaves")
	l.mu.Unlock()
	l.conn.Close()
}

func (l *simLink) isDead() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.dead || l.left
}

func (l *simLink) write(f ws.Frame) {
	_ = l.conn.SendFrame(f) // the reader finds out what is wrong
}

func (l *simLink) transmit(event, data string) {
	l.write(ws.NewTextFrame(fmt.Appendf(nil, `{"event":%q,"data":%s}`, event, data)))
}

func (l *simLink) call(event, data string, ask simAsk) int {
	l.mu.Lock()
	l.cid++
	cid := l.cid
	ask.begin = l.w.now()
	l.asked[cid] = ask
	l.mu.Unlock()
	l.write(ws.NewTextFrame(fmt.Appendf(nil, `{"event":%q,"data":%s,"cid":%d}`, event, data, cid)))
	return cid
}

// read is the goroutine of a connection.
func (l *simLink) read() {
	defer l.die()
	for {
		for {
			l.mu.Lock()
			wait, deaf := time.Until(l.wakeAt), l.deaf
			l.mu.Unlock()
			if deaf {
				<-l.w.release
				return
			}
			if wait <= 0 {
				break
			}
			time.Sleep(wait)
		}
		f, err := l.conn.ReadFrame()
		if err != nil {
			l.mu.Lock()
			l.err = err
			l.mu.Unlock()
			return
		}
		switch {
		case f.Header.OpCode == ws.OpClose:
			l.mu.Lock()
			l.log(l.w.now(), "got a close frame")
			code, _ := ws.ParseCloseFrameData(f.Payload)
			l.code = int(code)
			l.mu.Unlock()
			l.write(f)
			l.conn.Close()
			return
		case len(f.Payload) == 0:
			l.write(ws.NewTextFrame(nil)) // a pong
		default:
			for _, p := range simPacketsOf(f.Payload) {
				l.take(&p)
			}
		}
	}
}

// take follows a packet. Identities change as in the stock client.
func (l *simLink) take(p *simPacket) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.w.now()
	switch {
	case p.RID != 0:
		ask, ok := l.asked[p.RID]
		if l.answers[p.RID]++; !ok || l.answers[p.RID] > 1 {
			l.w.failf("client %d got an answer %d without a question, or twice", l.client.index, p.RID)
			return
		}
		l.answered(p, ask, now)
	case p.Event == "#publish":
		c := channelOf(p)
		l.got = append(l.got, gotPub{c.Data.N, c.Channel})
	case p.Event == "#kickOut":
		c := channelOf(p)
		l.log(now, "kicked out of "+c.Channel)
		if sub := l.subs[c.Channel]; sub != nil {
			delete(l.subs, c.Channel)
		}
	case p.Event == "#setAuthToken":
		l.become(tokenText(p), p.Event)
		if p.CID != 0 {
			go l.write(ws.NewTextFrame(fmt.Appendf(nil, `{"rid":%d}`, p.CID)))
		}
	case p.Event == "#removeAuthToken":
		l.become("", p.Event)
		if p.CID != 0 {
			go l.write(ws.NewTextFrame(fmt.Appendf(nil, `{"rid":%d}`, p.CID)))
		}
	}
}

// tokenText is the token of a #setAuthToken.
func tokenText(p *simPacket) string {
	var d struct{ Token string }
	if err := json.Unmarshal(p.Data, &d); err != nil {
		panic(err)
	}
	return d.Token
}

// become changes what the client takes for its identity. mu must be held.
func (l *simLink) become(token, how string) {
	l.token = token
	now := l.w.now()
	if token != "" {
		l.logins = append(l.logins, now)
	}
	l.log(now, "is "+l.w.whose(token)+" by "+how)
	l.w.store(l.client.index, token)
}

func (l *simLink) log(at stamp, text string) { l.notes = append(l.notes, linkNote{at, text}) }

// answered follows the answer of a call. mu must be held.
func (l *simLink) answered(p *simPacket, ask simAsk, now stamp) {
	refused := len(p.Error) > 0 && string(p.Error) != "null"
	switch ask.what {
	case "handshake", "authenticate":
		var s simStatus
		if len(p.Data) > 0 {
			if err := json.Unmarshal(p.Data, &s); err != nil {
				panic(err)
			}
		}
		if !refused && s.IsAuthenticated != nil && *s.IsAuthenticated {
			l.become(ask.token, ask.what)
		} else {
			l.become("", ask.what)
		}
		if ask.what == "authenticate" {
			l.w.changed(l.tap.number, ask.begin, now)
		}
		if !l.readyYet {
			l.readyYet = true
			close(l.ready)
		}
	case "unsubscribe":
		delete(l.subs, ask.channel)
	case "subscribe":
		if refused {
			l.log(now, "not subscribed to "+ask.channel)
			break
		}
		if l.subs[ask.channel] == nil {
			l.log(now, "subscribed to "+ask.channel)
			l.subs[ask.channel] = &simSub{channel: ask.channel, since: now}
		}
		l.subs[ask.channel].waits = l.subs[ask.channel].waits || ask.wait
	}
}

// step does one thing.
func (c *simClient) step() {
	l := c.link
	if l == nil || l.isDead() {
		if c.deaf {
			return
		}
		c.connect(c.w.storedOf(c.index))
		return
	}
	channel := c.w.channel(c.rng)
	switch r := c.rng.IntN(100); {
	case r < 18:
		wait := c.rng.IntN(4) == 0
		l.call("#subscribe", fmt.Sprintf(`{"channel":%q,"waitForAuth":%t}`, channel, wait), simAsk{what: "subscribe", channel: channel, wait: wait})
	case r < 20:
		l.mu.Lock()
		delete(l.subs, channel)
		l.mu.Unlock()
		l.call("#unsubscribe", quote(channel), simAsk{what: "unsubscribe", channel: channel})
		// The answers of subscriptions under way come first.
		c.pause(5 * time.Millisecond)
	case r < 40:
		for range 1 + c.rng.IntN(3) {
			c.k++
			data := fmt.Sprintf(`{"channel":%q,"data":{"n":%d,"p":%d,"k":%d}}`, channel, c.w.number(), 100*l.tap.number, c.k)
			if c.rng.IntN(2) == 0 {
				l.call("#publish", data, simAsk{what: "publish"})
			} else {
				l.transmit("#publish", data)
			}
		}
	case r < 60:
		count := 1
		if c.rng.IntN(3) == 0 {
			count = 12
		}
		name := pick(c.rng, "fast", "slow", "slow", "wide", "loop", "loop", "promote")
		if c.rng.IntN(30) == 0 {
			name = "never"
		}
		for range count {
			l.call(name, fmt.Sprintf(`{"n":%d}`, c.w.number()), simAsk{what: "call"})
		}
	case r < 68:
		name := pick(c.rng, "note", "told")
		for range 1 + c.rng.IntN(6) {
			l.transmit(name, fmt.Sprintf(`{"n":%d}`, c.w.number()))
		}
	case r < 76:
		claims, life := c.w.claims(c.rng)
		text, _ := json.Marshal(payload{N: c.w.number(), Claims: &claims, Life: life})
		l.call("login", string(text), simAsk{what: "call"})
	case r < 84:
		token := c.w.presented(c.rng)
		l.call("#authenticate", quote(token), simAsk{what: "authenticate", token: token})
	case r < 86:
		l.mu.Lock()
		now := c.w.now()
		l.logouts = append(l.logouts, now)
		l.become("", "itself")
		l.mu.Unlock()
		c.w.changed(l.tap.number, now, never)
		l.write(ws.NewTextFrame([]byte(`{"event":"#removeAuthToken"}`)))
	case r < 88:
		l.call("logout", fmt.Sprintf(`{"n":%d}`, c.w.number()), simAsk{what: "call"})
	case r < 94:
		l.sleep(time.Duration(c.rng.IntN(600)) * time.Millisecond)
	case r < 95 && c.index == 0:
		c.deaf = true
		l.mu.Lock()
		l.deaf = true
		l.mu.Unlock()
	case r < 97:
		token := c.w.storedOf(c.index)
		if c.rng.IntN(3) == 0 {
			token = c.w.presented(c.rng)
		}
		l.leave()
		c.connect(token)
	case r < 99: // to be handled when nobody is there any more
		name := pick(c.rng, "slow", "loop", "told")
		for range 1 + c.rng.IntN(25) {
			l.call(name, fmt.Sprintf(`{"n":%d}`, c.w.number()), simAsk{what: "call"})
		}
		l.write(ws.NewCloseFrame(ws.NewCloseFrameBody(1000, "")))
		l.mu.Lock()
		l.left = true
		l.mu.Unlock()
		c.pause(time.Duration(c.rng.IntN(50)) * time.Millisecond)
		c.connect(c.w.storedOf(c.index))
	}
}

func (c *simClient) pause(d time.Duration) {
	select {
	case <-time.After(d):
	case <-c.w.over:
	}
}

// run does things until the schedule is over.
func (c *simClient) run(steps int) {
	for range steps {
		select {
		case <-c.w.over:
			return
		default:
		}
		c.step()
		if d := delay(c.rng); d > 0 {
			c.pause(d)
		}
	}
}

// delay is the time between two steps.
func delay(rng *rand.Rand) time.Duration {
	switch rng.IntN(8) {
	case 0, 1:
		return 0
	case 2:
		return time.Duration(rng.IntN(2000))
	case 3, 4:
		return time.Duration(rng.IntN(3000)) * time.Microsecond
	case 5, 6:
		return time.Duration(rng.IntN(60)) * time.Millisecond
	}
	return time.Duration(rng.IntN(400)) * time.Millisecond
}

func pick[T any](rng *rand.Rand, from ...T) T { return from[rng.IntN(len(from))] }
