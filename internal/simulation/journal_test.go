package simulation_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"math/rand/v2"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/auth/revoke"
	"github.com/socketcluster-go/socketcluster/broker/mem"
)

// journal is what a simulated world saw happen, in one order. It is written
// from outside of the server only: by middleware, handlers, the broker, the
// engine, the connections and those who call the server.
type journal struct {
	began time.Time
	seq   atomic.Int64

	mu        sync.Mutex
	tokens    map[*auth.Token]*simToken
	signed    map[string]*auth.Token // by text, of those that the engine has signed
	texts     map[string]*simToken   // by text, as it was first seen
	logins    map[int]bool           // numbers of logins that have begun
	first     map[int]*auth.Token    // the first token of a login that the server has signed
	facts     []fact
	verdicts  []verdict
	starts    []start
	pubs      map[int]*simPub
	resigned  []resigned
	revokes   []revoked
	updates   []updated
	rotations []rotated
	changes   []change
	kicks     []kick // by the server
	taps      []*tapConn
	rest      stamp // nothing was going on any more
}

func newJournal() *journal {
	return &journal{
		began: time.Now(), tokens: make(map[*auth.Token]*simToken), signed: make(map[string]*auth.Token), texts: make(map[string]*simToken),
		logins: make(map[int]bool), first: make(map[int]*auth.Token), pubs: make(map[int]*simPub),
	}
}

// stamp is a place in the order, and the time of the bubble. The time moves only
// when all goroutines wait: what somebody was about to do at a time has been
// done when it is later.
type stamp struct {
	seq int64
	at  time.Duration
}

func (s stamp) before(o stamp) bool { return s.seq < o.seq }

// wellBefore tells that what was under way at s was over at o.
func (s stamp) wellBefore(o stamp) bool { return s.seq < o.seq && s.at < o.at }

func (s stamp) String() string { return fmt.Sprintf("%d@%v", s.seq, s.at) }

func (j *journal) now() stamp { return stamp{j.seq.Add(1), time.Since(j.began)} }

// never is later than everything.
var never = stamp{1 << 62, 1 << 62}

// simClaims are those of all tokens.
type simClaims struct {
	Login    int      `json:"login"`
	Subject  string   `json:"sub"`
	Session  string   `json:"sid"`
	Channels []string `json:"channels"`
	Blocked  bool     `json:"blocked,omitempty"` // by Authenticate middleware
	Expires  float64  `json:"exp,omitempty"`
	Issuer   string   `json:"iss,omitempty"`
}

// simToken is what is known of a token that the engine has signed or verified.
// A socket never gets the same *auth.Token twice.
type simToken struct {
	claims simClaims
	born   stamp
	conn   int  // for whom it was verified, 0 if signed
	own    bool // signed by this server, or by somebody who has stolen its key
	update int  // the number of the UpdateClaims that has made it
}

// fact is that the token of a socket was this one at some moment between two
// others.
type fact struct {
	conn       int
	token      *auth.Token
	begin, end stamp
	how        string
	looked     bool // somebody has seen it
	decision   bool // it was decided in this time by the server
}

// verdict is what inbound middleware has decided, by the token that the socket
// had when it was asked.
type verdict struct {
	conn       int
	kind       string
	channel    string // of subscriptions
	n          int    // of all else
	token      *auth.Token
	called     stamp
	begin, end stamp // from when it had the token
	allow      bool
}

// start is that of a handler.
type start struct {
	conn  int
	n     int
	how   string
	begin stamp
}

// simPub is a publication as the broker got it.
type simPub struct {
	n, publisher, k int
	channel         string
	at              stamp // when the broker was asked
	ok              bool  // it went through
}

// resigned is that claims of a token were signed once more.
type resigned struct {
	login   int
	token   *auth.Token
	handler bool // by SetAuthTokenIf
	begin   stamp
}

type revoked struct {
	what       revoke.Revocation
	begin, end stamp
}

// promoteKey is in the context of SetAuthTokenIf.
type promoteKey struct{}

// updateKey is that of the number of an UpdateClaims in its context.
type updateKey struct{}

type updated struct {
	number     int
	subject    string
	begin, end stamp
}

type rotated struct {
	key        string // that is good no more
	begin, end stamp
}

// change is that somebody has set about to change the token of a socket.
type change struct {
	conn       int
	begin, end stamp
}

// kick is that a socket is kicked out of a channel.
type kick struct {
	conn    int
	channel string
	at      stamp
}

func (j *journal) note(f func()) {
	j.mu.Lock()
	defer j.mu.Unlock()
	f()
}

// look reads the token of a socket.
func (j *journal) look(s *socketcluster.Socket, how string) *auth.Token {
	begin := j.now()
	token := s.AuthToken()
	j.fact(s, token, begin, how)
	return token
}

func (j *journal) fact(s *socketcluster.Socket, token *auth.Token, begin stamp, how string) {
	f := fact{conn: connOf(s), token: token, begin: begin, end: j.now(), how: how, looked: true}
	j.note(func() { j.facts = append(j.facts, f) })
}

// connOf is the number of a socket's connection.
func connOf(s *socketcluster.Socket) int { return s.RemoteAddr().(*net.TCPAddr).Port }

// edge is where the world gives others a chance: it mostly does nothing.
type edge struct {
	mu  sync.Mutex
	rng *rand.Rand
}

func (e *edge) intn(n int) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.rng.IntN(n)
}

func (e *edge) pass() {
	switch r := e.intn(64); {
	case r < 16:
		runtime.Gosched()
	case r < 20:
		time.Sleep(time.Duration(1 + e.intn(1000)))
	case r < 21:
		time.Sleep(time.Duration(e.intn(3)) * time.Millisecond)
	}
}

// tapConn is the server's end of a connection. It notes when each Write began.
type tapConn struct {
	net.Conn
	w      *simWorld
	number int

	mu     sync.Mutex
	writes []tapWrite
	data   []byte
}

type tapWrite struct {
	from  int // where its bytes begin
	begin stamp
}

// Polled has the messages of every other schedule handled where they are read.
func (c *tapConn) Polled() bool { return c.w.seed%2 == 0 }

func (c *tapConn) RemoteAddr() net.Addr {
	return &net.TCPAddr{IP: net.IPv4(10, 0, 0, 1), Port: c.number}
}

func (c *tapConn) Write(p []byte) (int, error) {
	begin := c.w.now()
	c.w.edge.pass()
	n, err := c.Conn.Write(p)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.writes = append(c.writes, tapWrite{len(c.data), begin})
	c.data = append(c.data, p[:n]...)
	return n, err
}

func (c *tapConn) Read(p []byte) (int, error) {
	c.w.edge.pass()
	return c.Conn.Read(p)
}

// CloseWrite ends the direction to the client.
func (c *tapConn) CloseWrite() error { return c.Conn.(interface{ CloseWrite() error }).CloseWrite() }

// simEngine notes what is signed and verified.
type simEngine struct {
	*auth.JWT
	w *simWorld
}

func (e simEngine) Sign(ctx context.Context, claims any, opts ...auth.SignOption) (*auth.Token, error) {
	text, err := json.Marshal(claims)
	if err != nil {
		return nil, err
	}
	var c simClaims
	if err := json.Unmarshal(text, &c); err != nil {
		return nil, err
	}
	begin := e.w.now()
	e.w.edge.pass()
	token, err := e.JWT.Sign(ctx, claims, opts...)
	if err != nil {
		return nil, err
	}
	born := e.w.now()
	e.w.note(func() {
		again := e.w.logins[c.Login]
		e.w.logins[c.Login] = true
		if again {
			e.w.resigned = append(e.w.resigned, resigned{c.Login, token, ctx.Value(promoteKey{}) != nil, begin})
		} else {
			e.w.first[c.Login] = token
		}
		update, _ := ctx.Value(updateKey{}).(int)
		e.w.know(token, &simToken{claims: claimsOf(token), born: born, own: true, update: update})
		e.w.signed[token.Signed()] = token
	})
	e.w.edge.pass()
	return token, nil
}

func (e simEngine) Verify(ctx context.Context, signed string, opts ...auth.VerifyOption) (*auth.Token, error) {
	e.w.edge.pass()
	token, err := e.JWT.Verify(ctx, signed, opts...)
	if err != nil {
		return nil, err
	}
	known := &simToken{claims: claimsOf(token), own: token.KeyID() != foreignKey, born: e.w.now()}
	if s := socketcluster.FromContext(ctx); s != nil {
		known.conn = connOf(s)
	}
	e.w.note(func() { e.w.know(token, known) })
	runtime.Gosched() // no time passes: the key was good now
	return token, nil
}

// know keeps what is known of a token. mu must be held.
func (j *journal) know(token *auth.Token, known *simToken) {
	j.tokens[token] = known
	if j.texts[token.Signed()] == nil {
		j.texts[token.Signed()] = known
	}
}

func mustPayload(data json.RawMessage) (d payload) {
	if err := json.Unmarshal(data, &d); err != nil {
		panic(err)
	}
	return d
}

func claimsOf(token *auth.Token) (c simClaims) {
	if err := token.Claims(&c); err != nil {
		panic(err)
	}
	return c
}

// simStore takes its time to answer.
type simStore struct {
	revoke.Memory
	w *simWorld
}

// Check implements revoke.Store.
func (s *simStore) Check(token *auth.Token) (revoke.Revocation, bool) {
	r, revoked := s.Memory.Check(token)
	if s.w.edge.intn(4) == 0 {
		s.w.doze(3 * time.Millisecond)
	}
	return r, revoked
}

// simBroker notes what is published.
type simBroker struct {
	mem.Broker
	w *simWorld
}

// payload is the data of a publication, and of a call: n is its number.
type payload struct {
	N         int    `json:"n"`
	Publisher int    `json:"p,omitempty"`
	K         int    `json:"k,omitempty"` // the publisher's count
	Pad       string `json:"pad,omitempty"`

	Claims *simClaims `json:"claims,omitempty"` // of a login
	Life   int        `json:"life,omitempty"`   // of its token, in milliseconds
}

// Publish implements broker.Broker.
func (b *simBroker) Publish(ctx context.Context, channel string, data []byte) error {
	var d payload
	if err := json.Unmarshal(data, &d); err != nil {
		return err
	}
	pub := &simPub{n: d.N, publisher: d.Publisher, k: d.K, channel: channel, at: b.w.now()}
	b.w.note(func() { b.w.pubs[d.N] = pub })
	b.w.edge.pass()
	err := b.Broker.Publish(ctx, channel, data)
	b.w.note(func() { pub.ok = err == nil })
	return err
}
