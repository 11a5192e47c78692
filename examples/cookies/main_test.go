package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/examples/internal/logintest"
)

const (
	key      = logintest.Key
	password = logintest.Password
)

// tester is the example, and a browser's cookie.
type tester struct {
	t      *testing.T
	url    string
	cookie *http.Cookie
}

func start(t *testing.T) *tester {
	t.Helper()
	_, handler, err := newHandler(key, password, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return &tester{t: t, url: server.URL}
}

// do makes a request with the cookie and, if one is given, from a page of another
// origin.
func (s *tester) do(method, path, body, origin string) (*http.Response, string) {
	s.t.Helper()
	req, err := http.NewRequest(method, s.url+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	if s.cookie != nil {
		req.AddCookie(s.cookie)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if origin != "" {
		site := "same-site"
		if origin == s.url {
			site = "same-origin"
		}
		req.Header.Set("Origin", origin)
		req.Header.Set("Sec-Fetch-Site", site)
	}
	if path == "/socketcluster/" {
		for name, value := range map[string]string{"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="} {
			req.Header.Set(name, value)
		}
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusSwitchingProtocols {
		return resp, ""
	}
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return resp, string(text)
}

func (s *tester) want(status int, method, path, body, origin string) string {
	s.t.Helper()
	resp, text := s.do(method, path, body, origin)
	if resp.StatusCode != status {
		s.t.Errorf("%s %s: %s %s, want %d", method, path, resp.Status, text, status)
	}
	return text
}

const credentials = `{"username":"alice","password":"` + password + `"}`

func (s *tester) login() {
	s.t.Helper()
	resp, text := s.do("POST", "/login", credentials, "")
	cookies := resp.Cookies()
	if resp.StatusCode != http.StatusOK || len(cookies) != 1 {
		s.t.Fatalf("login: %s %s %v", resp.Status, text, cookies)
	}
	s.cookie = cookies[0]
}

func TestLogin(t *testing.T) {
	s := start(t)
	s.want(http.StatusUnauthorized, "GET", "/me", "", "")
	s.login()
	if c := s.cookie; c.Name != "__Host-token" || !c.HttpOnly || !c.Secure || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Domain != "" || c.MaxAge < 3500 {
		t.Errorf("the cookie %+v", c)
	}
	if text := s.want(http.StatusOK, "GET", "/me", "", ""); text != `{"username":"alice"}`+"\n" {
		t.Errorf("/me: %s", text)
	}

	stolen := *s.cookie
	resp, _ := s.do("POST", "/logout", "", "")
	if c := resp.Cookies(); resp.StatusCode != http.StatusNoContent || len(c) != 1 || c[0].Name != "__Host-token" || c[0].MaxAge >= 0 {
		t.Errorf("logout: %s %v", resp.Status, c)
	}
	s.cookie = &stolen // good no longer, wherever it is
	if text := s.want(http.StatusUnauthorized, "GET", "/me", "", ""); !strings.Contains(text, "jwt revoked") {
		t.Errorf("/me after the logout: %s", text)
	}
	s.login() // another session
	s.want(http.StatusOK, "GET", "/me", "", "")
}

// A refreshed cookie belongs to the same login: a logout ends the old and the new
// one.
func TestRefresh(t *testing.T) {
	s := start(t)
	s.want(http.StatusUnauthorized, "POST", "/refresh", "{}", "")
	s.login()
	first := s.cookie
	resp, text := s.do("POST", "/refresh", "{}", "")
	cookies := resp.Cookies()
	if resp.StatusCode != http.StatusOK || len(cookies) != 1 || cookies[0].Value == first.Value || !strings.Contains(text, "expiresIn") {
		t.Fatalf("%s %s %v", resp.Status, text, cookies)
	}
	second := cookies[0]
	for _, c := range []*http.Cookie{first, second} {
		s.cookie = c
		s.want(http.StatusOK, "GET", "/me", "", "")
	}
	s.want(http.StatusForbidden, "POST", "/refresh", "{}", "http://localhost:1")
	s.want(http.StatusNoContent, "POST", "/logout", "", "")
	for _, c := range []*http.Cookie{first, second} {
		s.cookie = c
		s.want(http.StatusUnauthorized, "POST", "/refresh", "{}", "")
	}
}

// A refresh beside the logout, in another tab or by a thief of the cookie, may sign
// a cookie that lives longer than the one that logs out. It is not good again later.
func TestLogoutBesideRefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, handler, err := newHandler(key, password, 15*time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		do := func(status int, method, path, body string, cookie *http.Cookie) []*http.Cookie {
			t.Helper()
			r := httptest.NewRequest(method, path, strings.NewReader(body))
			r.Header.Set("Content-Type", "application/json")
			if cookie != nil {
				r.AddCookie(cookie)
			}
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, r)
			if w.Code != status {
				t.Errorf("%s %s: %d %s, want %d", method, path, w.Code, w.Body, status)
			}
			return w.Result().Cookies()
		}
		cookie := do(http.StatusOK, "POST", "/login", credentials, nil)[0]
		time.Sleep(10 * time.Minute)
		fresh := do(http.StatusOK, "POST", "/refresh", "{}", cookie)[0]
		do(http.StatusNoContent, "POST", "/logout", "", cookie)
		for range 3 {
			do(http.StatusUnauthorized, "GET", "/me", "", fresh)
			do(http.StatusUnauthorized, "POST", "/refresh", "{}", fresh)
			time.Sleep(4*time.Minute + 50*time.Second)
		}
	})
}

func TestLoginRefuses(t *testing.T) {
	s := start(t)
	for _, body := range []string{`{"username":"alice","password":"wrong"}`, `{"username":"alice"}`, `{"username":"bob","password":"` + password + `"}`} {
		if text := s.want(http.StatusUnauthorized, "POST", "/login", body, ""); text != `{"error":{"message":"Invalid user credentials","name":"LoginError"}}`+"\n" {
			t.Errorf("%s: %s", body, text)
		}
	}
	s.want(http.StatusBadRequest, "POST", "/login", "no JSON", "")
	s.want(http.StatusRequestEntityTooLarge, "POST", "/login", `{"username":"`+strings.Repeat("x", 5000)+`"}`, "")
	if _, _, err := newHandler("short", password, time.Hour); err == nil {
		t.Error("a short key was accepted")
	}
}

// A page of another port is another origin, although browsers send the cookie
// along.
func TestOtherOrigins(t *testing.T) {
	s := start(t)
	s.want(http.StatusSwitchingProtocols, "GET", "/socketcluster/", "", "http://localhost:1") // no cookie, no login
	s.want(http.StatusForbidden, "POST", "/login", credentials, "http://localhost:1")
	s.login()
	s.want(http.StatusSwitchingProtocols, "GET", "/socketcluster/", "", s.url)
	for _, origin := range []string{"http://localhost:1", "http://127.0.0.1", "https://evil.example", "null"} {
		s.want(http.StatusForbidden, "GET", "/socketcluster/", "", origin)
		s.want(http.StatusForbidden, "POST", "/logout", "", origin)
	}
	s.want(http.StatusOK, "GET", "/me", "", "")
}

func TestLoginIsLimited(t *testing.T) {
	logintest.LimitsRequests(t, func() (*socketcluster.Server, http.Handler, error) { return newHandler(key, password, time.Hour) })
}
