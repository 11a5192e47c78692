package socketcluster

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/auth/revoke"
	"github.com/socketcluster-go/socketcluster/internal/account"
)

// revokes returns the revocation of a session, in the form that a store passes on.
func revokes(t testing.TB, session string) revoke.Revocation {
	t.Helper()
	r, err := revoke.Revocation{Session: session}.Normalize(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func signed(t testing.TB, srv *Server, session string) *auth.Token {
	t.Helper()
	token, err := srv.engine.Sign(t.Context(), map[string]any{"sid": session})
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// hold gives a socket a token.
func hold(t testing.TB, s *Socket, token *auth.Token) {
	t.Helper()
	if err := s.lockUnlessRevoked(token); err != nil {
		t.Fatal(err)
	}
	s.setToken(token, fromClient)
	s.mu.Unlock()
}

// A revocation waits for a token that has been checked and is about to be set, also if
// another revocation waits for it already.
func TestRevocationWaitsForATokenThatIsBeingSet(t *testing.T) {
	for _, indexed := range []bool{false, true} {
		t.Run(fmt.Sprintf("indexed %v", indexed), func(t *testing.T) {
			s, _ := lone(t, Config{})
			defer s.srv.wheel.Close()
			if indexed {
				s.srv.revoked(revokes(t, "another"))
			}
			token := signed(t, s.srv, "a")
			done := make(chan struct{}, 2)
			given, err := s.giveToken(context.Background(), token, token, AuditLogin, func() bool {
				for _, session := range []string{"b", "a"} {
					go func() {
						s.srv.revoked(revokes(t, session))
						done <- struct{}{}
					}()
					time.Sleep(soon) // it finds the socket's lock taken
				}
				return true
			})
			if err != nil || !given {
				t.Fatal(given, err)
			}
			<-done
			<-done
			if s.AuthToken() != nil {
				t.Error("the socket still has the token")
			}
			if left := s.srv.claims.unsettled(); len(left) != 0 {
				t.Errorf("%d sockets are left that are not about to get a token", len(left))
			}
		})
	}
}

// What did not get its token is looked at by one revocation, and not kept.
func TestUnsettledSocketsAreForgotten(t *testing.T) {
	s, _ := lone(t, Config{})
	defer s.srv.wheel.Close()
	s.srv.revoked(revokes(t, "another"))
	token := signed(t, s.srv, "a")
	refuse := func() {
		if given, err := s.giveToken(t.Context(), token, token, AuditLogin, func() bool { return false }); given || err != nil {
			t.Fatal(given, err)
		}
		if n := len(s.srv.claims.unsettled()); n != 1 {
			t.Fatalf("%d sockets", n)
		}
	}
	refuse()
	s.srv.revoked(revokes(t, "another"))
	if n := len(s.srv.claims.unsettled()); n != 0 {
		t.Errorf("after a revocation: %d sockets", n)
	}
	refuse()
	s.becomeClosed()
	if n := len(s.srv.claims.unsettled()); n != 0 {
		t.Errorf("after the end of the socket: %d sockets", n)
	}
}

// A socket that has closed is not kept, whatever happens to its token afterwards. A
// revocation finds it as long as it is one of those that are closing.
func TestIndexForgetsClosedSockets(t *testing.T) {
	s, _ := lone(t, Config{})
	defer s.srv.wheel.Close()
	s.srv.revoked(revokes(t, "another"))
	hold(t, s, signed(t, s.srv, "a"))
	if got := s.srv.originsWith("sid", "a"); len(got) != 1 {
		t.Fatalf("%d sockets", len(got))
	}
	s.becomeClosed()
	stands := func() bool { return true }
	if replaced, err := s.replaceLeft(s.AuthToken(), signed(t, s.srv, "b"), stands); !replaced || err != nil {
		t.Fatal(replaced, err)
	}
	x := s.srv.claims.of("sid")
	if len(x.first)+len(x.more) != 0 {
		t.Errorf("it is in the index: %v %v", x.first, x.more)
	}
	s.srv.revoked(revokes(t, "b"))
	if s.AuthToken() != nil {
		t.Error("a revocation does not find it")
	}
}

// A socket is in the index of a claim once, however often it was added, and not after it
// was removed.
func TestIndexedClaim(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := newClaimIndex()
		x := c.of("sub")
		sockets := [4]*Socket{{}, {}, {}, {}}
		values := [2]string{"a", "b"}
		there := map[string]map[*Socket]bool{"a": {}, "b": {}}
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				s, value := rapid.SampledFrom(sockets[:]).Draw(t, "socket"), rapid.SampledFrom(values[:]).Draw(t, "value")
				x.add(c.hash(value), s)
				there[value][s] = true
			},
			"remove": func(t *rapid.T) {
				s, value := rapid.SampledFrom(sockets[:]).Draw(t, "socket"), rapid.SampledFrom(values[:]).Draw(t, "value")
				x.remove(c.hash(value), s)
				delete(there[value], s)
			},
			"": func(t *rapid.T) {
				for value, want := range there {
					if more := x.more[c.hash(value)]; more != nil && len(want) < 2 {
						t.Fatalf("an empty set is left of %s", value)
					}
					got := c.find(x, value)
					for _, s := range got {
						if !want[s] {
							t.Fatal("a socket is left")
						}
					}
					if len(got) != len(want) {
						t.Fatalf("%d sockets, want %d", len(got), len(want))
					}
				}
			},
		})
	})
}

// soon is the time in which a goroutine of these tests gets to the lock that it waits for.
const soon = 20 * time.Millisecond

// A socket that is not unsettled when a revocation raises the counter looks at it afterwards.
func TestUnsettledBeforeTheSecondLook(t *testing.T) {
	store := new(revoke.Memory)
	s, _ := lone(t, Config{Revocations: store})
	defer s.srv.wheel.Close()
	s.srv.originsWith("sid", "nobody")
	token := signed(t, s.srv, "a")
	s.srv.unwatch()
	s.srv.claims.mu.Lock()
	failed := make(chan error)
	go func() {
		_, err := s.giveToken(t.Context(), token, token, AuditLogin, func() bool { return true })
		failed <- err
	}()
	time.Sleep(soon)
	if err := store.Add(t.Context(), revoke.Revocation{Session: "a"}); err != nil {
		t.Fatal(err)
	}
	s.srv.revocations.Add(1)
	s.srv.claims.mu.Unlock()
	if err := <-failed; err == nil {
		t.Error("it has a token that was revoked")
	}
}

// A socket that closes while a revocation looks for it is found.
func TestRevocationFindsASocketThatCloses(t *testing.T) {
	s, _ := lone(t, Config{})
	srv := s.srv
	defer srv.wheel.Close()
	other, _ := another(srv)
	srv.originsWith("sid", "nobody")
	hold(t, s, signed(t, srv, "a"))
	if err := other.lockUnlessRevoked(); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { srv.revoked(revokes(t, "a")); close(done) }()
	time.Sleep(soon) // it waits for the other one
	s.becomeClosed()
	other.mu.Unlock()
	<-done
	if s.AuthToken() != nil {
		t.Error("it still has the token")
	}
}

// A socket is among those that are closed before it leaves the index.
func TestClosingBeforeItLeavesTheIndex(t *testing.T) {
	s, _ := lone(t, Config{})
	srv := s.srv
	defer srv.wheel.Close()
	srv.originsWith("sid", "nobody")
	hold(t, s, signed(t, srv, "a"))
	srv.mu.Lock()
	done := make(chan struct{})
	go func() { s.becomeClosed(); close(done) }()
	time.Sleep(soon)
	n := len(srv.claims.find(srv.claims.of("sid"), "a"))
	srv.mu.Unlock()
	<-done
	if n != 1 {
		t.Error("it is nowhere")
	}
}

// A socket that closes while an index is made is not in it.
func TestClosesWhileTheIndexIsMade(t *testing.T) {
	s, _ := lone(t, Config{})
	srv := s.srv
	defer srv.wheel.Close()
	hold(t, s, signed(t, srv, "a"))
	s.mu.Lock()
	done := make(chan struct{})
	go func() { s.becomeClosed(); done <- struct{}{} }()
	time.Sleep(soon)
	go func() { srv.socketsWith("sid", "a"); done <- struct{}{} }()
	time.Sleep(soon)
	s.mu.Unlock()
	<-done
	<-done
	if x := srv.claims.of("sid"); len(x.first)+len(x.more) > 0 {
		t.Error("it is in the index")
	}
}

// A closed socket is not unsettled.
func TestClosedIsNotUnsettled(t *testing.T) {
	s, _ := lone(t, Config{})
	defer s.srv.wheel.Close()
	s.srv.originsWith("sid", "nobody")
	s.becomeClosed()
	if replaced, err := s.replaceLeft(nil, signed(t, s.srv, "b"), func() bool { return true }); !replaced || err != nil {
		t.Fatal(replaced, err)
	}
	if n := len(s.srv.claims.unsettled()); n > 0 {
		t.Error("it is kept")
	}
}

// A socket that closes while UpdateClaims looks for sockets is changed once. Otherwise its first
// new token would count as replaced, and be revoked with those of the others.
func TestUpdateClaimsWhileASocketCloses(t *testing.T) {
	a, _ := lone(t, Config{Revocations: new(revoke.Memory)})
	srv := a.srv
	defer srv.wheel.Close()
	b, _ := another(srv)
	srv.originsWith("sub", "nobody") // there is an index
	for _, s := range []*Socket{a, b} {
		token, err := srv.engine.Sign(t.Context(), map[string]any{"sub": "anna", "sid": "x", "n": 0})
		if err != nil {
			t.Fatal(err)
		}
		hold(t, s, token)
	}
	srv.mu.Lock() // both wait for it, in this order
	var over sync.WaitGroup
	over.Go(func() { b.becomeClosed() })
	time.Sleep(soon)
	calls := 0
	over.Go(func() {
		_, err := UpdateClaims(context.Background(), srv, "sub", "anna", func(c *map[string]any) error {
			calls++
			(*c)["n"] = (*c)["n"].(float64) + 1
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})
	time.Sleep(soon)
	srv.mu.Unlock()
	over.Wait()
	if n, _ := b.AuthToken().Claim("n"); calls != 2 || n != 1.0 {
		t.Errorf("%d changes of 2 sockets, and of the closed one %v", calls, n)
	}
	if a.AuthToken() == nil {
		t.Error("the open socket was logged out")
	}
}

// The messages of a socket that has closed may still be handled, so it gets the new claims, too.
func TestUpdateClaimsOfAClosedSocket(t *testing.T) {
	s, _ := lone(t, Config{})
	defer s.srv.wheel.Close()
	hold(t, s, signed(t, s.srv, "a"))
	s.becomeClosed()
	_, err := UpdateClaims(context.Background(), s.srv, "sid", "a", func(c *map[string]any) error {
		(*c)["n"] = 1
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if n, _ := s.AuthToken().Claim("n"); n != 1.0 {
		t.Errorf("the claim is %v", n)
	}
}

// A socket whose connection is released while another goroutine closes it is found all the time,
// as its messages may still be handled.
func TestReleasedWhileItCloses(t *testing.T) {
	s, _ := lone(t, Config{})
	srv := s.srv
	defer srv.wheel.Close()
	s.ledger.Init(srv.budget.Shard(0))
	s.count(account.Messages, 1000) // a message that waits for a handler
	srv.originsWith("sid", "nobody")
	hold(t, s, signed(t, srv, "a"))
	s.becomeClosed()
	srv.mu.Lock() // released, by the reading goroutine
	delete(srv.closing, s)
	srv.mu.Unlock()
	srv.revoked(revokes(t, "a"))
	if s.AuthToken() != nil {
		t.Error("its messages are handled with a revoked token")
	}
	s.closeInbound()
	s.count(account.Messages, -1000)
	if len(srv.orphans) != 0 {
		t.Error("it is kept")
	}
}

// A revocation does not look at the sockets of others.
func TestRevocationLeavesOthersAlone(t *testing.T) {
	s, _ := lone(t, Config{})
	srv := s.srv
	defer srv.wheel.Close()
	other, _ := another(srv)
	hold(t, s, signed(t, srv, "a"))
	hold(t, other, signed(t, srv, "b"))
	srv.originsWith("sid", "nobody")
	other.mu.Lock()
	defer other.mu.Unlock()
	srv.revoked(revokes(t, "a")) // would hang
	if s.AuthToken() != nil {
		t.Error("the socket still has the token")
	}
}

// However many claims somebody has looked for, those of revocations have an index.
func TestRevocationsHaveAnIndex(t *testing.T) {
	c := newClaimIndex()
	for i := range maxIndexedClaims {
		if c.of(fmt.Sprint("c", i)) == nil {
			t.Fatalf("claim %d has none", i)
		}
	}
	if c.of("one more") != nil {
		t.Error("there is no bound")
	}
	for _, r := range []revoke.Revocation{{JTI: "x"}, {Session: "x"}, {Subject: "x"}} {
		claim, _ := r.Target()
		if c.of(claim) == nil {
			t.Errorf("%s has none", claim)
		}
	}
}

// A set that was large is not slow afterwards.
func TestSocketSetShrinks(t *testing.T) {
	var set socketSet
	all := make([]Socket, 1000)
	for i := range all {
		set.add(&all[i])
	}
	for i := range all {
		set.remove(&all[i])
		left := len(all) - i - 1
		if len(set.all) != left || set.peak > max(sparse*(left+1), roomy) {
			t.Fatalf("%d sockets, and the map was made for %d", len(set.all), set.peak)
		}
	}
}

// BenchmarkRevoked measures what a revocation of one session costs a server with many.
func BenchmarkRevoked(b *testing.B) {
	for _, n := range []int{500, 50_000} {
		b.Run(fmt.Sprintf("sockets=%d", n), func(b *testing.B) {
			s, _ := lone(b, Config{})
			defer s.srv.wheel.Close()
			for i := range n {
				other := &Socket{srv: s.srv, id: newSocketID(), state: Open}
				s.srv.sockets[other.id] = other
				other.token.set(signed(b, s.srv, fmt.Sprint("s", i)), fromClient)
			}
			r := revokes(b, "nobody")
			s.srv.revoked(r)
			for b.Loop() {
				s.srv.revoked(r)
			}
		})
	}
}
