package simulation_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gobwas/ws"
	"pgregory.net/rapid"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/internal/sctest"
)

// actor is a client of an interleaving, as it knows itself from what it was
// told.
type actor struct {
	conn     *sctest.Conn
	outgoing chan ws.Frame
	writing  sync.Mutex

	socket  *socketcluster.Socket
	events  *eventModel
	left    bool // it has hung up, or been disconnected
	orderly bool // by its own close frame, behind everything else
	hangsUp bool // which is yet to be sent

	mu   sync.Mutex
	came []string // messages that have come and not been digested

	packets []string // to be sent
	names   []string // of the procedures and receivers of what was sent, by number; "" without any
	sent    []int    // the numbers of what middleware is to see, in order

	cid      int
	calls    map[int]sentCall // not answered
	answered map[string]int   // the last number, by procedure
	told     map[int]bool     // what its procedures have told it of calls

	subs     map[string]subscription
	joining  map[string]int  // subscribe calls without an answer
	leaving  map[string]int  // unsubscribe calls without an answer
	gone     map[string]int  // how often it has asked to be unsubscribed without a call
	loose    map[string]bool // until all is quiet, publications may still come, as it has just unsubscribed
	kicked   map[string]bool // until all is quiet, a #kickOut may be on its way
	epoch    map[string]int  // of each channel, higher after each possible end of a subscription
	token    string
	loggedIn bool             // its last login lasts
	heard    map[string][]int // publications by channel
	heardOf  map[int]bool     // the same
	lastFrom map[string]int   // by channel and publisher
}

// subscription is one as a client knows it.
type subscription struct{ waitForAuth bool }

// sentCall is a call, and what its answer means.
type sentCall struct {
	event, channel, token string
	n                     int
	waitForAuth           bool
	gone                  int // see actor
}

func newActor() *actor {
	return &actor{
		outgoing: make(chan ws.Frame, 4096), calls: map[int]sentCall{}, answered: map[string]int{}, told: map[int]bool{},
		subs: map[string]subscription{}, joining: map[string]int{}, leaving: map[string]int{}, gone: map[string]int{},
		loose: map[string]bool{}, kicked: map[string]bool{}, epoch: map[string]int{},
		heard: map[string][]int{}, heardOf: map[int]bool{}, lastFrom: map[string]int{},
	}
}

// writeAll writes what is to be sent, however long the server does not read.
func (c *actor) writeAll() {
	for f := range c.outgoing {
		c.write(f)
		if f.Header.OpCode == ws.OpClose {
			return
		}
	}
}

// write sends a frame; the connection may be gone.
func (c *actor) write(f ws.Frame) {
	c.writing.Lock()
	defer c.writing.Unlock()
	_ = c.conn.SendFrame(f)
}

// readAll keeps what comes until the connection ends, and answers calls and pings.
func (c *actor) readAll() {
	defer c.conn.Close()
	for {
		f, err := c.conn.ReadFrame()
		if err != nil {
			return
		}
		if f.Header.OpCode == ws.OpClose {
			c.write(f)
			return
		}
		if len(f.Payload) == 0 {
			c.outgoing <- f
			continue
		}
		for _, text := range packetsOf(string(f.Payload)) {
			var call struct {
				Event     string
				Data, CID int
			}
			if json.Unmarshal([]byte(text), &call) == nil && call.CID != 0 && call.Event == "ask" {
				c.outgoing <- ws.NewTextFrame(fmt.Appendf(nil, `{"rid":%d,"data":%d}`, call.CID, call.Data))
				continue
			}
			c.mu.Lock()
			c.came = append(c.came, text)
			c.mu.Unlock()
		}
	}
}

// packetsOf takes a batch apart.
func packetsOf(message string) []string {
	var batch []json.RawMessage
	if !strings.HasPrefix(message, "[") || json.Unmarshal([]byte(message), &batch) != nil {
		return []string{message}
	}
	var all []string
	for _, packet := range batch {
		all = append(all, string(packet))
	}
	return all
}

// flush sends the packets, as one message or each as its own.
func (c *actor) flush(batch bool) {
	packets := c.packets
	if batch && len(packets) > 0 {
		packets = []string{"[" + strings.Join(packets, ",") + "]"}
	}
	for _, p := range packets {
		c.outgoing <- ws.NewTextFrame([]byte(p))
	}
	c.packets = nil
	if c.hangsUp {
		c.hangsUp = false
		c.outgoing <- ws.NewCloseFrame(ws.NewCloseFrameBody(1000, ""))
	}
}

func (c *actor) transmit(event, data string) {
	c.packets = append(c.packets, fmt.Sprintf(`{"event":%q,"data":%s}`, event, data))
}

func (c *actor) call(event, data string, call sentCall) {
	c.cid++
	call.event = event
	c.calls[c.cid] = call
	c.packets = append(c.packets, fmt.Sprintf(`{"event":%q,"data":%s,"cid":%d}`, event, data, c.cid))
}

// owes notes that middleware is to see a number, and then who handles name.
func (c *actor) owes(n int, name string) {
	c.sent = append(c.sent, n)
	c.names = append(c.names, name)
}

// bump notes that a subscription may end, or have ended.
func (c *actor) bump(channels ...string) {
	for _, channel := range channels {
		c.epoch[channel]++
	}
}

// claims are those of the token that the client has, nil without one.
func (c *actor) claims() *claims {
	if c.token == "" {
		return nil
	}
	payload, _ := base64.RawURLEncoding.DecodeString(strings.Split(c.token, ".")[1])
	var cl claims
	if err := json.Unmarshal(payload, &cl); err != nil {
		panic(err)
	}
	return &cl
}

// packet is what a client is sent.
type packet struct {
	RID   *int
	Error *struct{ Name string }
	Event string
	Data  json.RawMessage
}

// digest goes through what the client, which has this index, was told. acked gets
// the numbers of its publications that the server has confirmed.
func (c *actor) digest(rt *rapid.T, i int, acked func(n int)) {
	c.mu.Lock()
	came := c.came
	c.came = nil
	c.mu.Unlock()
	for _, text := range came {
		rt.Logf("client %d has got %s", i, text)
		var m packet
		if err := json.Unmarshal([]byte(text), &m); err != nil {
			rt.Fatalf("got %q", text)
		}
		var data struct{ Channel, Token string }
		json.Unmarshal(m.Data, &data)
		switch {
		case m.RID != nil:
			call, ok := c.calls[*m.RID]
			if !ok {
				rt.Fatalf("an answer too many: %s", text)
			}
			delete(c.calls, *m.RID)
			c.answer(rt, call, m, text)
			if call.event == "#publish" && m.Error == nil {
				acked(call.n)
			}
		case m.Event == "#publish":
			c.hear(rt, m.Data, text)
		case m.Event == "#kickOut":
			if !c.expects(data.Channel) {
				rt.Fatalf("not subscribed: %s", text)
			}
			delete(c.subs, data.Channel)
			c.bump(data.Channel)
		case m.Event == "#setAuthToken":
			c.token = data.Token
			c.bump("p", "q")
		case m.Event == "#removeAuthToken":
			c.token = ""
			c.bump("p", "q")
		case m.Event == "told":
			var n int
			json.Unmarshal(m.Data, &n)
			c.told[n] = true
		default:
			rt.Fatalf("got %s", text)
		}
	}
}

// expects reports whether anything of a channel may come.
func (c *actor) expects(channel string) bool {
	_, ok := c.subs[channel]
	return ok || c.joining[channel] > 0 || c.loose[channel]
}

// answer takes the answer of a call.
func (c *actor) answer(rt *rapid.T, call sentCall, m packet, text string) {
	failed := ""
	if m.Error != nil {
		failed = m.Error.Name
	}
	switch call.event {
	case "#subscribe":
		c.joining[call.channel]--
		if failed == "" && c.gone[call.channel] == call.gone {
			c.subs[call.channel] = subscription{call.waitForAuth}
		}
	case "#unsubscribe":
		c.leaving[call.channel]--
		if _, ok := c.subs[call.channel]; ok != (failed == "") && c.gone[call.channel] == call.gone {
			rt.Fatalf("subscribed to %s: %t, and unsubscribing: %s", call.channel, ok, text)
		}
		if failed == "" {
			delete(c.subs, call.channel)
			c.bump(call.channel)
		}
	case "#publish":
		switch {
		case call.channel == "" && failed != "InvalidActionError", call.channel == "forbidden" && failed != "TestError":
			rt.Fatalf("a publication that must fail: %s", text)
		case call.channel != "" && call.channel != "forbidden" && failed != "":
			rt.Fatalf("a publication that must not fail: %s", text)
		}
	case "#authenticate", "#handshake":
		var data struct{ IsAuthenticated bool }
		json.Unmarshal(m.Data, &data)
		c.token = ""
		if failed == "" && data.IsAuthenticated {
			c.token = call.token
		}
		c.bump("p", "q")
	case "login":
		if failed != "" || string(m.Data) != quote(c.token) {
			rt.Fatalf("the client has the token %q at the answer of its login: %s", c.token, text)
		}
	default:
		if call.event == "asks" && c.left {
			break // it answers no more
		}
		if want := outcomes[call.event]; failed != want || want == "" && string(m.Data) != fmt.Sprint(call.n) {
			rt.Fatalf("%s %d, want %q: %s", call.event, call.n, want, text)
		}
		if tells(call.event) && !c.told[call.n] {
			rt.Fatalf("what was sent before the answer comes after it: %s", text)
		}
		if width(call.event) == 1 && call.n <= c.answered[call.event] {
			rt.Fatalf("%s %d was answered after %d", call.event, call.n, c.answered[call.event])
		}
		c.answered[call.event] = call.n
	}
}

// hear takes a publication.
func (c *actor) hear(rt *rapid.T, raw json.RawMessage, text string) {
	var data struct {
		Channel string
		Data    work
	}
	json.Unmarshal(raw, &data)
	if !c.expects(data.Channel) {
		rt.Fatalf("not subscribed: %s", text)
	}
	n := data.Data.N
	if key := data.Channel + " " + data.Data.From; n <= c.lastFrom[key] {
		rt.Fatalf("after publication %d: %s", c.lastFrom[key], text)
	} else {
		c.lastFrom[key] = n
	}
	c.heard[data.Channel] = append(c.heard[data.Channel], n)
	c.heardOf[n] = true
}

// witness reports whether the client is sure to get what is published on a
// channel from now on, and until when.
func (c *actor) witness(channel string, strict bool) (w witness, ok bool) {
	if _, ok := c.subs[channel]; !ok || c.left || c.leaving[channel] > 0 || c.kicked[channel] {
		return w, false
	}
	w = witness{client: c, epoch: c.epoch[channel], token: c.socket.AuthToken(), changes: ledgerOf(c.socket).changesSoFar(), steady: strict}
	if mayJoin(channel, nil) {
		return w, true
	}
	cl := c.claims()
	if !strict || !mayJoin(channel, cl) {
		return w, false
	}
	w.until = time.Unix(cl.Exp, 0)
	return w, true
}

// witness is a client that a publication must reach, unless its subscription
// ends before the publication is confirmed.
type witness struct {
	client  *actor
	epoch   int
	until   time.Time   // zero: forever
	token   *auth.Token // of the socket at the time
	changes int         // of the token by then
	steady  bool        // nothing was changing its token
}

func (w witness) holds(channel string) bool {
	return !w.client.left && w.client.epoch[channel] == w.epoch && (w.until.IsZero() || time.Now().Before(w.until))
}

// common returns those of a that are also in b, in the order of a.
func common(a, b []int) []int {
	return slices.DeleteFunc(slices.Clone(a), func(n int) bool { return !slices.Contains(b, n) })
}
