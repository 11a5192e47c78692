package socketcluster_test

import (
	"context"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"pgregory.net/rapid"

	"github.com/socketcluster-go/socketcluster"
)

func ids(sockets iter.Seq[*socketcluster.Socket]) string {
	var all []string
	for s := range sockets {
		all = append(all, s.ID())
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

// Sockets are found by their claims, whether they have come before the first question or
// after it, and only while they have the claim and are open.
func TestClientsWith(t *testing.T) {
	ctx := context.Background()
	inBubble(t, socketcluster.Config{}, func(w *world) {
		find := func(claim, value string, want ...*socketcluster.Socket) {
			t.Helper()
			if got := ids(w.srv.ClientsWith(claim, value)); got != ids(slices.Values(want)) {
				t.Errorf("%s %q: %q, want %q", claim, value, got, ids(slices.Values(want)))
			}
		}
		enter := func(claims map[string]any) (*peer, *socketcluster.Socket) {
			before := ids(w.srv.Clients())
			p := w.login(claims)
			synctest.Wait()
			for s := range w.srv.Clients() {
				if !strings.Contains(before, s.ID()) {
					return p, s
				}
			}
			panic("it is not there")
		}
		_, anna := enter(map[string]any{"sub": "anna", "number": 7, "admin": true})
		p, phone := enter(map[string]any{"sub": "anna", "number": 8})
		find("sub", "anna", anna, phone)
		find("sub", "ann")
		find("number", "7", anna)
		find("admin", "true") // neither a text nor a number
		_, tablet := enter(map[string]any{"sub": "anna"})
		find("sub", "anna", anna, phone, tablet)
		if err := anna.SetAuthToken(ctx, map[string]any{"sub": "bert", "number": 7}); err != nil {
			t.Fatal(err)
		}
		find("sub", "anna", phone, tablet)
		find("sub", "bert", anna)
		find("number", "7", anna)
		tablet.Deauthenticate(ctx)
		find("sub", "anna", phone)
		p.Conn.Close()
		synctest.Wait()
		find("sub", "anna")
	})
}

// Whatever happens to the sockets, and whenever somebody asks for the first time, those
// are found that a look at all of them finds.
func TestClientsWithAgreesWithALookAtAll(t *testing.T) {
	ctx := context.Background()
	rapid.Check(t, func(rt *rapid.T) {
		seed := rapid.Uint64().Draw(rt, "seed")
		var fault string
		inBubble(t, socketcluster.Config{}, func(w *world) {
			random := rand.New(rand.NewPCG(seed, 0))
			var peers []*peer
			claims := func() map[string]any {
				all := map[string]any{}
				for i := range 10 { // more than have an index
					if random.IntN(2) == 0 {
						all[fmt.Sprint("c", i)] = random.IntN(3)
					}
				}
				return all
			}
			for range 40 {
				open := slices.Collect(w.srv.Clients())
				switch n := random.IntN(6); {
				case n == 0 || len(open) == 0:
					peers = append(peers, w.login(claims()))
				case n == 1:
					peers[random.IntN(len(peers))].Conn.Close()
				case n == 2:
					open[random.IntN(len(open))].DeauthenticateSelf()
				case n == 3:
					if err := open[random.IntN(len(open))].SetAuthToken(ctx, claims()); err != nil {
						fault = err.Error()
					}
				default:
					claim, value := fmt.Sprint("c", random.IntN(10)), random.IntN(3)
					got := ids(w.srv.ClientsWith(claim, fmt.Sprint(value)))
					want := ids(func(yield func(*socketcluster.Socket) bool) {
						for s := range w.srv.Clients() {
							if v, ok := s.AuthToken().Claim(claim); ok && v == float64(value) && !yield(s) {
								return
							}
						}
					})
					if got != want {
						fault = fmt.Sprintf("%s %d: %q, want %q", claim, value, got, want)
					}
				}
				synctest.Wait()
			}
		})
		if fault != "" {
			rt.Fatal(fault)
		}
	})
}
