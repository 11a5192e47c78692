package socketcluster_test

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/auth/httpauth"
)

// signedAt signs claims whose dates are so many milliseconds from now.
func (w *world) signedAt(claims map[string]any, dates map[string]int) string {
	w.t.Helper()
	for name, ms := range dates {
		claims[name] = float64(time.Now().UnixMilli()+int64(ms)) / 1000
	}
	token, err := w.srv.Auth().Sign(context.Background(), claims)
	if err != nil {
		w.t.Fatal(err)
	}
	return token.Signed()
}

// With a clock tolerance, a token is accepted that much before its nbf and after
// its exp, and a socket keeps it exactly as long: it is not let in and logged out
// again, and lives no longer (AUTH-40, JWT-22).
func TestClockTolerance(t *testing.T) {
	for _, tolerance := range []time.Duration{0, 1500 * time.Millisecond, time.Minute} {
		t.Run(tolerance.String(), func(t *testing.T) {
			inBubble(t, socketcluster.Config{AuthClockTolerance: tolerance, PingTimeoutDisabled: true}, func(w *world) {
				ms := int(tolerance.Milliseconds())
				_, status := w.connect(quote(w.signedAt(map[string]any{}, map[string]int{"nbf": ms + 1})))
				if status["isAuthenticated"] == true {
					t.Error("authenticated before nbf")
				}
				if _, status := w.connect(quote(w.signedAt(map[string]any{}, map[string]int{"nbf": ms}))); status["isAuthenticated"] != true {
					t.Errorf("at nbf: %v", status)
				}

				exp := w.signedAt(map[string]any{}, map[string]int{"exp": 10_500})
				early, _ := w.connect(quote(exp))
				time.Sleep(10_500*time.Millisecond + tolerance - time.Nanosecond)
				late, status := w.connect(quote(exp))
				if status["isAuthenticated"] != true {
					t.Fatalf("a nanosecond before the end: %v", status)
				}
				time.Sleep(time.Nanosecond)
				if _, status := w.connect(quote(exp)); status["isAuthenticated"] == true {
					t.Error("authenticated at the end")
				}
				if n := w.authenticated(); n != 3 {
					t.Errorf("%d sockets are authenticated up to the end, want 3", n)
				}
				time.Sleep(11 * time.Millisecond) // as exact as timers of sockets are
				if n := w.authenticated(); n != 1 {
					t.Errorf("%d sockets are authenticated after the end, want that without one", n)
				}
				for _, p := range []*peer{early, late} {
					p.want(`{"event":"#removeAuthToken"}`)
				}
			})
		})
	}
}

// authenticated counts the sockets that are.
func (w *world) authenticated() (n int) {
	synctest.Wait()
	for s := range w.srv.Clients() {
		if s.AuthState() == socketcluster.Authenticated {
			n++
		}
	}
	return n
}

// A principal that was verified with a tolerance is good as long.
func TestClockToleranceOfPrincipals(t *testing.T) {
	inBubble(t, socketcluster.Config{AuthClockTolerance: 2 * time.Second}, func(w *world) {
		token, err := w.srv.Auth().Verify(t.Context(), w.signedAt(map[string]any{}, map[string]int{"exp": 1000}))
		if err != nil {
			t.Fatal(err)
		}
		w.web.Handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			w.srv.ServeHTTP(rw, r.WithContext(httpauth.NewContext(r.Context(), token)))
		})
		time.Sleep(2 * time.Second)
		if _, status := w.connect("null"); status["isAuthenticated"] != true {
			t.Errorf("within the tolerance: %v", status)
		}
		time.Sleep(time.Second)
		if _, status := w.connect("null"); status["isAuthenticated"] == true {
			t.Errorf("after the tolerance: %v", status)
		}
	})
}
