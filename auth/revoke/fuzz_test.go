package revoke_test

import (
	"bytes"
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/auth/revoke"
)

// FuzzMatches compares what is read from a token with what encoding/json reads.
func FuzzMatches(f *testing.F) {
	f.Add(`{"username":"alice","iat":1700000000}`, "username", "alice")
	f.Add(` { "x" : [ "]" , {"sub":"\"}"} ] , "\u0073ub" : "\u0061\/" , "iat" : 1e9 } `, "sub", "a/")
	f.Add(`{"id":-7,"iat":1.5e3}`, "id", "-7")
	f.Add(`{"id":7.0}`, "id", "7.0")
	f.Add(`{"a\\":"\\","iat":null}`, `a\`, `\`)
	f.Add(`{"é":"\ud83d\ude00"}`, "é", "\U0001F600")
	f.Add(`{"sub":"alice","iat":9e9}`, "sub", "alice") // issued in the future, which nobody can have done
	f.Add(`{"sub":"alice","iat":-1e19}`, "sub", "alice")
	f.Fuzz(func(t *testing.T, payload, claim, value string) {
		token, err := auth.NewToken("signed", []byte(payload))
		if err != nil {
			return
		}
		const before = 1600000000
		r := revoke.Revocation{Subject: value, Claim: claim, Before: second(before)}
		var m revoke.Memory
		if m.Add(t.Context(), r) != nil {
			return
		}
		if claim == "" {
			claim = "sub"
		}
		want := naive(t, payload, claim, value, before)
		if got := r.Matches(token); got != want {
			t.Errorf("%s with %q in %q: Matches is %v", payload, value, claim, got)
		}
		if _, got := m.Check(token); got != want {
			t.Errorf("%s with %q in %q: Check is %v", payload, value, claim, got)
		}
	})
}

func naive(t *testing.T, payload, claim, value string, before float64) bool {
	d := json.NewDecoder(bytes.NewReader([]byte(payload)))
	d.UseNumber()
	var claims map[string]any
	if err := d.Decode(&claims); err != nil {
		t.Fatalf("%q: %v", payload, err)
	}
	text, _ := claims[claim].(string)
	if n, ok := claims[claim].(json.Number); ok && strings.Trim(strings.TrimPrefix(string(n), "-"), "0123456789") == "" {
		text = string(n)
	}
	iat := math.Inf(-1)
	if n, ok := claims["iat"].(json.Number); ok {
		ahead := float64(time.Now().Add(time.Minute).Unix()) // beyond this, nobody can have issued it
		if f, err := n.Float64(); err == nil && f <= ahead {
			iat = f
		}
	}
	return value != "" && text == value && math.Floor(iat) <= before
}
