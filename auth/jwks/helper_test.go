package jwks_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
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
)

// issuer signs tokens and publishes the key as a JWK.
type issuer struct {
	*auth.JWT
	jwk string
}

func newIssuer(t testing.TB, kid string) issuer {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	key, err := auth.ParsePEM(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	if err != nil {
		t.Fatal(err)
	}
	ring, err := auth.NewKeyRing(auth.RingKey{ID: kid, Key: key})
	if err != nil {
		t.Fatal(err)
	}
	j, err := auth.NewJWT(auth.Options{Keys: ring})
	if err != nil {
		t.Fatal(err)
	}
	point, err := k.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	b64 := base64.RawURLEncoding.EncodeToString
	jwk := `{"kty":"EC","crv":"P-256","x":"` + b64(point[1:33]) + `","y":"` + b64(point[33:]) + `"`
	if kid != "" {
		jwk += `,"kid":"` + kid + `"`
	}
	return issuer{j, jwk + "}"}
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

type logBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *logBuffer) take() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	defer b.text.Reset()
	return b.text.String()
}

func (b *logBuffer) logger() *slog.Logger { return slog.New(slog.NewTextHandler(b, nil)) }

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
