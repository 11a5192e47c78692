package main

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/socketcluster-go/socketcluster/login"
)

const jsonType = "application/json"

var invalidCredentials = &failure{Name: "LoginError", Message: "Invalid user credentials"}

// badCredentials all fail in the same words.
func badCredentials(w *world) map[string]credentials {
	return map[string]credentials{
		"wrong password":           {"alice", "wrong"},
		"no password":              {"alice", ""},
		"password of another user": {"alice", w.account("bob").Password},
		"unknown user":             {"carol", w.account("alice").Password},
		"nobody":                   {"", ""},
		"SQL":                      {"' OR 1=1 --", "x"},
	}
}

// AUTH-3: a token that was signed after a login over HTTP authenticates the
// handshake.
func TestLoginOverHTTP(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *world) {
		resp, body := w.postLogin(jsonType+"; charset=utf-8", mustJSON(t, w.account("alice")))
		if resp.StatusCode != http.StatusOK || resp.Header.Get("Cache-Control") != "no-store" {
			t.Fatalf("%s, Cache-Control %q: %s", resp.Status, resp.Header.Get("Cache-Control"), body)
		}
		var answer map[string]string
		if err := json.Unmarshal([]byte(body), &answer); err != nil || len(answer) != 1 {
			t.Fatalf("body is %s", body)
		}
		now := float64(time.Now().Unix())
		want := map[string]any{
			"username": "alice", "channels": []any{"chat", "user/alice", "room/staff"},
			"iat": now, "exp": now + 1800, "auth_time": now,
		}
		if diff := cmp.Diff(want, tokenOf(t, w, answer["token"])); diff != "" {
			t.Error(diff)
		}
		p := w.connect(answer["token"])
		if err := p.subscribe("user/alice"); err != nil {
			t.Errorf("subscribe: %+v", err)
		}
	})
}

func TestLoginOverHTTPRefuses(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *world) {
		for name, c := range badCredentials(w) {
			resp, body := w.postLogin(jsonType, mustJSON(t, c))
			var answer struct{ Error *failure }
			if err := json.Unmarshal([]byte(body), &answer); err != nil {
				t.Errorf("%s: %s", name, body)
			}
			if diff := cmp.Diff(invalidCredentials, answer.Error); diff != "" || resp.StatusCode != http.StatusUnauthorized {
				t.Errorf("%s: %s\n%s", name, resp.Status, diff)
			}
		}
	})
}

func TestBadLoginRequests(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *world) {
		good := mustJSON(t, w.account("alice"))
		for _, c := range []struct {
			name, contentType, body string
			status                  int
		}{
			{"a form", "application/x-www-form-urlencoded", "username=alice&password=x", http.StatusUnsupportedMediaType},
			{"what a form of another site can send", "text/plain", good, http.StatusUnsupportedMediaType},
			{"no type", "", good, http.StatusUnsupportedMediaType},
			{"a broken type", "application/json; charset", good, http.StatusUnsupportedMediaType},
			{"no body", jsonType, "", http.StatusBadRequest},
			{"no JSON", jsonType, "username=alice", http.StatusBadRequest},
			{"no object", jsonType, `["alice","x"]`, http.StatusBadRequest},
			{"no strings", jsonType, `{"username":{"$ne":null},"password":{"$ne":null}}`, http.StatusBadRequest},
			{"more than JSON", jsonType, good + "x", http.StatusBadRequest},
			{"as long as may be", jsonType, `{"username":"x","password":"` + strings.Repeat("x", login.MaxBody-30) + `"}`, http.StatusUnauthorized},
			{"too long", jsonType, `{"username":"x","password":"` + strings.Repeat("x", login.MaxBody-29) + `"}`, http.StatusRequestEntityTooLarge},
		} {
			resp, body := w.postLogin(c.contentType, c.body)
			if resp.StatusCode != c.status {
				t.Errorf("%s: %s: %s; want %d", c.name, resp.Status, body, c.status)
			}
			var answer struct{ Error *failure }
			if err := json.Unmarshal([]byte(body), &answer); err != nil || answer.Error == nil || answer.Error.Message == "" {
				t.Errorf("%s: the body is no error: %s", c.name, body)
			}
		}
		r, err := http.NewRequest(http.MethodGet, "http://server/login?username=alice", nil)
		if err != nil {
			t.Fatal(err)
		}
		if resp, _ := w.do(r); resp.StatusCode != http.StatusNotFound {
			t.Errorf("GET: %s", resp.Status)
		}
	})
}

// A failure of the database is the operator's affair.
func TestLoginWithoutDatabase(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *world) {
		good := w.account("alice")
		p := w.connect("")
		w.demo.users.Close()
		resp, body := w.postLogin(jsonType, mustJSON(t, good))
		if resp.StatusCode != http.StatusInternalServerError || strings.Contains(body, "database") {
			t.Errorf("%s: %s", resp.Status, body)
		}
		if err := p.call("login", good).Error; err == nil || err.Name != "InternalError" || strings.Contains(err.Message, "database") {
			t.Errorf("over the socket: %+v", err)
		}
		if logs := w.logs.String(); strings.Count(logs, "database is closed") != 2 || strings.Contains(logs, good.Password) {
			t.Errorf("log:\n%s", logs)
		}
	})
}

// The token comes before the answer of the login, so that a client that has
// the answer is logged in.
func TestLoginOverSocket(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *world) {
		p := w.connect("")
		if err := p.call("login", w.account("bob")).Error; err != nil {
			t.Fatalf("login: %+v", err)
		}
		if before := p.Before(); len(before) != 1 || before[0].Event != "#setAuthToken" {
			t.Fatalf("before the answer came %+v", before)
		}
		var data struct{ Token string }
		if err := json.Unmarshal(p.event("#setAuthToken").Data, &data); err != nil {
			t.Fatal(err)
		}
		now := float64(time.Now().Unix())
		want := map[string]any{"username": "bob", "channels": []any{"chat", "user/bob"}, "iat": now, "exp": now + 1800, "auth_time": now}
		if diff := cmp.Diff(want, tokenOf(t, w, data.Token)); diff != "" {
			t.Error(diff)
		}
	})
}

// A login that fails leaves the next one on the same socket as it was.
func TestLoginOverSocketRefuses(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *world) {
		p := w.connect("")
		for name, c := range badCredentials(w) {
			if diff := cmp.Diff(invalidCredentials, p.call("login", c).Error); diff != "" {
				t.Errorf("%s: %s", name, diff)
			}
		}
		if diff := cmp.Diff(invalidCredentials, p.call("login", nil).Error); diff != "" {
			t.Errorf("no data: %s", diff)
		}
		for _, data := range []any{"alice", 1, []string{"alice"}, map[string]any{"username": 1}} {
			if err := p.call("login", data).Error; err == nil || err.Name != "InvalidArgumentsError" {
				t.Errorf("login with %v: %+v", data, err)
			}
		}
		if got := p.received(); got != nil {
			t.Errorf("failed logins were followed by %v", got)
		}
		if err := p.call("login", w.account("alice")).Error; err != nil {
			t.Errorf("login after failed ones: %+v", err)
		}
	})
}

func TestLogout(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *world) {
		p := w.login("alice")
		p.event("#setAuthToken")
		if err := p.call("logout", nil).Error; err != nil {
			t.Fatalf("logout: %+v", err)
		}
		if diff := cmp.Diff([]string{"#removeAuthToken"}, p.received()); diff != "" {
			t.Error(diff)
		}
		if err := p.publish("chat", map[string]string{"text": "hello"}); err == nil || err.Name != "PublishError" {
			t.Errorf("publish after logout: %+v", err)
		}
	})
}

// A connected client stays logged in, well beyond the life of one token.
func TestTokenRenewal(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *world) {
		p := w.login("alice")
		p.event("#setAuthToken")
		for i := range 12 {
			start := time.Now()
			var data struct{ Token string }
			if err := json.Unmarshal(p.event("#setAuthToken").Data, &data); err != nil {
				t.Fatal(err)
			}
			// Up to a tenth earlier, so that not all sockets renew at once.
			// Timers tick in steps of some milliseconds.
			if after := time.Since(start).Round(time.Second); after < 4*time.Minute+30*time.Second || after > 5*time.Minute {
				t.Errorf("renewal %d came after %v, want 4m30s to 5m", i, after)
			}
			token := tokenOf(t, w, data.Token)
			if life := token["exp"].(float64) - token["iat"].(float64); life != 1800 || token["username"] != "alice" {
				t.Errorf("renewal %d gave %v", i, token)
			}
		}
		if err := p.subscribe("user/alice"); err != nil {
			t.Errorf("after an hour: %+v", err)
		}
	})
}
