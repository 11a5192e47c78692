package socketcluster

import (
	"hash/maphash"
	"iter"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/internal/claimscan"
)

// maxIndexedClaims bounds the memory of the index, and what a new token costs. The claims of
// users are a few. Those of revocations have their places besides.
const maxIndexedClaims = 8

// ClientsWith yields the clients whose token has a value, a text or a whole number, in a
// claim: those of a user or of a session, for example. It looks for them when the iteration
// begins.
//
// The first look for a claim is at all clients, and makes an index, which takes 30 to
// 150 bytes a client. The claims jti, sid and sub, and the first 8 others have one. For more,
// each call looks at all clients.
func (srv *Server) ClientsWith(claim, value string) iter.Seq[*Socket] {
	return func(yield func(*Socket) bool) {
		for _, s := range srv.socketsWith(claim, value) {
			if token := s.AuthToken(); token == nil || !hasClaim(token, claim, value) {
				continue
			}
			if s.State() == Open && !yield(s) {
				return
			}
		}
	}
}

// originsWith is socketsWith, plus closedOrigins.
func (srv *Server) originsWith(claim, value string) []*Socket {
	all := srv.socketsWith(claim, value)
	found := make(map[*Socket]struct{}, len(all))
	for _, s := range all {
		found[s] = struct{}{}
	}
	// These come afterwards: a socket that closes is one of them before it leaves the index.
	for _, s := range srv.closedOrigins() {
		if _, twice := found[s]; !twice {
			all = append(all, s)
		}
	}
	return all
}

// socketsWith returns the sockets that are not closed and may have a value in a claim of their
// tokens: all that have it, and some others. Whoever was about to set a token when it was
// called has finished, or holds the mu of a socket that is among them; see lockUnlessRevoked.
func (srv *Server) socketsWith(claim, value string) []*Socket {
	x := srv.claims.of(claim)
	if x == nil {
		return srv.snapshot()
	}
	x.built.Do(func() {
		for _, s := range srv.snapshot() {
			s.mu.Lock()
			if s.state != Closed {
				srv.claims.add(x, s)
			}
			s.mu.Unlock()
		}
	})
	for _, s := range srv.claims.unsettled() {
		s.mu.Lock() // as soon as its token is set, or is not
		srv.claims.settle(s)
		s.mu.Unlock()
	}
	return srv.claims.find(x, value)
}

// claimIndex finds the sockets that are not closed by claims of their tokens. It has the
// claims that were asked for. Its methods are called with the socket's mu held if they have
// a socket, so it has the token that the socket has, except between lockUnlessRevoked and
// setToken: then the socket is unsettled.
type claimIndex struct {
	seed   maphash.Seed
	claims atomic.Pointer[[]*indexedClaim] // replaced with mu held; nil before the first

	mu        sync.Mutex // a leaf
	unsettles socketSet
}

// indexedClaim has the sockets by the hash of the value of one claim.
type indexedClaim struct {
	name  string
	built sync.Once // has the sockets from before

	// With the mu of the claimIndex held.
	first map[uint64]*Socket
	more  map[uint64]*socketSet // besides the first
}

func newClaimIndex() claimIndex {
	return claimIndex{seed: maphash.MakeSeed()}
}

// list returns the claims that have an index.
func (c *claimIndex) list() []*indexedClaim {
	if all := c.claims.Load(); all != nil {
		return *all
	}
	return nil
}

// of returns the index of a claim, or nil if there is no room for one.
func (c *claimIndex) of(claim string) *indexedClaim {
	named := func(x *indexedClaim) bool { return x.name == claim }
	all := c.list()
	if i := slices.IndexFunc(all, named); i >= 0 {
		return all[i]
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	all = c.list()
	if i := slices.IndexFunc(all, named); i >= 0 {
		return all[i]
	}
	others := 0
	for _, x := range all {
		if !ofRevocations(x.name) {
			others++
		}
	}
	if others == maxIndexedClaims && !ofRevocations(claim) {
		return nil
	}
	x := &indexedClaim{name: claim, first: make(map[uint64]*Socket), more: make(map[uint64]*socketSet)}
	all = append(slices.Clip(all), x)
	c.claims.Store(&all)
	return x
}

// ofRevocations reports whether revocations name tokens by a claim unless they say otherwise.
func ofRevocations(claim string) bool {
	return claim == "jti" || claim == claimSession || claim == "sub"
}

// unsettle records that the token of a socket is about to be set.
func (c *claimIndex) unsettle(s *Socket) {
	if c.list() == nil {
		return // who makes the first index locks the mu of each socket
	}
	c.mu.Lock()
	c.unsettles.add(s)
	c.mu.Unlock()
}

// settle is called when the token was set, or was not.
func (c *claimIndex) settle(s *Socket) {
	c.mu.Lock()
	c.unsettles.remove(s)
	c.mu.Unlock()
}

// unsettled returns the sockets whose tokens were about to be set. Some are not any more.
func (c *claimIndex) unsettled() []*Socket {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.unsettles.appendTo(nil)
}

// replace settles a socket whose token has changed, or was removed.
func (c *claimIndex) replace(s *Socket, old, token *auth.Token) {
	claims := c.list() // who adds one now waits for the socket's mu
	if len(claims) == 0 {
		return
	}
	type move struct {
		had, has bool
		from, to uint64
	}
	moves := make([]move, len(claims))
	was, is := payloadOf(old), payloadOf(token)
	for i, x := range claims {
		m := &moves[i]
		m.from, m.had = c.key(was, x.name)
		m.to, m.has = c.key(is, x.name)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.unsettles.remove(s)
	for i, m := range moves {
		if m.had && m.has && m.from == m.to {
			continue
		}
		if m.had {
			claims[i].remove(m.from, s)
		}
		if m.has {
			claims[i].add(m.to, s)
		}
	}
}

// add adds a socket to the index of one claim, unless it is there.
func (c *claimIndex) add(x *indexedClaim, s *Socket) {
	if key, ok := c.key(payloadOf(s.token.Load()), x.name); ok {
		c.mu.Lock()
		x.add(key, s)
		c.mu.Unlock()
	}
}

// find returns the sockets with the hash of a value.
func (c *claimIndex) find(x *indexedClaim, value string) (all []*Socket) {
	key := c.hash(value)
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := x.first[key]; s != nil {
		all = append(all, s)
	}
	if more := x.more[key]; more != nil {
		all = more.appendTo(all)
	}
	return all
}

func (c *claimIndex) hash(value string) uint64 { return maphash.String(c.seed, value) }

// key returns the hash of the value that a payload has in a claim.
func (c *claimIndex) key(payload []byte, claim string) (key uint64, ok bool) {
	value, ok := claimscan.TextOfMember(payload, claim)
	return c.hash(value), ok
}

func (x *indexedClaim) add(key uint64, s *Socket) {
	switch first := x.first[key]; {
	case first == nil:
		x.first[key] = s
	case first == s:
	case x.more[key] == nil:
		x.more[key] = new(socketSet)
		fallthrough
	default:
		x.more[key].add(s)
	}
}

func (x *indexedClaim) remove(key uint64, s *Socket) {
	more := x.more[key]
	switch {
	case x.first[key] != s:
		more.remove(s)
	case more == nil:
		delete(x.first, key)
	default:
		next := more.any()
		x.first[key] = next
		more.remove(next)
	}
	if more != nil && len(more.all) == 0 {
		delete(x.more, key)
	}
}

// socketSet is a set of sockets. To go through it takes as long as it is large, although it was
// larger before.
type socketSet struct {
	all  map[*Socket]struct{}
	peak int // the largest size of the map
}

// sparse is the part of its peak below which a map is made anew, and roomy is a peak that is not
// worth it.
const (
	sparse = 4
	roomy  = 32
)

func (set *socketSet) add(s *Socket) {
	if set.all == nil {
		set.all = make(map[*Socket]struct{})
	}
	set.all[s] = struct{}{}
	set.peak = max(set.peak, len(set.all))
}

// remove removes a socket that may not be there, also from a nil set.
func (set *socketSet) remove(s *Socket) {
	if set == nil {
		return
	}
	delete(set.all, s)
	if set.peak > roomy && len(set.all) < set.peak/sparse {
		smaller := make(map[*Socket]struct{}, len(set.all))
		for s := range set.all {
			smaller[s] = struct{}{}
		}
		set.all, set.peak = smaller, len(smaller)
	}
}

func (set *socketSet) any() *Socket {
	for s := range set.all {
		return s
	}
	return nil
}

func (set *socketSet) appendTo(all []*Socket) []*Socket {
	for s := range set.all {
		all = append(all, s)
	}
	return all
}

func payloadOf(token *auth.Token) []byte {
	if token == nil {
		return nil
	}
	return token.Payload()
}
