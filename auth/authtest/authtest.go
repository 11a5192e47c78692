// Package authtest checks implementations of [auth.Engine], as testing/slogtest
// does for handlers of log/slog.
//
// It does not depend on the form of tokens, and does not wait: it sets the time
// with [auth.At].
package authtest

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/wire"
)

// TestEngine checks that engines keep the promises of [auth.Engine] on which a
// server relies. It calls newEngine for each check. The engine must be able to
// sign, and to verify what it has signed. Release its resources by t.Cleanup.
//
// Run it under the race detector.
func TestEngine(t *testing.T, newEngine func(t *testing.T) auth.Engine) {
	for _, c := range []struct {
		name  string
		check func(*kit)
	}{
		{"round trip", (*kit).roundTrip},
		{"claims that cannot be signed", (*kit).badClaims},
		{"tampering", (*kit).tampering},
		{"foreign text", (*kit).foreign},
		{"expiry", (*kit).expiry},
		{"exp claim", (*kit).expClaim},
		{"far expiry", (*kit).farExpiry},
		{"fraction of a second", (*kit).fraction},
		{"not before", (*kit).notBefore},
		{"registered claims", (*kit).registered},
		{"maximum age", (*kit).maxAge},
		{"time of the login", (*kit).authTime},
		{"context", (*kit).context},
		{"concurrency", (*kit).concurrency},
	} {
		t.Run(c.name, func(t *testing.T) { c.check(&kit{T: t, engine: newEngine(t)}) })
	}
}

type kit struct {
	*testing.T
	engine auth.Engine
}

// oneOf checks each result of an engine: a token or an error, never both and
// never neither.
func (k *kit) oneOf(call string, token *auth.Token, err error) bool {
	k.Helper()
	if (token == nil) == (err == nil) {
		k.Errorf("%s returns the token %v and the error %v; it must return exactly one of them", call, token, err)
		return false
	}
	return true
}

// sign signs claims that the engine must accept.
func (k *kit) sign(claims any, opts ...auth.SignOption) *auth.Token {
	k.Helper()
	token, err := k.engine.Sign(k.Context(), claims, opts...)
	if !k.oneOf("Sign", token, err) || err != nil {
		k.Fatalf("Sign(%v): %v", claims, err)
	}
	if token.Signed() == "" {
		k.Fatal("Sign returns a token without text")
	}
	return token
}

func (k *kit) cannotSign(what string, claims any, opts ...auth.SignOption) {
	k.Helper()
	token, err := k.engine.Sign(k.Context(), claims, opts...)
	if k.oneOf("Sign", token, err) && err == nil {
		k.Errorf("Sign accepts %s", what)
	}
}

func (k *kit) accepts(what string, token *auth.Token, opts ...auth.VerifyOption) *auth.Token {
	k.Helper()
	back, err := k.engine.Verify(k.Context(), token.Signed(), opts...)
	if !k.oneOf("Verify", back, err) || err != nil {
		k.Fatalf("Verify refuses %s: %v", what, err)
	}
	if back.Signed() != token.Signed() {
		k.Errorf("Verify returns a token with the text %q, not the one that was given", back.Signed())
	}
	return back
}

// refuses checks the error that the server would send to the client (AUTH-20).
// The name "" stands for any of the names.
func (k *kit) refuses(what, signed, name string, bad bool, opts ...auth.VerifyOption) {
	k.Helper()
	token, err := k.engine.Verify(k.Context(), signed, opts...)
	if !k.oneOf("Verify", token, err) {
		return
	}
	if err == nil {
		k.Errorf("Verify accepts %s", what)
		return
	}
	e, ok := errors.AsType[*wire.Error](err)
	if !ok {
		k.Errorf("Verify refuses %s with a %T, not a *wire.Error: %v", what, err, err)
		return
	}
	switch e.Name {
	case wire.NameAuthToken, wire.NameAuthTokenInvalid, wire.NameAuthTokenExpired, wire.NameAuthTokenNotBefore:
	default:
		k.Errorf("Verify refuses %s with the name %q, which no client knows", what, e.Name)
	}
	if name != "" && e.Name != name {
		k.Errorf("Verify refuses %s with %v, want the name %s", what, err, name)
	}
	if v, _ := e.Field("isBadToken"); v != bad {
		k.Errorf("Verify refuses %s with isBadToken %v, want %v", what, v, bad)
	}
}

func (k *kit) context() {
	ctx, cancel := context.WithCancel(k.Context())
	token := k.sign(map[string]any{"username": "alice"})
	cancel()
	// Engines without I/O may ignore the context.
	again, err := k.engine.Sign(ctx, map[string]any{"username": "alice"})
	k.oneOf("Sign with a context that is done", again, err)
	again, err = k.engine.Verify(ctx, token.Signed())
	k.oneOf("Verify with a context that is done", again, err)
	k.accepts("a token that was verified before with a context that is done", token)
}

func (k *kit) concurrency() {
	var users sync.WaitGroup
	for i := range 8 {
		users.Go(func() {
			name := strings.Repeat("x", i+1)
			for range 16 {
				token, err := k.engine.Sign(k.Context(), map[string]any{"username": name})
				if !k.oneOf("Sign", token, err) || err != nil {
					k.Errorf("Sign: %v", err)
					return
				}
				back, err := k.engine.Verify(k.Context(), token.Signed())
				if !k.oneOf("Verify", back, err) || err != nil {
					k.Errorf("Verify: %v", err)
					return
				}
				if got, _ := back.Claim("username"); got != name {
					k.Errorf("the token of %s is one of %v", name, got)
				}
			}
		})
	}
	users.Wait()
}
