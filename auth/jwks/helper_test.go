package jwks_test

import (
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/auth/jwks"
	"github.com/socketcluster-go/socketcluster/internal/keytest"
)

// issuer signs tokens and publishes the key as a JWK.
type issuer struct {
	*auth.JWT
	jwk     string
	d       string // of its private part
	private string // with its private part, as a JWK
}

func newIssuer(t testing.TB, kid string) issuer {
	t.Helper()
	key, jwk, d := keytest.NewECPair(t, kid)
	private := strings.TrimSuffix(jwk, "}") + `,"d":"` + d + `"}`
	return issuer{keytest.NewEngine(t, key, auth.Options{}), jwk, d, private}
}

// token is one that lives as long as any test.
func (i issuer) token(t testing.TB, opts ...auth.SignOption) string {
	t.Helper()
	tok, err := i.Sign(t.Context(), map[string]any{"exp": 4000000000}, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return tok.Signed()
}

func set(issuers ...issuer) string {
	var list []string
	for _, i := range issuers {
		list = append(list, i.jwk)
	}
	return `{"keys":[` + strings.Join(list, ",") + `]}`
}

// web is a network without sockets, which works in a bubble: an answer for all
// addresses, after some time.
type web struct {
	mu     sync.Mutex
	status int
	body   string
	delay  time.Duration
	err    error
	times  []time.Time // of requests
}

func (w *web) set(change func(*web)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change(w)
}

func (w *web) requests() []time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.times)
}

func (w *web) count() int { return len(w.requests()) }

func (w *web) RoundTrip(r *http.Request) (*http.Response, error) {
	w.mu.Lock()
	w.times = append(w.times, time.Now())
	status, body, delay, err := w.status, w.body, w.delay, w.err
	w.mu.Unlock()
	select {
	case <-time.After(delay):
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
	if err != nil {
		return nil, err
	}
	if status == 0 {
		status = http.StatusOK
	}
	return &http.Response{StatusCode: status, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
}

// start makes a client and an engine that verifies with it.
func start(t testing.TB, o jwks.Options) (*jwks.Client, *auth.JWT) {
	t.Helper()
	if o.URLs == nil {
		o.URLs = []string{"https://example.com/jwks"}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	c, err := jwks.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	j, err := auth.NewJWT(auth.Options{Keys: c})
	if err != nil {
		t.Fatal(err)
	}
	return c, j
}

func verify(t testing.TB, j *auth.JWT, signed string) error {
	t.Helper()
	_, err := j.Verify(t.Context(), signed)
	return err
}

const (
	unknown     = "AuthTokenInvalidError: unknown kid"
	unavailable = "AuthTokenError: The key of the token is not available"
)

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
