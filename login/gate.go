package login

import (
	"context"
	"errors"
	"hash/maphash"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/socketcluster-go/socketcluster"
)

// An Attempt describes an attempt to log in, before the password has been
// checked. Set Socket or Request, whichever it came by.
type Attempt struct {
	User    string // the name as the user typed it
	Socket  *socketcluster.Socket
	Request *http.Request
}

// A Gate limits attempts to log in to a server.
type Gate struct {
	srv   *socketcluster.Server
	keys  keyer
	start time.Time // times in tables are relative to this

	mu       sync.Mutex
	limits   [numLimits]*table
	reported *table // the buckets that an event has reported
	known    known
	atOnce   atOnce
}

// limit is a kind of bucket.
type limit int

const (
	perSocket limit = iota
	perAddress
	perNetwork
	perUserAndAddress
	perUser
	numLimits
)

// String names the origin of too many attempts, for the event.
func (l limit) String() string {
	return [...]string{"socket", "address", "network", "user from this address", "user"}[l]
}

// reportEvery is the minimum time between two events for one bucket that
// refuses.
const reportEvery = time.Minute

// maxEventName is the maximum length of a name in an event, in bytes.
const maxEventName = 128

// New makes a gate for a server. The error names the field of o that cannot be
// used, or reports that srv is nil.
func New(srv *socketcluster.Server, o Options) (*Gate, error) {
	if srv == nil {
		return nil, errors.New("login: New needs a server, but got nil")
	}
	if err := o.setDefaults(); err != nil {
		return nil, err
	}
	return newGate(srv, o, maxBuckets), nil
}

func newGate(srv *socketcluster.Server, o Options, buckets int) *Gate {
	return &Gate{
		srv:   srv,
		keys:  keyer{maphash.MakeSeed()},
		start: time.Now(),
		limits: [numLimits]*table{
			perSocket:         newTable(o.PerSocket, buckets),
			perAddress:        newTable(o.PerAddress, buckets),
			perNetwork:        newTable(o.PerNetwork, buckets),
			perUserAndAddress: newTable(o.PerUserAndAddress, buckets),
			perUser:           newTable(o.PerUser, buckets),
		},
		reported: newTable(Rate{1, reportEvery}, buckets),
		known:    newKnown(buckets),
		atOnce:   newAtOnce(o.PerUserAndAddress.Attempts),
	}
}

// A Success is the outcome of an attempt that succeeded.
type Success[T any] struct {
	Result T // of the check

	// LoginTime is the moment before the check began. Sign it by auth.AuthTime:
	// a revocation of the user compares it, so a login with an old password
	// does not escape the revocation that comes with the new one.
	LoginTime time.Time
}

// Do calls check, unless there were too many attempts, and returns its result
// with the time of the login. [ErrInvalidCredentials] becomes [ErrLogin]. Other
// errors stay as they are; clients see only a *[wire.Error].
//
// Every error counts as a failure, including that of a context that has ended.
// So does a panic. A name that contains U+FFFD fails without a check, because
// several different names in JavaScript may have become this one. Do panics if
// g or check is nil.
func Do[T any](ctx context.Context, g *Gate, a Attempt, check func(context.Context) (T, error)) (Success[T], error) {
	if g == nil {
		panic("login: Do needs a gate, but got nil; was the error of New checked?")
	}
	if check == nil {
		panic("login: Do needs a check, but got nil")
	}
	t := g.ticket(a)
	if err := g.enter(&t); err != nil {
		return Success[T]{}, err
	}
	defer g.exit(&t)
	if strings.ContainsRune(a.User, utf8.RuneError) { // replaces lone surrogates, and bytes that are not UTF-8
		return Success[T]{}, g.leave(&t, ErrInvalidCredentials)
	}
	at := time.Now()
	result, err := check(ctx)
	if err := g.leave(&t, err); err != nil {
		return Success[T]{}, err
	}
	return Success[T]{result, at}, nil
}

// ticket is an attempt with the keys under which it is counted.
type ticket struct {
	Attempt
	addr   netip.Addr
	keys   [numLimits]uint64
	counts [numLimits]bool
	known  bool // the user has logged in from this address before
}

func (g *Gate) ticket(a Attempt) ticket {
	t := ticket{Attempt: a}
	switch {
	case a.Socket != nil:
		t.addr = a.Socket.ClientAddr()
		t.keys[perSocket], t.counts[perSocket] = g.keys.socket(a.Socket.ID()), true
	case a.Request != nil:
		t.addr = g.srv.ClientAddr(a.Request)
	}
	t.keys[perAddress], t.counts[perAddress] = g.keys.address(t.addr), t.addr.IsValid()
	t.keys[perNetwork], t.counts[perNetwork] = g.keys.network(t.addr)
	t.keys[perUserAndAddress], t.counts[perUserAndAddress] = g.keys.user(a.User, t.addr), true
	t.keys[perUser], t.counts[perUser] = g.keys.user(a.User, netip.Addr{}), true
	return t
}

// enter takes a token from each bucket, or from none.
func (g *Gate) enter(t *ticket) error {
	wait, by, report := g.take(t)
	if wait == 0 {
		return nil
	}
	if report {
		g.audit(t, socketcluster.AuditLoginLimited, "too many attempts by this "+by.String())
	}
	return rateError(wait)
}

// take returns how long to wait if a bucket is empty; of several, it considers
// the one that takes longest.
func (g *Gate) take(t *ticket) (wait time.Duration, by limit, report bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Since(g.start)
	if t.addr.IsValid() && g.known.has(t.keys[perUser], t.keys[perUserAndAddress]) {
		t.known = true
		t.counts[perNetwork], t.counts[perUser] = false, false
	}
	for l := range numLimits {
		if t.counts[l] {
			if d := g.limits[l].wait(t.keys[l], now); d > wait {
				wait, by = d, l
			}
		}
	}
	if wait == 0 && !g.atOnce.enter(t.keys[perUser], t.known) {
		wait, by = crowdedFor, perUser
	}
	if wait == 0 {
		for l := range numLimits {
			if t.counts[l] {
				g.limits[l].take(t.keys[l], now)
			}
		}
		return 0, 0, false
	}
	key := t.keys[by] ^ uint64(by) // because two kinds of bucket may have the same key
	if report = g.reported.wait(key, now) == 0; report {
		g.reported.take(key, now)
	}
	return wait, by, report
}

// exit ends a check, whatever its outcome.
func (g *Gate) exit(t *ticket) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.atOnce.exit(t.keys[perUser], t.known)
}

// leave handles the outcome of a check.
func (g *Gate) leave(t *ticket, err error) error {
	switch {
	case err == nil:
		g.succeeded(t)
		if t.Socket == nil {
			g.audit(t, socketcluster.AuditLogin, "")
		}
		return nil
	case errors.Is(err, ErrInvalidCredentials):
		g.audit(t, socketcluster.AuditLoginFailed, "invalid credentials")
		return ErrLogin
	default:
		g.audit(t, socketcluster.AuditLoginFailed, "the credentials could not be checked")
		return err
	}
}

// succeeded gives the tokens back.
func (g *Gate) succeeded(t *ticket) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Since(g.start)
	for l := range numLimits {
		if t.counts[l] {
			g.limits[l].giveBack(t.keys[l], now)
		}
	}
	if t.addr.IsValid() {
		g.known.add(t.keys[perUser], t.keys[perUserAndAddress])
	}
}

func (g *Gate) audit(t *ticket, kind socketcluster.AuditKind, reason string) {
	name := t.User
	if len(name) > maxEventName {
		name = strings.ToValidUTF8(name[:maxEventName], "")
	}
	g.srv.Audit(socketcluster.AuditEvent{Kind: kind, Socket: t.Socket, Address: t.addr, User: name, Reason: reason})
}
