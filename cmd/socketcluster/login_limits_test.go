package main

import (
	"fmt"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/socketcluster-go/socketcluster"
)

var tooMany = &failure{Name: "LoginRateError", Message: "Too many login attempts"}

func TestLoginOverSocketIsLimited(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *world) {
		p := w.connect("")
		for i := range 10 {
			if diff := cmp.Diff(invalidCredentials, p.call("login", credentials{fmt.Sprint("user", i), "wrong"}).Error); diff != "" {
				t.Fatal(diff)
			}
		}
		// The right password does not help either.
		if diff := cmp.Diff(tooMany, p.call("login", w.account("alice")).Error); diff != "" {
			t.Error(diff)
		}
		if got := p.received(); got != nil {
			t.Errorf("a refused login was followed by %v", got)
		}
		other := w.connect("")
		if err := other.call("login", w.account("alice")).Error; err != nil {
			t.Errorf("on another socket: %+v", err)
		}
		time.Sleep(6 * time.Second)
		if err := p.call("login", w.account("alice")).Error; err != nil {
			t.Errorf("six seconds later: %+v", err)
		}
	})
}

// The network in memory has no addresses, so that all come from one place. A
// user that exists is limited like one that does not, over HTTP and sockets
// together.
func TestLoginsOfAUserAreLimited(t *testing.T) {
	for _, name := range []string{"alice", "nobody"} {
		inBubble(t, nil, func(t *testing.T, w *world) {
			for range 5 {
				if resp, body := w.postLogin(jsonType, mustJSON(t, credentials{name, "wrong"})); resp.StatusCode != http.StatusUnauthorized {
					t.Fatalf("%s: %s", resp.Status, body)
				}
				if diff := cmp.Diff(invalidCredentials, w.connect("").call("login", credentials{name, "wrong"}).Error); diff != "" {
					t.Fatal(diff)
				}
			}
			resp, body := w.postLogin(jsonType, mustJSON(t, w.account("alice")))
			want := `{"error":{"message":"Too many login attempts","name":"LoginRateError","retryAfter":60}}` + "\n"
			if name == "nobody" {
				if resp.StatusCode != http.StatusOK {
					t.Errorf("%s: %s", resp.Status, body)
				}
				resp, body = w.postLogin(jsonType, mustJSON(t, credentials{name, "wrong"}))
			}
			if resp.StatusCode != http.StatusTooManyRequests || resp.Header.Get("Retry-After") != "60" || body != want {
				t.Errorf("%s: %s, Retry-After %q: %s", name, resp.Status, resp.Header.Get("Retry-After"), body)
			}
			if diff := cmp.Diff(tooMany, w.connect("").call("login", credentials{name, "wrong"}).Error); diff != "" {
				t.Errorf("%s: %s", name, diff)
			}
		})
	}
}

// The outcomes of logins are logged, in order.
func TestLoginsAreAudited(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *world) {
		var mu sync.Mutex
		var record []string
		socketcluster.On(w.demo.sockets, func(e socketcluster.AuditEvent) {
			mu.Lock()
			defer mu.Unlock()
			record = append(record, fmt.Sprintf("%s %s", e.Kind, e.User))
		})
		want := func(events ...string) {
			t.Helper()
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			if diff := cmp.Diff(events, record); diff != "" {
				t.Error(diff)
			}
			record = nil
		}
		p := w.connect("")
		p.call("login", credentials{"alice", "wrong"})
		p.call("login", credentials{"carol", "wrong"})
		p.call("login", w.account("alice"))
		want("loginFailed alice", "loginFailed carol", "login alice")
		p.event("#setAuthToken")
		p.event("#setAuthToken") // some minutes later
		p.call("logout", nil)
		want("renewal alice", "logout alice")
		w.postLogin(jsonType, mustJSON(t, credentials{"alice", "wrong"}))
		w.postLogin(jsonType, mustJSON(t, w.account("alice")))
		want("loginFailed alice", "login alice")
		for range 20 {
			w.connect("").call("login", credentials{"carol", "wrong"})
		}
		failed := []string{}
		for range 10 {
			failed = append(failed, "loginFailed carol")
		}
		want(append(failed, "loginLimited carol")...)
	})
}
