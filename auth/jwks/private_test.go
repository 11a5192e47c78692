package jwks_test

import (
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/socketcluster-go/socketcluster/auth/jwks"
	"github.com/socketcluster-go/socketcluster/internal/logtest"
)

// paths is a network with a body for each path.
type paths struct {
	mu     sync.Mutex
	bodies map[string]string
}

func (p *paths) set(path, body string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.bodies[path] = body
}

func (p *paths) RoundTrip(r *http.Request) (*http.Response, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(p.bodies[r.URL.Path])), Request: r}, nil
}

// A private part ends its key at all addresses of a client, not only where it is.
func TestPrivatePartAtAnotherAddress(t *testing.T) {
	i, other := newIssuer(t, "1"), newIssuer(t, "2")
	for name, leak := range map[string]string{
		"a set":   `{"keys":[` + i.private + `,` + other.jwk + `]}`,
		"no set":  i.private,
		"no keys": `{"keys":[` + i.private + `]}`,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := &paths{bodies: map[string]string{"/a": set(i, other), "/b": set(other)}}
				_, j := start(t, jwks.Options{URLs: []string{"https://example.com/a", "https://example.com/b"}, Transport: w})
				want(t, verify(t, j, i.token(t)), "")
				w.set("/b", leak)
				time.Sleep(16 * time.Minute)
				if verify(t, j, i.token(t)) == nil {
					t.Error("the key is still accepted")
				}
				want(t, verify(t, j, other.token(t)), "")
				w.set("/b", set(other))
				time.Sleep(16 * time.Minute)
				want(t, verify(t, j, i.token(t)), "")
			})
		})
	}
}

// A private part in an answer that is no JWK Set ends its key; what is no set and has
// none leaves the keys of before, whatever it was meant to say.
func TestAnswersThatAreNoSets(t *testing.T) {
	i, other := newIssuer(t, "1"), newIssuer(t, "2")
	repeated := strings.TrimSuffix(i.private, "}") + `,"d":"` + i.d + `"}`
	many := strings.Repeat(`{"kty":"X"},`, 300)
	for name, c := range map[string]struct {
		body string
		ends bool
	}{
		"d twice":               {`{"keys":[` + repeated + `,` + i.jwk + `]}`, true},
		"keys twice":            {`{"keys":[` + i.private + `],"keys":[]}`, true},
		"too many keys":         {`{"keys":[` + many + i.private + `]}`, true},
		"a JWK":                 {i.private, true},
		"a list":                {`[` + i.private + `]`, true},
		"not the end":           {`{"keys":[` + strings.TrimSuffix(i.private, "}"), true},
		"something behind":      {i.private + `}`, true},
		"a set, other members":  {`{"keys":[` + i.jwk + `],"old":[{"key":` + i.private + `}]}`, true},
		"a JWK without d":       {i.jwk, false},
		"the d of another key":  {other.private, false},
		"d beside a key":        {`{"d":"` + i.d + `","key":` + i.jwk + `}`, false},
		"names as values":       {`[{"a":"d","key":` + i.jwk + `},"d"]`, false},
		"keys are null":         {`{"keys":null}`, false},
		"keys are an object":    {`{"keys":{}}`, false},
		"no member":             {`{}`, false},
		"an empty list":         {`[]`, false},
		"nothing":               {``, false},
		"brackets and no value": {strings.Repeat("[", 1<<16) + strings.Repeat(`{"d":`, 10_000), false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log logtest.Buffer
				w := &web{body: set(i)}
				_, j := start(t, jwks.Options{Transport: w, Logger: log.Logger()})
				want(t, verify(t, j, i.token(t)), "")
				w.set(func(w *web) { w.body = c.body })
				time.Sleep(16 * time.Minute)
				if err := verify(t, j, i.token(t)); (err != nil) != c.ends {
					t.Errorf("the key has ended: %v", err)
				}
				text := log.Take()
				if n := strings.Count(text, "the private parts of keys have been published"); n > 1 || n == 0 && c.ends {
					t.Errorf("logged %d times: %.500s", n, text)
				}
				if strings.Contains(text, i.d) {
					t.Errorf("the private part is in the log: %.500s", text)
				}
				w.set(func(w *web) { w.body = set(i) })
				time.Sleep(16 * time.Minute)
				want(t, verify(t, j, i.token(t)), "")
			})
		})
	}
}
