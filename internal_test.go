package socketcluster

import (
	"context"
	"fmt"
	"math"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/google/go-cmp/cmp"

	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/internal/account"
	"github.com/socketcluster-go/socketcluster/internal/outbox"
	"github.com/socketcluster-go/socketcluster/wire"
)

// The defaults are part of what operators rely on: docs/OPERATIONS.md lists them.
func TestDefaultLimits(t *testing.T) {
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(-1))
	want := Limits{
		PendingHandshakes:    10_000,
		MessageSize:          1 << 20,
		HandshakeMessageSize: 64 << 10,
		Fragments:            4096,
		BatchSize:            5000,
		Depth:                1000,
		Channels:             1000,
		ChannelName:          1024,
		SubscriptionData:     16 << 10,
		TokenSize:            16 << 10,
		Inbox:                256,
		InboxBytes:           4 << 20,
		Calls:                256,
		Outbox:               2 << 20,
		OutboxDrain:          30 * time.Second,
		OutboxStall:          10 * time.Second,
		CallRate:             10_000,
		PublishRate:          10_000,
		SubscribeRate:        1000,
		AuthenticateRate:     10,
		ErrorText:            256,
	}
	for _, test := range []struct {
		memory                          int64 // limit of the process
		budget, connections, perAddress int
	}{
		{math.MaxInt64, 512 << 20, 65_536, 10_000},
		{256 << 20, 64 << 20, 8192, 2048},
		{64 << 30, 16 << 30, 250_000, 10_000},
		{1, 1, 1, 1},
	} {
		debug.SetMemoryLimit(test.memory)
		cfg, err := Config{}.withDefaults()
		if err != nil {
			t.Fatal(err)
		}
		want.Budget, want.Connections, want.ConnectionsPerAddress = test.budget, test.connections, test.perAddress
		if diff := cmp.Diff(want, cfg.Limits); diff != "" {
			t.Errorf("with a memory limit of %d: %s", test.memory, diff)
		}
	}
	debug.SetMemoryLimit(math.MaxInt64)
	larger := Limits{MessageSize: 3 << 20, Connections: 100}
	if err := larger.setDefaults(); err != nil || larger.Outbox != 6<<20 || larger.ConnectionsPerAddress != 25 {
		t.Errorf("%+v, %v", larger, err)
	}
}

// All shares fit into the budget, so that those within theirs, who are never
// closed, do not fill it.
func TestSharesFitIntoTheBudget(t *testing.T) {
	for _, l := range []Limits{{}, {Budget: 64 << 20}, {Budget: 64 << 20, Connections: 250_000}, {Budget: 100_000, Connections: 3}} {
		srv, err := New(Config{Auth: auth.Options{Key: "a key of this test that is long enough for anybody"}, Limits: l})
		if err != nil {
			t.Fatal(err)
		}
		l = srv.cfg.Limits
		for _, n := range []int{1, 2, l.Connections/2 + 1, l.Connections} {
			for taken, _ := srv.places.Count(); taken < n; taken++ {
				srv.places.Take(netip.Addr{})
				srv.places.Settle()
			}
			for _, left := range []int{0, l.Budget / 2, l.Budget} {
				orphaned := int64(left) - srv.budget.Orphaned()
				var ledger account.Ledger
				ledger.Init(srv.budget.Shard(0))
				ledger.Add(account.Handlers, int(orphaned))
				ledger.Close()
				if share := srv.share(); share < 1 || share*int64(n) > int64(l.Budget) {
					t.Errorf("%d of %d connections, %d of %d bytes left behind: a share of %d", n, l.Connections, left, l.Budget, share)
				}
			}
		}
		srv.Close()
	}
}

// writes is a connection that notes how many frames it was given.
type writes chan int

func (w writes) WriteFrames(frames [][]byte, _ time.Duration) (n int, err error) {
	w <- len(frames)
	for _, f := range frames {
		n += len(f)
	}
	return n, nil
}

func (w writes) AwaitWrite(time.Duration) error { return nil }
func (w writes) Prompt() bool                   { return true }

// lonePeer is the peer of a socket without a connection.
type lonePeer struct {
	outbox.Owner
	writes
}

// lone is an open socket without a connection, at the beginning of the server's
// clock.
func lone(t testing.TB, cfg Config) (*Socket, writes) {
	t.Helper()
	cfg.Auth.Key = "a key of this test that is long enough for anybody"
	srv, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return another(srv)
}

// another adds an open socket without a connection to a server.
func another(srv *Server) (*Socket, writes) {
	s := &Socket{srv: srv, url: &srv.cfg.Path, id: newSocketID(), version: wire.Version2, state: Open}
	w := make(writes, 100)
	s.out.Init(lonePeer{(*outboxPeer)(s), w}, &srv.outbox, srv.budget.Shard(0))
	s.nextPing = srv.moment(srv.epoch).add(srv.cfg.Timeouts.PingInterval)
	srv.mu.Lock()
	srv.sockets[s.id] = s
	srv.open++
	srv.mu.Unlock()
	return s, w
}

// A socket whose lock somebody holds does not delay the timers of others.
func TestExpireDoesNotWaitForASocket(t *testing.T) {
	s, w := lone(t, Config{})
	defer s.srv.wheel.Close()
	now := s.srv.epoch.Add(10 * time.Second)
	s.mu.Lock()
	(*wheelTask)(s).Expire(now) // would hang
	if len(w) > 0 {
		t.Error("a ping was sent while the socket was locked")
	}
	// Everything that was due is done when the lock is free.
	s.nextPing = 1
	s.mu.Unlock()
	<-w
}

// PP-3: a client to which the server was late to send a ping is not closed before
// it has had the time to answer that.
func TestLatePingIsNotTheClientsFault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, w := lone(t, Config{Timeouts: Timeouts{PingInterval: 8 * time.Second, Ping: 30 * time.Second}})
		defer s.srv.wheel.Close()
		expire := func(at time.Duration) (pings int, closed bool) {
			s.mu.Lock()
			s.expireLocked(s.srv.epoch.Add(at))
			s.mu.Unlock()
			synctest.Wait()
			for len(w) > 0 {
				pings += <-w
			}
			return pings, s.State() == Closed
		}
		for _, step := range []struct {
			at     time.Duration
			seen   bool // the client, at that time
			pings  int
			closed bool
		}{
			{at: 40 * time.Second, pings: 1},                       // 32 seconds late
			{at: 48 * time.Second, pings: 1},                       // the client is silent
			{at: 61 * time.Second, pings: 1},                       // 21 seconds after the first one
			{at: 61500 * time.Millisecond, seen: true},             // it answers
			{at: 69 * time.Second, pings: 1},                       // in time
			{at: 91 * time.Second, pings: 1},                       // 22 seconds after that, and 29.5 after the answer
			{at: 91500 * time.Millisecond, pings: 1, closed: true}, // the close frame
		} {
			if step.seen {
				s.seen(s.srv.epoch.Add(step.at))
			}
			if pings, closed := expire(step.at); pings != step.pings || closed != step.closed {
				t.Fatalf("after %v: %d frames, closed: %v", step.at, pings, closed)
			}
		}
	})
}

// A time that is as long as can be is never over.
func TestLongestTimes(t *testing.T) {
	s, w := lone(t, Config{Timeouts: Timeouts{PingDisabled: true, Handshake: math.MaxInt64}})
	defer s.srv.wheel.Close()
	now := s.srv.epoch.Add(time.Hour)
	s.state = Connecting
	s.deadline = s.srv.moment(now).add(s.srv.cfg.Timeouts.Handshake)
	(*wheelTask)(s).Expire(now)
	if s.deadline != math.MaxInt64 || len(w) > 0 || s.State() != Connecting {
		t.Errorf("the deadline is %d, %d sent, %v", s.deadline, len(w), s.State())
	}
}

// tokenUntil is a token with that exp.
func tokenUntil(t *testing.T, exp time.Time) *auth.Token {
	t.Helper()
	token, err := auth.NewToken("", fmt.Appendf(nil, `{"exp":%d}`, exp.Unix()))
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// Each change of the token begins an epoch that no subscription has as a lost one,
// and ends the renewal of the token before.
func TestTokenChange(t *testing.T) {
	a, b := tokenUntil(t, time.Now().Add(time.Hour)), tokenUntil(t, time.Now().Add(time.Hour))
	var l tokenLife
	l.epoch.Store(lostEpoch - 3)
	for i, step := range []struct {
		token *auth.Token
		from  origin
		epoch uint32
	}{
		{nil, fromClient, lostEpoch - 3},
		{a, fromRequest, lostEpoch - 2},
		{a, fromPrincipal, lostEpoch - 2}, // the same one
		{nil, fromClient, lostEpoch - 1},
		{b, fromRequest, 0},
		{a, fromClient, 1},
	} {
		before := l.epoch.Load()
		l.renewAt(1)
		if changed := l.set(step.token, step.from); changed != (step.epoch != before) {
			t.Errorf("step %d: changed is %t", i, changed)
		}
		if l.Load() != step.token || l.origin != step.from || l.epoch.Load() != step.epoch || l.renewal != 0 {
			t.Errorf("step %d: token %v of origin %d in epoch %d, to be renewed at %d", i, l.Load(), l.origin, l.epoch.Load(), l.renewal)
		}
		if !l.inForce(step.epoch) || !l.inForceAt(step.epoch, 1) {
			t.Errorf("step %d: its own epoch is not in force", i)
		}
		if step.epoch != before && (l.inForce(before) || l.inForceAt(before, 1)) {
			t.Errorf("step %d: the epoch before is in force", i)
		}
	}
}

// Whoever reads the epoch and then the token has the token of that epoch or a later one:
// what middleware allows for an old token is not taken for an approval of the new one.
func TestTokenChangesBeforeItsEpoch(t *testing.T) {
	const changes = 2_000
	index := make(map[*auth.Token]uint32, changes)
	tokens := make([]*auth.Token, changes)
	for i := range tokens {
		tokens[i] = new(auth.Token)
		index[tokens[i]] = uint32(i + 1)
	}
	for range 200 {
		var l tokenLife
		go func() {
			for _, token := range tokens {
				l.set(token, fromClient)
			}
		}()
		for epoch := uint32(0); epoch < changes; {
			epoch = l.epoch.Load()
			if token := index[l.Load()]; token < epoch {
				t.Fatalf("token %d in epoch %d", token, epoch)
			}
		}
	}
}

// The end of a token and its renewal are due once each, the end first; and the end
// follows the wall clock when that is set.
func TestTokenDue(t *testing.T) {
	const second = moment(time.Second)
	end := time.Unix(2_000_000_000, 0)
	token := tokenUntil(t, end)
	var l tokenLife
	if at := l.next(end, 100*second); at != 0 {
		t.Errorf("without a token something is due at %d", at)
	}
	l.set(token, fromClient)
	for _, left := range []time.Duration{9 * time.Second, 5 * time.Second, 7 * time.Second} {
		want := 100*second + moment(left+time.Millisecond)
		if at := l.next(end.Add(-left), 100*second); at != want || l.inForceAt(1, want) || !l.inForceAt(1, want-1) {
			t.Errorf("%v before its end the token ends at %d, want %d", left, at, want)
		}
	}
	l.renewAt(103 * second)
	if at := l.next(end.Add(-7*time.Second), 100*second); at != 103*second {
		t.Errorf("the renewal is due at %d", at)
	}
	now := end.Add(-4 * time.Second)
	if expired, renew := l.due(now, 103*second-1); expired != nil || renew {
		t.Error("something is due early")
	}
	if expired, renew := l.due(now, 103*second); expired != nil || !renew {
		t.Error("the renewal is not due")
	}
	if expired, renew := l.due(now, 104*second); expired != nil || renew {
		t.Error("the renewal is due twice")
	}
	l.renewAt(103 * second)
	if expired, renew := l.due(end.Add(time.Second), 108*second); expired != token || renew {
		t.Error("an expired token is not due, or is to be renewed")
	}
	if l.set(tokenUntil(t, time.Now().Add(-time.Second)), fromClient); l.inForce(l.epoch.Load()) {
		t.Error("what an expired token allowed is in force")
	}
	l.set(token, fromClient)
	if at := l.next(end, 107*second); at != 107*second+moment(time.Millisecond) {
		t.Errorf("after the end of its token the renewal is still due, at %d", at)
	}
}

// A socket that has closed renews no token: its timer would keep it in memory.
func TestClosedSocketRenewsNothing(t *testing.T) {
	s, _ := lone(t, Config{})
	defer s.srv.wheel.Close()
	s.mu.Lock()
	s.token.renewAt(s.srv.moment(time.Now().Add(time.Hour)))
	s.mu.Unlock()
	s.becomeClosed()
	if at := s.token.next(time.Now(), s.srv.moment(time.Now())); at != 0 {
		t.Errorf("the renewal is due at %d", at)
	}
}

// Nothing but token_life.go writes what a tokenLife holds.
func TestTokenHasOneWriter(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	write := regexp.MustCompile(`\.token\.(\w+(, [^=]+)? [-+|]?= |\w+\.(Store|Swap|CompareAndSwap|Add)\(|set\(|announce\()|&\w+\.token\b`)
	seen := 0
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			switch {
			case strings.HasSuffix(name, "_test.go") || !write.MatchString(line):
			case name == "token_life.go":
				seen++
			default:
				t.Errorf("%s: %s", name, line)
			}
		}
	}
	if seen == 0 {
		t.Error("no writer was found")
	}
}

// 480 bytes are a size class of Go's memory. What only some sockets need is in the
// extension.
func TestSocketIsSmall(t *testing.T) {
	if size := unsafe.Sizeof(Socket{}); size > 480 {
		t.Errorf("a Socket has %d bytes", size)
	}
}

// A text that is not that of an ID finds no socket.
func TestSocketIDText(t *testing.T) {
	id := newSocketID()
	text := id.String()
	if got, ok := parseSocketID(text); !ok || got != id {
		t.Errorf("%q is read as %v, %v", text, got, ok)
	}
	for _, other := range []string{"", text[1:], text + "A", text[1:] + "\n", text[2:] + "\r\n", "=" + text[1:], "é" + text[2:]} {
		if id, ok := parseSocketID(other); ok {
			t.Errorf("%q is read as %v", other, id)
		}
	}
}

// Calls are not passed through middleware of other actions, nor prepared for it.
func TestMiddlewareSeesItsActions(t *testing.T) {
	var m middlewares
	all := func(context.Context, Action) error { return nil }
	invoke, publish := (*Invoke)(nil).Type(), (*PublishIn)(nil).Type()
	m[lineInbound].Add(decider{all, publish})
	if m.sees(lineInbound, invoke) || !m.sees(lineInbound, publish) || m.sees(lineOutbound, publish) {
		t.Error("middleware of publications sees other actions, or not its own")
	}
	remove := m.use(lineInbound, []Middleware{all})
	if !m.sees(lineInbound, invoke) {
		t.Error("middleware of all actions does not see a call")
	}
	remove()
	if m.sees(lineInbound, invoke) {
		t.Error("removed middleware sees a call")
	}
}
