package main

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"

	"golang.org/x/oauth2"

	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/auth/oidc"
	"github.com/socketcluster-go/socketcluster/internal/keytest"
)

// A real provider is in internal/compat/oidc; this one is for what real ones do
// not do.
type provider struct {
	*httptest.Server
	jwk    string
	engine *auth.JWT

	mu      sync.Mutex
	answer  func() (int, map[string]any) // of the token endpoint
	request url.Values                   // that was made there last
}

func startProvider(t *testing.T) *provider {
	t.Helper()
	key, jwk := keytest.NewEC(t, "theirs")
	p := &provider{jwk: jwk, engine: keytest.NewEngine(t, key, auth.Options{})}
	p.Server = httptest.NewServer(p)
	t.Cleanup(p.Close)
	return p
}

func (p *provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	switch r.URL.Path {
	case "/.well-known/openid-configuration":
		json.NewEncoder(w).Encode(map[string]any{
			"issuer": p.URL, "jwks_uri": p.URL + "/jwks",
			"authorization_endpoint": p.URL + "/auth", "token_endpoint": p.URL + "/token",
			"id_token_signing_alg_values_supported": []string{"ES256"},
		})
	case "/jwks":
		fmt.Fprintf(w, `{"keys":[%s]}`, p.jwk)
	case "/token":
		r.ParseForm()
		p.mu.Lock()
		p.request = r.PostForm
		status, answer := p.answer()
		p.mu.Unlock()
		w.WriteHeader(status)
		json.NewEncoder(w).Encode(answer)
	}
}

// idToken is the provider's ID token of alice.
func (p *provider) idToken(t *testing.T, nonce string) string {
	t.Helper()
	tok, err := p.engine.Sign(t.Context(), map[string]string{"sub": "alice", "nonce": nonce, "sid": "theirs"}, auth.Issuer(p.URL), auth.Audience("chat"))
	if err != nil {
		t.Fatal(err)
	}
	return tok.Signed()
}

// visitor is a browser that keeps cookies, and does not follow redirections.
type visitor struct {
	t       *testing.T
	site    string
	cookies map[string]string
}

func (b *visitor) do(method, target string) *http.Response {
	b.t.Helper()
	req, err := http.NewRequest(method, b.site+target, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	for name, value := range b.cookies {
		req.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		b.t.Fatal(err)
	}
	resp.Body.Close()
	for _, c := range resp.Cookies() {
		if !c.HttpOnly || !c.Secure || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Domain != "" || !strings.HasPrefix(c.Name, "__Host-") {
			b.t.Errorf("the cookie %+v", c)
		}
		b.cookies[c.Name] = c.Value
		if c.MaxAge < 0 {
			delete(b.cookies, c.Name)
		}
	}
	return resp
}

// begin goes to the provider, and answers its questions.
func (b *visitor) begin() url.Values {
	b.t.Helper()
	resp := b.do("GET", "/login")
	u, err := url.Parse(resp.Header.Get("Location"))
	if err != nil || resp.StatusCode != http.StatusFound || u.Path != "/auth" {
		b.t.Fatalf("login: %s %s", resp.Status, u)
	}
	return u.Query()
}

func start(t *testing.T) (*provider, *visitor) {
	t.Helper()
	log.SetOutput(io.Discard)
	t.Cleanup(func() { log.SetOutput(os.Stderr) })
	p := startProvider(t)
	found, err := oidc.Discover(t.Context(), oidc.Options{Issuer: p.URL, ClientIDs: []string{"chat"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(found.Close)
	_, handler, err := newHandler(found, oauth2.Config{
		ClientID: "chat", ClientSecret: "secret", Endpoint: found.Endpoint(),
		RedirectURL: "https://chat.example/callback", Scopes: []string{"openid"},
	}, "a key of the test, with 32 bytes or more")
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return p, &visitor{t, server.URL, map[string]string{}}
}

func TestLogin(t *testing.T) {
	p, b := start(t)
	asked := b.begin()
	for name, want := range map[string]string{
		"client_id": "chat", "response_type": "code", "scope": "openid",
		"redirect_uri": "https://chat.example/callback", "code_challenge_method": "S256",
	} {
		if got := asked.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	p.answer = func() (int, map[string]any) {
		return http.StatusOK, map[string]any{"access_token": "a", "token_type": "Bearer", "id_token": p.idToken(t, asked.Get("nonce"))}
	}
	resp := b.do("GET", "/callback?code=c&state="+asked.Get("state"))
	if resp.StatusCode != http.StatusSeeOther || resp.Header.Get("Location") != "/" {
		t.Fatalf("callback: %s", resp.Status)
	}
	sum := sha256.Sum256([]byte(p.request.Get("code_verifier")))
	if base64.RawURLEncoding.EncodeToString(sum[:]) != asked.Get("code_challenge") || p.request.Get("code") != "c" {
		t.Errorf("the code was traded with %v", p.request)
	}

	// The cookie contains our own token, with a session of its own.
	signed := b.cookies["__Host-token"]
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(signed, ".")[1])
	if err != nil {
		t.Fatal(err)
	}
	var user struct{ Sub, Sid, Iss, Nonce string }
	if err := json.Unmarshal(payload, &user); err != nil || user.Sub != "alice" || user.Sid == "" || user.Sid == "theirs" || user.Iss != "" || user.Nonce != "" {
		t.Errorf("the token %s, %v", payload, err)
	}
	if len(b.cookies) != 1 {
		t.Errorf("cookies %v", b.cookies)
	}
	if resp := b.do("POST", "/logout"); resp.StatusCode != http.StatusNoContent || len(b.cookies) != 0 {
		t.Errorf("logout: %s, cookies %v", resp.Status, b.cookies)
	}
	b.cookies["__Host-token"] = signed
	if resp := b.do("POST", "/logout"); resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("a token after its logout: %s", resp.Status)
	}
}

// Cases that must not become a login.
func TestCallbackRefuses(t *testing.T) {
	p, b := start(t)
	good := func(asked url.Values) map[string]any {
		return map[string]any{"access_token": "a", "token_type": "Bearer", "id_token": p.idToken(t, asked.Get("nonce"))}
	}
	for name, c := range map[string]struct {
		spoil func(query, asked url.Values, answer map[string]any)
		asks  bool // the provider is asked for the ID token
	}{
		"no state":             {func(q, _ url.Values, _ map[string]any) { q.Del("state") }, false},
		"another state":        {func(q, _ url.Values, _ map[string]any) { q.Set("state", "x") }, false},
		"another browser":      {func(url.Values, url.Values, map[string]any) { clear(b.cookies) }, false},
		"an empty cookie":      {func(q, _ url.Values, _ map[string]any) { b.cookies["__Host-login"] = "x"; q.Del("state") }, false},
		"a broken cookie":      {func(url.Values, url.Values, map[string]any) { b.cookies["__Host-login"] = "%zz" }, false},
		"the provider refuses": {func(q, _ url.Values, _ map[string]any) { q.Set("error", "access_denied") }, false},
		"no ID token":          {func(_, _ url.Values, a map[string]any) { delete(a, "id_token") }, true},
		"the code is not good": {func(_, _ url.Values, a map[string]any) { clear(a); a["error"] = "invalid_grant" }, true},
		"an old ID token":      {func(_, _ url.Values, a map[string]any) { a["id_token"] = p.idToken(t, "x") }, true},
		"a forged ID token":    {func(_, _ url.Values, a map[string]any) { a["id_token"] = a["id_token"].(string) + "A" }, true},
	} {
		t.Run(name, func(t *testing.T) {
			clear(b.cookies)
			asked := b.begin()
			query, answer := url.Values{"code": {"c"}, "state": asked["state"]}, good(asked)
			c.spoil(query, asked, answer)
			asks := false
			p.answer = func() (int, map[string]any) {
				asks = true
				if answer["error"] != nil {
					return http.StatusBadRequest, answer
				}
				return http.StatusOK, answer
			}
			if resp := b.do("GET", "/callback?"+query.Encode()); resp.StatusCode != http.StatusUnauthorized || len(b.cookies) != 0 {
				t.Errorf("%s, cookies %v", resp.Status, b.cookies)
			}
			if asks != c.asks {
				t.Errorf("asked: %v", asks)
			}
		})
	}
	t.Run("twice", func(t *testing.T) {
		asked := b.begin()
		p.answer = func() (int, map[string]any) { return http.StatusOK, good(asked) }
		back := "/callback?code=c&state=" + asked.Get("state")
		if resp := b.do("GET", back); resp.StatusCode != http.StatusSeeOther {
			t.Fatal(resp.Status)
		}
		if resp := b.do("GET", back); resp.StatusCode != http.StatusUnauthorized {
			t.Errorf("the second time: %s", resp.Status)
		}
	})
	if _, _, err := newHandler(nil, oauth2.Config{}, "short"); err == nil {
		t.Error("a short key was accepted")
	}
}
