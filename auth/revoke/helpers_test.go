package revoke_test

import (
	"testing"
	"time"

	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/auth/revoke"
)

// tokenOf makes a token that is taken for verified.
func tokenOf(t testing.TB, payload string) *auth.Token {
	t.Helper()
	token, err := auth.NewToken("signed", []byte(payload))
	if err != nil {
		t.Fatalf("%s: %v", payload, err)
	}
	return token
}

func add(t testing.TB, s revoke.Store, r revoke.Revocation) {
	t.Helper()
	if err := s.Add(t.Context(), r); err != nil {
		t.Fatalf("%+v: %v", r, err)
	}
}

func check(t testing.TB, s revoke.Store, payload string, want bool) {
	t.Helper()
	if r, got := s.Check(tokenOf(t, payload)); got != want {
		t.Errorf("%s: revoked is %v by %+v, want %v", payload, got, r, want)
	}
}

func second(s int64) time.Time { return time.Unix(s, 0).UTC() }
