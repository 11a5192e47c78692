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

// maxIndexedClaims bounds the memory of the index. The claims of revocations and of
// users are a few.
const maxIndexedClaims = 8

// ClientsWith yields the clients whose token has a value, a text or a whole number, in a
// claim, as they are at the time of the call: those of a user or of a session, for example.
//
// The first call for a claim looks at all clients, and makes an index, which takes 30 to
// 150 bytes a client for each claim. The first 8 claims have one. For others, each call
// looks at all clients.
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
	// In this order: a socket that closes is in the second before it leaves the first.
	return append(srv.socketsWith(claim, value), srv.closedOrigins()...)
}

// socketsWith returns the sockets that are not closed and may have a value in a claim of their
// tokens: all that have it, and some others. Whoever was about to set a token when it was
// called has finished; see lockUnlessRevoked.
func (srv *Server) socketsWith(claim, value string) []*Socket {
	x := srv.claims.of(claim)
	if x == nil {
		return srv.snapshot()
	}
	x.built.Do(func() {
		for _, s := range srv.snapshot() {
			s.mu.Lock()
			if s.state != Closed {
				srv.claims.add(x, s, s.token.Load())
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
	used atomic.Bool // there are claims
	seed maphash.Seed

	mu        sync.Mutex // a leaf
	claims    []*indexedClaim
	unsettles map[*Socket]struct{}
}

// indexedClaim has the sockets by the hash of the value of one claim.
type indexedClaim struct {
	name  string
	built sync.Once // has the sockets from before
	first map[uint64]*Socket
	more  map[uint64]map[*Socket]struct{} // besides the first
}

func newClaimIndex() claimIndex {
	return claimIndex{seed: maphash.MakeSeed(), unsettles: make(map[*Socket]struct{})}
}

// of returns the index of a claim, or nil if there is no room for one.
func (c *claimIndex) of(claim string) *indexedClaim {
	c.mu.Lock()
	defer c.mu.Unlock()
	if i := slices.IndexFunc(c.claims, func(x *indexedClaim) bool { return x.name == claim }); i >= 0 {
		return c.claims[i]
	}
	if len(c.claims) == maxIndexedClaims {
		return nil
	}
	x := &indexedClaim{name: claim, first: make(map[uint64]*Socket), more: make(map[uint64]map[*Socket]struct{})}
	c.claims = append(c.claims, x)
	c.used.Store(true)
	return x
}

// unsettle records that the token of a socket is about to be set.
func (c *claimIndex) unsettle(s *Socket) {
	if !c.used.Load() {
		return // who makes the first index locks the mu of each socket
	}
	c.mu.Lock()
	c.unsettles[s] = struct{}{}
	c.mu.Unlock()
}

// settle is called when the token was set, or was not.
func (c *claimIndex) settle(s *Socket) {
	c.mu.Lock()
	delete(c.unsettles, s)
	c.mu.Unlock()
}

// unsettled returns the sockets whose tokens were about to be set. Some are not any more.
func (c *claimIndex) unsettled() (all []*Socket) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for s := range c.unsettles {
		all = append(all, s)
	}
	return all
}

// replace settles a socket whose token has changed, or was removed.
func (c *claimIndex) replace(s *Socket, old, token *auth.Token) {
	if !c.used.Load() {
		return
	}
	was, is := payloadOf(old), payloadOf(token)
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.unsettles, s)
	for _, x := range c.claims {
		from, had := claimscan.TextOfMember(was, x.name)
		to, has := claimscan.TextOfMember(is, x.name)
		if had && has && from == to {
			continue
		}
		if had {
			x.remove(c.hash(from), s)
		}
		if has {
			x.add(c.hash(to), s)
		}
	}
}

// add adds a socket to the index of one claim, unless it is there.
func (c *claimIndex) add(x *indexedClaim, s *Socket, token *auth.Token) {
	if value, ok := claimscan.TextOfMember(payloadOf(token), x.name); ok {
		c.mu.Lock()
		x.add(c.hash(value), s)
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
	for s := range x.more[key] {
		all = append(all, s)
	}
	return all
}

func (c *claimIndex) hash(value string) uint64 { return maphash.String(c.seed, value) }

func (x *indexedClaim) add(key uint64, s *Socket) {
	switch first := x.first[key]; {
	case first == nil:
		x.first[key] = s
	case first == s:
	case x.more[key] == nil:
		x.more[key] = map[*Socket]struct{}{s: {}}
	default:
		x.more[key][s] = struct{}{}
	}
}

func (x *indexedClaim) remove(key uint64, s *Socket) {
	more := x.more[key]
	if x.first[key] != s {
		delete(more, s)
	} else {
		delete(x.first, key)
		for next := range more {
			x.first[key] = next
			delete(more, next)
			break
		}
	}
	if len(more) == 0 {
		delete(x.more, key)
	}
}

func payloadOf(token *auth.Token) []byte {
	if token == nil {
		return nil
	}
	return token.Payload()
}
