package socketcluster

import (
	"context"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/auth/revoke"
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
					time.Sleep(20 * time.Millisecond) // it finds the socket's lock taken
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
	if err := s.lockUnlessRevoked(); err != nil {
		t.Fatal(err)
	}
	s.setToken(signed(t, s.srv, "a"), fromClient)
	s.mu.Unlock()
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
