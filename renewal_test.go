package socketcluster_test

import (
	"context"
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/socketcluster-go/socketcluster"
)

// A session stays logged in under TokenRenewal, also where its tokens live no
// longer than the period, and where it begins with a token that is near its
// end.
func TestTokenRenewalComesBeforeExpiry(t *testing.T) {
	const half = 30 * time.Minute
	for name, row := range map[string]struct {
		renewal socketcluster.TokenRenewal
		life    time.Duration // of the token that the session begins with
		first   time.Duration // when it is replaced
		second  time.Duration // after the first
	}{
		"tokens outlive the period":           {socketcluster.TokenRenewal{Every: half, ExpiresIn: 2 * half}, 24 * time.Hour, half, half},
		"tokens live as long as the period":   {socketcluster.TokenRenewal{Every: half, ExpiresIn: half}, 24 * time.Hour, half, half - time.Minute},
		"a restored token near its end":       {socketcluster.TokenRenewal{Every: half, ExpiresIn: 2 * half}, 10 * time.Minute, 9 * time.Minute, half},
		"tokens live shorter than the period": {socketcluster.TokenRenewal{Every: half, ExpiresIn: time.Minute}, 24 * time.Hour, half, half / 60},
	} {
		t.Run(name, func(t *testing.T) {
			row.renewal.Jitter = 1 // none
			inBubble(t, socketcluster.Config{TokenRenewal: row.renewal, PingTimeoutDisabled: true}, func(w *world) {
				var lost bool
				socketcluster.On(w.srv, func(socketcluster.DeauthenticateEvent) { lost = true })
				// Tokens count whole seconds: begin at the start of one.
				time.Sleep(time.Until(time.Now().Truncate(time.Second).Add(time.Second)))
				token, err := w.srv.Auth().Sign(context.Background(), map[string]any{"username": "alice", "exp": time.Now().Add(row.life).Unix()})
				if err != nil {
					t.Fatal(err)
				}
				begin := time.Now()
				p, _ := w.connect(quote(token.Signed()))
				for _, want := range []time.Duration{row.first, row.second} {
					p.quiet(want - time.Second)
					got := p.next()
					if !strings.HasPrefix(got, `{"event":"#setAuthToken"`) {
						t.Fatalf("got %s", got)
					}
					var packet struct{ Data struct{ Token string } }
					if err := json.Unmarshal([]byte(got), &packet); err != nil {
						t.Fatal(err)
					}
					if _, err := w.srv.Auth().Verify(context.Background(), packet.Data.Token); err != nil {
						t.Fatal(err)
					}
					// The wheel adds a tick at most, the whole seconds of exp
					// half of one.
					if waited := time.Since(begin); waited > want+time.Second {
						t.Errorf("a token came after %v, want %v", waited, want)
					}
					begin = time.Now()
				}
				if lost {
					t.Error("the session was logged out")
				}
			})
		})
	}
}

// Clients that have connected in the same moment are not renewed in the same
// moment, and none of them later than the period.
func TestTokenRenewalsAreSpread(t *testing.T) {
	const every, jitter = 30 * time.Minute, 10 * time.Minute
	cfg := socketcluster.Config{
		TokenRenewal:        socketcluster.TokenRenewal{Every: every, Jitter: jitter},
		PingTimeoutDisabled: true,
	}
	inBubble(t, cfg, func(w *world) {
		begin := time.Now()
		var mu sync.Mutex
		var waits []time.Duration
		socketcluster.On(w.srv, func(e socketcluster.ConnectEvent) {
			socketcluster.On(e.Socket, func(socketcluster.AuthTokenSignedEvent) {
				mu.Lock()
				defer mu.Unlock()
				waits = append(waits, time.Since(begin))
			})
		})
		token, err := w.srv.Auth().Sign(context.Background(), map[string]any{"username": "alice"})
		if err != nil {
			t.Fatal(err)
		}
		const clients = 20
		for range clients {
			w.connect(quote(token.Signed()))
		}
		time.Sleep(every + time.Second)
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		if len(waits) < clients {
			t.Fatalf("%d renewals, want %d", len(waits), clients)
		}
		first, last := waits[0], waits[clients-1]
		if first < every-jitter || last-first < time.Minute {
			t.Errorf("the renewals came from %v to %v", first, last)
		}
	})
}
