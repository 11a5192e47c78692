package revoke_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/auth/revoke"
	"github.com/socketcluster-go/socketcluster/wire"
)

// A store and a single revocation must agree on which tokens are revoked.
func TestWhichTokensAreRevoked(t *testing.T) {
	for _, c := range []struct {
		name    string
		r       revoke.Revocation
		payload string
		want    bool
	}{
		{"jti", revoke.Revocation{JTI: "a"}, `{"jti":"a","iat":9999999999}`, true},
		{"another jti", revoke.Revocation{JTI: "a"}, `{"jti":"A"}`, false},
		{"longer jti", revoke.Revocation{JTI: "a"}, `{"jti":"aa"}`, false},
		{"no jti", revoke.Revocation{JTI: "a"}, `{"sub":"a","sid":"a"}`, false},
		{"jti inside", revoke.Revocation{JTI: "a"}, `{"x":{"jti":"a"},"y":["jti","a"]}`, false},
		{"jti in an array", revoke.Revocation{JTI: "a"}, `{"jti":["a"]}`, false},
		{"jti that is a number", revoke.Revocation{JTI: "7"}, `{"jti":7}`, true},
		{"jti with escapes", revoke.Revocation{JTI: "a/é"}, ` { "j\u0074i" : "\u0061\/\u00e9" } `, true},
		{"claim in other letters", revoke.Revocation{JTI: "a"}, `{"JTI":"a"}`, false},

		{"session", revoke.Revocation{Session: "s"}, `{"jti":"x","sid":"s","iat":9999999999}`, true},
		{"another session", revoke.Revocation{Session: "s"}, `{"sid":"t"}`, false},

		{"user before", revoke.Revocation{Subject: "u", Before: second(100)}, `{"sub":"u","iat":99}`, true},
		{"user in the same second", revoke.Revocation{Subject: "u", Before: second(100)}, `{"sub":"u","iat":100}`, true},
		{"user after", revoke.Revocation{Subject: "u", Before: second(100)}, `{"iat":101,"sub":"u"}`, false},
		{"moment within the second", revoke.Revocation{Subject: "u", Before: second(100).Add(999 * time.Millisecond)}, `{"iat":100,"sub":"u"}`, true},
		{"moment within the second before", revoke.Revocation{Subject: "u", Before: second(100).Add(999 * time.Millisecond)}, `{"iat":101,"sub":"u"}`, false},
		{"moment within the second, fraction after", revoke.Revocation{Subject: "u", Before: second(100).Add(time.Millisecond)}, `{"iat":100.9,"sub":"u"}`, false},
		{"moment within the second, fraction before", revoke.Revocation{Subject: "u", Before: second(100).Add(900 * time.Millisecond)}, `{"iat":100.9,"sub":"u"}`, true},
		{"the microsecond of the moment", revoke.Revocation{Subject: "u", Before: second(100).Add(1)}, `{"auth_time":100.000001,"sub":"u"}`, true},
		{"the microsecond after", revoke.Revocation{Subject: "u", Before: second(100).Add(1)}, `{"auth_time":100.000002,"sub":"u"}`, false},
		{"an old login that was renewed", revoke.Revocation{Subject: "u", Before: second(100)}, `{"auth_time":99.5,"iat":200,"sub":"u"}`, true},
		{"a new login, signed with an old iat", revoke.Revocation{Subject: "u", Before: second(100)}, `{"auth_time":100.5,"iat":100,"sub":"u"}`, false},
		{"auth_time of another type", revoke.Revocation{Subject: "u", Before: second(100)}, `{"auth_time":"200","iat":200,"sub":"u"}`, true},
		{"auth_time ahead of the clock", revoke.Revocation{Subject: "u", Before: second(100)}, `{"auth_time":99999999999,"iat":200,"sub":"u"}`, true},
		{"session, whenever the login was", revoke.Revocation{Session: "s"}, `{"auth_time":99999999999,"sid":"s"}`, true},
		{"another user", revoke.Revocation{Subject: "u", Before: second(100)}, `{"sub":"v","iat":99}`, false},
		{"no iat", revoke.Revocation{Subject: "u", Before: second(100)}, `{"sub":"u"}`, true},
		{"iat of another type", revoke.Revocation{Subject: "u", Before: second(100)}, `{"sub":"u","iat":"200"}`, true},
		{"iat beyond all numbers", revoke.Revocation{Subject: "u", Before: second(100)}, `{"sub":"u","iat":1e999}`, true},
		{"iat beyond all times", revoke.Revocation{Subject: "u", Before: second(100)}, `{"sub":"u","iat":1e30}`, true},
		{"iat ahead of the clock", revoke.Revocation{Subject: "u", Before: second(100)}, `{"sub":"u","iat":99999999999}`, true},
		{"iat before all times", revoke.Revocation{Subject: "u", Before: second(100)}, `{"sub":"u","iat":-1e30}`, true},
		{"iat before the epoch", revoke.Revocation{Subject: "u", Before: second(-10)}, `{"sub":"u","iat":-10.5}`, true},

		{"claim", revoke.Revocation{Subject: "u", Claim: "username", Before: second(100)}, `{"username":"u","iat":1}`, true},
		{"claim that is a number", revoke.Revocation{Subject: "-42", Claim: "id", Before: second(100)}, `{"id":-42,"iat":1}`, true},
		{"claim that is a fraction", revoke.Revocation{Subject: "4.5", Claim: "id", Before: second(100)}, `{"id":4.5,"iat":1}`, false},
		{"claim that is true", revoke.Revocation{Subject: "true", Claim: "id", Before: second(100)}, `{"id":true,"iat":1}`, false},
		{"sub when another claim is asked for", revoke.Revocation{Subject: "u", Claim: "username", Before: second(100)}, `{"sub":"u","iat":1}`, false},
		{"claim iat after", revoke.Revocation{Subject: "107", Claim: "iat", Before: second(100)}, `{"iat":107}`, false},
		{"claim iat", revoke.Revocation{Subject: "7", Claim: "iat", Before: second(100)}, `{"iat":7}`, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			token := tokenOf(t, c.payload)
			r, err := c.r.Normalize(second(5000))
			if err != nil {
				t.Fatal(err)
			}
			if got := r.Matches(token); got != c.want {
				t.Errorf("Matches is %v", got)
			}
			var m revoke.Memory
			add(t, &m, c.r)
			found, got := m.Check(token)
			if got != c.want {
				t.Errorf("Check is %v", got)
			}
			if got {
				if diff := cmp.Diff(r, found); diff != "" {
					t.Error(diff)
				}
			}
		})
	}
}

// A token whose iat lies in the future does not get past a revocation of its
// user. The clocks of others may be ahead by a minute.
func TestIssuedInTheFuture(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(300 * time.Millisecond)
		r, err := revoke.Revocation{Subject: "u"}.Normalize(time.Now())
		if err != nil {
			t.Fatal(err)
		}
		var m revoke.Memory
		add(t, &m, r)
		now := time.Now().Unix()
		for ahead, want := range map[int64]bool{0: true, 1: false, 60: false, 61: true, 3600: true, 1 << 40: true} {
			payload := fmt.Sprintf(`{"sub":"u","iat":%d}`, now+ahead)
			check(t, &m, payload, want)
			if got := r.Matches(tokenOf(t, payload)); got != want {
				t.Errorf("%d s ahead: Matches is %v", ahead, got)
			}
		}
		// The token of a login that comes later is good by then.
		time.Sleep(time.Hour)
		check(t, &m, fmt.Sprintf(`{"sub":"u","iat":%d}`, time.Now().Unix()), false)
	})
}

func TestNoTokenIsNotRevoked(t *testing.T) {
	var m revoke.Memory
	add(t, &m, revoke.Revocation{JTI: "a"})
	if _, revoked := m.Check(nil); revoked {
		t.Error("Check")
	}
	if (revoke.Revocation{JTI: "a"}).Matches(nil) {
		t.Error("Matches")
	}
}

func TestNormalize(t *testing.T) {
	now := second(1000).Add(500 * time.Millisecond)
	for _, c := range []struct{ in, want revoke.Revocation }{
		{revoke.Revocation{Subject: "u"}, revoke.Revocation{Subject: "u", Before: now}},
		{revoke.Revocation{Subject: "u", Before: now.Add(-time.Minute - 1).Local()}, revoke.Revocation{Subject: "u", Before: now.Add(-time.Minute)}},
		{revoke.Revocation{JTI: "j", Until: now.Local()}, revoke.Revocation{JTI: "j", Until: second(1001)}},
		{revoke.Revocation{Session: "s", Until: second(1000)}, revoke.Revocation{Session: "s", Until: second(1000)}},
	} {
		got, err := c.in.Normalize(now)
		if err != nil || got != c.want {
			t.Errorf("got %+v, %v, want %+v", got, err, c.want)
		}
		if again, err := got.Normalize(now.Add(time.Hour)); err != nil || again != got {
			t.Errorf("again: got %+v, %v, want %+v", again, err, got)
		}
	}
}

func TestInvalidRevocations(t *testing.T) {
	long := strings.Repeat("x", 1025)
	for _, c := range []struct {
		r    revoke.Revocation
		want string
	}{
		{revoke.Revocation{}, "revoke: exactly one of JTI, Session and Subject must be set"},
		{revoke.Revocation{Before: second(1), Reason: "all"}, "revoke: exactly one of JTI, Session and Subject must be set"},
		{revoke.Revocation{JTI: "a", Session: "b"}, "revoke: exactly one of JTI, Session and Subject must be set"},
		{revoke.Revocation{JTI: "a", Subject: "b"}, "revoke: exactly one of JTI, Session and Subject must be set"},
		{revoke.Revocation{Session: "a", Claim: "b"}, "revoke: Claim is set without Subject"},
		{revoke.Revocation{JTI: "a", Before: second(1)}, "revoke: Before is set with JTI"},
		{revoke.Revocation{Subject: "a", Claim: "jti"}, "revoke: Claim is jti; there is a field for that"},
		{revoke.Revocation{Subject: "a", Claim: "sid"}, "revoke: Claim is sid; there is a field for that"},
		{revoke.Revocation{Session: long}, "revoke: a text has 1025 bytes; at most 1024 are allowed"},
		{revoke.Revocation{JTI: "a", Reason: long}, "revoke: a text has 1025 bytes; at most 1024 are allowed"},
	} {
		var m revoke.Memory
		m.Watch(func(revoke.Revocation) { t.Error("a watcher was notified") })
		if err := m.Add(t.Context(), c.r); err == nil || err.Error() != c.want || m.Len() != 0 {
			t.Errorf("%+v: got %v with %d held, want %s", c.r, err, m.Len(), c.want)
		}
	}
}

func TestForToken(t *testing.T) {
	for payload, want := range map[string]revoke.Revocation{
		`{"jti":"a","exp":5000}`:   {JTI: "a", Until: second(5000)},
		`{"jti":"a"}`:              {JTI: "a"},
		`{"exp":5000,"jti":17}`:    {JTI: "17", Until: second(5000)},
		`{"jti":"\u0061","exp":1}`: {JTI: "a", Until: second(1)},
		`{"jti":"a","exp":1.5}`:    {JTI: "a", Until: second(1).Add(500 * time.Millisecond)},
	} {
		got, ok := revoke.ForToken(tokenOf(t, payload))
		if got.Until = got.Until.UTC(); !ok || got != want {
			t.Errorf("%s: got %+v, %v", payload, got, ok)
		}
	}
	for _, payload := range []string{`{}`, `{"jti":""}`, `{"jti":null}`, `{"jti":["a"]}`, `{"sub":"a"}`} {
		if r, ok := revoke.ForToken(tokenOf(t, payload)); ok {
			t.Errorf("%s: got %+v", payload, r)
		}
	}
}

// A token that is revoked by ForToken stays revoked as long as it could be
// used.
func TestForTokenLastsAsLongAsTheToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(300 * time.Millisecond) // tokens have whole seconds
		engine, err := auth.NewJWT(auth.Options{Key: "0123456789abcdef0123456789abcdef"})
		if err != nil {
			t.Fatal(err)
		}
		token, err := engine.Sign(t.Context(), map[string]any{}, auth.JWTID("a"), auth.ExpiresIn(10*time.Second))
		if err != nil {
			t.Fatal(err)
		}
		r, _ := revoke.ForToken(token)
		var m revoke.Memory
		add(t, &m, r)
		for range 120 {
			_, good := engine.Verify(t.Context(), token.Signed())
			if _, revoked := m.Check(token); good == nil && !revoked {
				t.Fatalf("revoked no more %v before its end", time.Until(r.Until))
			}
			time.Sleep(100 * time.Millisecond)
		}
		if _, revoked := m.Check(token); revoked {
			t.Error("still revoked after its end")
		}
	})
}

func TestErr(t *testing.T) {
	err := revoke.Revocation{JTI: "a", Reason: "stolen"}.Err()
	var e *wire.Error
	if !errors.As(err, &e) {
		t.Fatalf("%T", err)
	}
	if got, want := string(e.AppendJSON(nil)), `{"message":"jwt revoked","name":"AuthTokenInvalidError","isBadToken":true}`; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// A store that is shared by machines sends revocations as JSON.
func TestRevocationsSurviveJSON(t *testing.T) {
	for want, r := range map[string]revoke.Revocation{
		`{"jti":"a"}`: {JTI: "a"},
		`{"sid":"s","until":"1970-01-01T00:00:09Z","disconnect":true}`:                                     {Session: "s", Until: second(9), Disconnect: true},
		`{"subject":"u","claim":"username","before":"1970-01-01T00:00:05Z","reason":"password forgotten"}`: {Subject: "u", Claim: "username", Before: second(5), Reason: "password forgotten"},
	} {
		text, err := json.Marshal(r)
		if err != nil || string(text) != want {
			t.Errorf("got  %s, %v\nwant %s", text, err, want)
		}
		var back revoke.Revocation
		if err := json.Unmarshal(text, &back); err != nil || back != r {
			t.Errorf("%s: got %+v, %v", text, back, err)
		}
	}
}
