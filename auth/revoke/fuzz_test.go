package revoke_test

import (
	"bytes"
	"encoding/json"
	"math/big"
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
	f.Add(`{"sub":"alice","auth_time":1500000000.25,"iat":1700000000}`, "sub", "alice")
	f.Add(`{"sub":"alice","iat":1600000000.00000000001}`, "sub", "alice")
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
	at, ok := claims["auth_time"]
	if !ok {
		at = claims["iat"]
	}
	return value != "" && text == value && !after(at, before)
}

// after reports whether a claim is a moment after another that can have been.
func after(claim any, before float64) bool {
	n, ok := claim.(json.Number)
	if !ok {
		return false
	}
	f, err := n.Float64()
	if ahead := float64(time.Now().Add(time.Minute).Unix()); err != nil || f > ahead {
		return false
	}
	if len(n) > 40 || strings.ContainsAny(string(n), "eE") {
		return f > before
	}
	exact, ok := new(big.Rat).SetString(string(n))
	return ok && exact.Cmp(new(big.Rat).SetFloat64(before)) > 0
}
