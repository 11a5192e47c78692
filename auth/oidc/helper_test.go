package oidc_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/auth/oidc"
	"github.com/socketcluster-go/socketcluster/internal/keytest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	issuer   = "https://login.example"
	document = "/.well-known/openid-configuration"
	client   = "chat"
)

// signer is a key of the provider's.
type signer struct {
	*auth.JWT
	jwk string
}

func newSigner(t testing.TB, kid string) signer {
	t.Helper()
	key, jwk := keytest.NewEC(t, kid)
	return signer{keytest.NewEngine(t, key, auth.Options{DefaultExpiry: -1}), jwk}
}

// token signs good claims, changed: nil takes a claim out.
func (s signer) token(t testing.TB, changes map[string]any, opts ...auth.SignOption) string {
	t.Helper()
	claims := map[string]any{"iss": issuer, "aud": client, "sub": "alice", "iat": 1000000000, "exp": 4000000000}
	maps.Copy(claims, changes)
	maps.DeleteFunc(claims, func(_ string, v any) bool { return v == nil })
	if claims["iat"] == nil {
		opts = append(opts, auth.NoTimestamp())
	}
	tok, err := s.Sign(t.Context(), claims, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return tok.Signed()
}

// web is a provider without sockets, which works in a bubble.
type web struct {
	mu       sync.Mutex
	doc      map[string]any
	keys     string
	handlers map[string]http.HandlerFunc // of other paths, or in place of the two
	paths    []string                    // of requests
}

func newWeb(signers ...signer) *web {
	w := &web{doc: map[string]any{
		"issuer":                                issuer,
		"authorization_endpoint":                issuer + "/auth",
		"token_endpoint":                        issuer + "/token",
		"jwks_uri":                              "https://keys.example/jwks",
		"id_token_signing_alg_values_supported": []string{"RS256", "ES256", "HS256", "none"},
	}, handlers: map[string]http.HandlerFunc{}}
	w.publish(signers...)
	return w
}

func (w *web) publish(signers ...signer) {
	var list []string
	for _, s := range signers {
		list = append(list, s.jwk)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.keys = `{"keys":[` + strings.Join(list, ",") + `]}`
}

func (w *web) count(path string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := 0
	for _, p := range w.paths {
		if p == path {
			n++
		}
	}
	return n
}

func (w *web) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	w.paths = append(w.paths, r.URL.Path)
	handler, keys := w.handlers[r.URL.Path], w.keys
	text, err := json.Marshal(w.doc)
	w.mu.Unlock()
	switch {
	case err != nil:
		panic(err)
	case handler != nil:
		handler(rw, r)
	case r.URL.Path == document:
		rw.Header().Set("Content-Type", "application/json")
		rw.Write(text)
	case r.URL.Path == "/jwks":
		fmt.Fprint(rw, keys)
	default:
		http.NotFound(rw, r)
	}
}

// RoundTrip serves all hosts.
func (w *web) RoundTrip(r *http.Request) (*http.Response, error) {
	rec := httptest.NewRecorder()
	w.ServeHTTP(rec, r)
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	response := rec.Result()
	response.Request = r
	return response, nil
}

// discover makes a provider that lasts as long as the test, and an engine of it
// and of own keys.
func discover(t testing.TB, w *web, ids ...string) (*oidc.Provider, *auth.JWT) {
	t.Helper()
	if ids == nil {
		ids = []string{client}
	}
	p, err := oidc.Discover(t.Context(), oidc.Options{Issuer: issuer, ClientIDs: ids, Transport: w, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	own, err := auth.NewKeyRing(auth.RingKey{ID: "own", Key: auth.HMACKey([]byte("a key of these tests, with 32 bytes or more"))})
	if err != nil {
		t.Fatal(err)
	}
	j, err := auth.NewJWT(auth.Options{Keys: auth.KeySources{own, p}})
	if err != nil {
		t.Fatal(err)
	}
	return p, j
}

// want compares an error with its text; "" means none.
func want(t testing.TB, err error, text string) {
	t.Helper()
	got := ""
	if err != nil {
		got = err.Error()
	}
	if got != text {
		t.Errorf("got %q, want %q", got, text)
	}
}

func verify(t testing.TB, j *auth.JWT, signed string) error {
	t.Helper()
	_, err := j.Verify(t.Context(), signed)
	return err
}

// wantOption checks an error about an option.
func wantOption(t testing.TB, err error, field, reason string) {
	t.Helper()
	o, ok := errors.AsType[*auth.OptionError](err)
	if !ok || o.Field != field || !strings.Contains(o.Reason, reason) {
		t.Errorf("got %v, want %s: …%s…", err, field, reason)
	}
}
