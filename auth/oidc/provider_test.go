package oidc_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/wire"
)

const bad = "AuthTokenInvalidError: "

// ID tokens for this application, and tokens that only look like one.
func TestIDTokens(t *testing.T) {
	s := newSigner(t, "1")
	w := newWeb(s)
	_, one := discover(t, w)
	_, two := discover(t, w, client, "mobile")

	type claims = map[string]any
	list := func(names ...any) []any { return names }
	raw := func(text string) json.RawMessage { return json.RawMessage(text) }
	for name, c := range map[string]struct {
		change   claims
		opts     []auth.SignOption
		one, two string // what an application of one name says, and one of two
	}{
		"good":                         {},
		"aud is a list of one":         {change: claims{"aud": list(client)}},
		"azp":                          {change: claims{"azp": client}},
		"nonce and sid":                {change: claims{"nonce": "n", "sid": "s"}},
		"typ JWT":                      {opts: []auth.SignOption{auth.HeaderField("typ", "JWT")}},
		"typ jwt":                      {opts: []auth.SignOption{auth.HeaderField("typ", "jwt")}},
		"aud of the other application": {change: claims{"aud": "mobile"}, one: "jwt audience invalid. expected: chat"},
		"aud of both":                  {change: claims{"aud": list(client, "mobile"), "azp": client}, one: "jwt audience invalid. expected only: chat"},
		"aud of both, azp the other":   {change: claims{"aud": list("mobile", client), "azp": "mobile"}, one: "jwt audience invalid. expected only: chat"},
		"aud of both without azp":      {change: claims{"aud": list(client, "mobile")}, one: "jwt audience invalid. expected only: chat", two: "jwt azp invalid. expected: chat or mobile"},
		"aud with a stranger":          {change: claims{"aud": list(client, "bank"), "azp": client}, one: "jwt audience invalid. expected only: chat", two: "jwt audience invalid. expected only: chat or mobile"},
		"aud with what is no text":     {change: claims{"aud": list(client, 1)}, one: "jwt audience invalid. expected only: chat", two: "jwt audience invalid. expected only: chat or mobile"},
		"aud of a stranger":            {change: claims{"aud": "bank"}, one: "jwt audience invalid. expected: chat", two: "jwt audience invalid. expected: chat or mobile"},
		"no aud":                       {change: claims{"aud": nil}, one: "jwt audience invalid. expected: chat", two: "jwt audience invalid. expected: chat or mobile"},
		"azp of a stranger":            {change: claims{"azp": "bank"}, one: "jwt azp invalid. expected: chat", two: "jwt azp invalid. expected: chat or mobile"},
		"azp that is no text":          {change: claims{"azp": list(client)}, one: "jwt azp invalid. expected: chat", two: "jwt azp invalid. expected: chat or mobile"},
		"another issuer":               {change: claims{"iss": "https://other.example"}, one: "jwt issuer invalid. expected: " + issuer},
		"a slash more":                 {change: claims{"iss": issuer + "/"}, one: "jwt issuer invalid. expected: " + issuer},
		"no issuer":                    {change: claims{"iss": nil}, one: "jwt issuer invalid. expected: " + issuer},
		"no exp":                       {change: claims{"exp": nil}, one: "jwt exp required"},
		"no iat":                       {change: claims{"iat": nil}, one: "jwt iat required"},
		"no sub":                       {change: claims{"sub": nil}, one: "jwt sub required"},
		"empty sub":                    {change: claims{"sub": ""}, one: "jwt sub required"},
		"sub that is a number":         {change: claims{"sub": 1}, one: "jwt sub required"},
		"an access token":              {opts: []auth.SignOption{auth.HeaderField("typ", "at+jwt")}, one: "jwt typ invalid. expected: JWT"},
		"a logout token":               {opts: []auth.SignOption{auth.HeaderField("typ", "logout+jwt")}, one: "jwt typ invalid. expected: JWT"},
		"a logout token of typ JWT":    {change: claims{"events": claims{"http://schemas.openid.net/event/backchannel-logout": claims{}}, "jti": "x"}, one: "jwt events unexpected"},
		"null events":                  {change: claims{"events": raw("null")}, one: "jwt events unexpected"},
		"typ that is no text":          {opts: []auth.SignOption{auth.HeaderField("typ", 1)}, one: "jwt typ invalid. expected: JWT"},
	} {
		t.Run(name, func(t *testing.T) {
			signed := s.token(t, c.change, c.opts...)
			if c.two == "" && !strings.HasPrefix(c.one, "jwt audience") {
				c.two = c.one
			}
			for _, e := range []struct {
				engine *auth.JWT
				want   string
			}{{one, c.one}, {two, c.two}} {
				if e.want != "" {
					e.want = bad + e.want
				}
				err := verify(t, e.engine, signed)
				want(t, err, e.want)
				if w, ok := errors.AsType[*wire.Error](err); ok {
					if drop, _ := w.Field("isBadToken"); drop != true {
						t.Errorf("a client keeps the token: %v", w.Fields)
					}
				}
			}
		})
	}
	t.Run("expired", func(t *testing.T) {
		want(t, verify(t, one, s.token(t, claims{"exp": 1000000001})), "AuthTokenExpiredError: jwt expired")
	})
	t.Run("own tokens are not held to it", func(t *testing.T) {
		tok, err := one.Sign(t.Context(), claims{"username": "alice"})
		if err != nil {
			t.Fatal(err)
		}
		want(t, verify(t, one, tok.Signed()), "")
	})
}

// The header cannot choose what a provider does not announce, nor what nobody
// should.
func TestAlgorithms(t *testing.T) {
	s := newSigner(t, "1")
	w := newWeb(s)
	_, j := discover(t, w)
	signed := s.token(t, nil)
	want(t, verify(t, j, signed), "")

	b64 := base64.RawURLEncoding.EncodeToString
	payload := strings.Split(signed, ".")[1]
	craft := func(alg, secret string) string {
		text := b64(fmt.Appendf(nil, `{"alg":%q,"kid":"1"}`, alg)) + "." + payload
		m := hmac.New(sha256.New, []byte(secret))
		m.Write([]byte(text))
		return text + "." + b64(m.Sum(nil))
	}
	want(t, verify(t, j, craft("HS256", "the secret of the client, 32 bytes or more")), bad+"invalid algorithm")
	want(t, verify(t, j, craft("HS256", s.jwk)), bad+"invalid algorithm")
	want(t, verify(t, j, craft("none", "")), bad+"invalid algorithm")
	none, _, _ := strings.Cut(craft("none", ""), "."+payload)
	want(t, verify(t, j, none+"."+payload+"."), bad+"jwt signature is required")

	w.doc["id_token_signing_alg_values_supported"] = []string{"RS256", "HS256"}
	_, j = discover(t, w)
	want(t, verify(t, j, signed), bad+"invalid algorithm")
	delete(w.doc, "id_token_signing_alg_values_supported") // then it is RS256
	_, j = discover(t, w)
	want(t, verify(t, j, signed), bad+"invalid algorithm")
}

func TestVerify(t *testing.T) {
	s := newSigner(t, "1")
	p, j := discover(t, newWeb(s))
	check := func(nonce any, sent, text string, opts ...auth.VerifyOption) {
		t.Helper()
		_, err := p.Verify(t.Context(), s.token(t, map[string]any{"nonce": nonce}), sent, opts...)
		want(t, err, text)
	}
	check("n-1", "n-1", "")
	check("n-1", "n-2", bad+"jwt nonce invalid")
	check(nil, "n-1", bad+"jwt nonce invalid")
	check("", "n-1", bad+"jwt nonce invalid")
	check(1, "1", bad+"jwt nonce invalid")
	check(nil, "", "oidc: Verify needs the nonce of the authorization request")
	check("", "", "oidc: Verify needs the nonce of the authorization request")
	check("n-1", "n-1", "AuthTokenExpiredError: maxAge exceeded", auth.MaxAge("1h"))

	// A clock that differs.
	soon := s.token(t, map[string]any{"nonce": "n", "nbf": time.Now().Add(30 * time.Second).Unix()})
	_, err := p.Verify(t.Context(), soon, "n")
	want(t, err, "AuthTokenNotBeforeError: jwt not active")
	_, err = p.Verify(t.Context(), soon, "n", auth.ClockTolerance(time.Minute))
	want(t, err, "")

	// The server's own token is not a token of the provider.
	own, err := j.Sign(t.Context(), map[string]any{"iss": issuer, "aud": client, "sub": "alice", "nonce": "n"})
	if err != nil {
		t.Fatal(err)
	}
	_, err = p.Verify(t.Context(), own.Signed(), "n")
	want(t, err, auth.ErrKeysUnavailable.Error())
	if _, signs := p.Signing(); signs {
		t.Error("the provider signs")
	}
}

// A provider changes its key. It is asked for the new one as soon as that signs.
func TestKeyRotation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, second := newSigner(t, "1"), newSigner(t, "2")
		w := newWeb(first)
		_, j := discover(t, w)
		want(t, verify(t, j, first.token(t, nil)), "")
		time.Sleep(time.Minute)
		w.publish(second)
		want(t, verify(t, j, second.token(t, nil)), "")
		want(t, verify(t, j, second.token(t, map[string]any{"aud": "bank"})), bad+"jwt audience invalid. expected: chat")
		want(t, verify(t, j, second.token(t, map[string]any{"exp": nil})), bad+"jwt exp required")
		time.Sleep(time.Minute)
		want(t, verify(t, j, first.token(t, nil)), bad+"unknown kid")
	})
}

// Strangers choose the kid. They do not choose how often the provider is asked.
func TestUnknownKidFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSigner(t, "1")
		w := newWeb(s)
		_, j := discover(t, w)
		began := w.count("/jwks")
		var strange []string
		for i := range 10 {
			strange = append(strange, newSigner(t, fmt.Sprint("stranger-", i)).token(t, nil))
		}
		for range 5 {
			time.Sleep(30 * time.Second)
			var strangers sync.WaitGroup
			for i := range 200 {
				strangers.Go(func() {
					if verify(t, j, strange[i%len(strange)]) == nil {
						t.Error("accepted")
					}
				})
			}
			strangers.Wait()
			want(t, verify(t, j, s.token(t, nil)), "")
		}
		if n := w.count("/jwks") - began; n != 5 {
			t.Errorf("%d requests in 5 floods", n)
		}
		if n := w.count(document); n != 1 {
			t.Errorf("the document was read %d times", n)
		}
	})
}

// While the provider is down, logins go on with the keys of before, for some hours.
func TestProviderDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSigner(t, "1")
		w := newWeb(s)
		_, j := discover(t, w)
		w.mu.Lock()
		w.keys = "<html>down"
		w.mu.Unlock()
		time.Sleep(5 * time.Hour)
		want(t, verify(t, j, s.token(t, nil)), "")
		want(t, verify(t, j, newSigner(t, "2").token(t, nil)), auth.ErrKeysUnavailable.Error())
		time.Sleep(time.Hour)
		want(t, verify(t, j, s.token(t, nil)), auth.ErrKeysUnavailable.Error())
	})
}
