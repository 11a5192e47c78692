package auth_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/socketcluster-go/socketcluster/auth"
)

func TestTokenClaims(t *testing.T) {
	const payload = `{"username":"bob","n":12345678901234567890,"channels":["a",1,null],"none":null,"iat":1000,"exp":4000000000}`
	tok := accept(t, plain(t), craft(`{"alg":"HS256","kid":"k1"}`, payload))

	var claims struct {
		Username string
		N        uint64
		Channels []any
	}
	if err := tok.Claims(&claims); err != nil {
		t.Fatal(err)
	}
	if claims.Username != "bob" || claims.N != 12345678901234567890 || len(claims.Channels) != 3 {
		t.Errorf("decoded %+v", claims)
	}
	if err := tok.Claims(&[]int{}); err == nil {
		t.Error("an object was decoded into a list")
	}

	for name, want := range map[string]any{
		"username": "bob", "n": 12345678901234567890.0, "channels": []any{"a", 1.0, nil}, "none": nil, "iat": 1000.0,
	} {
		got, ok := tok.Claim(name)
		if diff := cmp.Diff(want, got); diff != "" || !ok {
			t.Errorf("Claim(%q) %v: %s", name, ok, diff)
		}
	}
	for _, name := range []string{"", "Username", "missing"} {
		if got, ok := tok.Claim(name); ok {
			t.Errorf("Claim(%q) = %v", name, got)
		}
	}
	if tok.KeyID() != "k1" || tok.Algorithm() != "HS256" {
		t.Errorf("kid %q, alg %q", tok.KeyID(), tok.Algorithm())
	}
	if iat, ok := tok.IssuedAt(); !ok || !iat.Equal(time.Unix(1000, 0)) {
		t.Errorf("issued %v, %v", iat, ok)
	}
}

// A caller's changes of results must not affect other holders of the token.
func TestTokenIsImmutable(t *testing.T) {
	tok := accept(t, plain(t), craft(hs256Header, `{"channels":["a"]}`))
	clear(tok.Payload())
	channels, _ := tok.Claim("channels")
	channels.([]any)[0] = "admin"
	if got, _ := tok.Claim("channels"); !cmp.Equal(got, []any{"a"}) {
		t.Errorf("channels became %v", got)
	}
	if got := string(tok.Payload()); got != `{"channels":["a"]}` {
		t.Errorf("payload became %s", got)
	}

	payload := []byte(`{"a":1}`)
	made, err := auth.NewToken("x", payload)
	if err != nil {
		t.Fatal(err)
	}
	clear(payload)
	if got := string(made.Payload()); got != `{"a":1}` {
		t.Errorf("payload became %s", got)
	}
}

// AUTH-40, JWT-26: the strict comparison in milliseconds for live connections.
func TestTokenExpired(t *testing.T) {
	ms := time.UnixMilli
	for _, c := range []struct {
		name, payload string
		now           time.Time
		want          bool
	}{
		{"no exp", `{}`, ms(1e15), false},
		{"exp of another type", `{"exp":"1"}`, ms(1e15), false},
		{"before", `{"exp":1000}`, ms(999_999), false},
		{"at exp", `{"exp":1000}`, ms(1_000_000), false},
		{"within the millisecond of exp", `{"exp":1000}`, ms(1_000_000).Add(999_999), false},
		{"after", `{"exp":1000}`, ms(1_000_001), true},
		{"fractional before", `{"exp":1000.5}`, ms(1_000_500), false},
		{"fractional after", `{"exp":1000.5}`, ms(1_000_501), true},
		{"JWT-26 huge", `{"exp":3.16e15}`, ms(8.64e15), false},
		{"JWT-26 past 64 bits", `{"exp":1e300}`, ms(8.64e15), false},
		{"JWT-26 huge negative", `{"exp":-3.16e15}`, ms(-8.64e15), true},
	} {
		t.Run("AUTH-40 "+c.name, func(t *testing.T) {
			tok, err := auth.NewToken("x", []byte(c.payload))
			if err != nil {
				t.Fatal(err)
			}
			if got := tok.Expired(c.now); got != c.want {
				t.Errorf("got %v", got)
			}
		})
	}
}

// JWT-26: dates stay within what callers can compute with.
func TestTokenDates(t *testing.T) {
	for value, want := range map[string]int64{
		"1000": 1_000_000, "1000.25": 1_000_250, "0": 0, "-1.5": -1500,
		"8.64e12": 8.64e15, "3.16e15": 8.64e15, "1e300": 8.64e15, "-3.16e15": -8.64e15,
	} {
		t.Run("JWT-26 "+value, func(t *testing.T) {
			tok, err := auth.NewToken("x", []byte(`{"exp":`+value+`,"iat":`+value+`}`))
			if err != nil {
				t.Fatal(err)
			}
			exp, ok1 := tok.ExpiresAt()
			iat, ok2 := tok.IssuedAt()
			if !ok1 || !ok2 || exp.UnixMilli() != want || iat.UnixMilli() != want {
				t.Errorf("exp %v %v, iat %v %v, want %d", exp.UnixMilli(), ok1, iat.UnixMilli(), ok2, want)
			}
		})
	}
	for _, payload := range []string{`{}`, `{"exp":null,"iat":null}`, `{"exp":"1","iat":"1"}`, `{"exp":1e999,"iat":1e999}`} {
		tok, err := auth.NewToken("x", []byte(payload))
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := tok.ExpiresAt(); ok {
			t.Errorf("%s has an exp", payload)
		}
		if _, ok := tok.IssuedAt(); ok {
			t.Errorf("%s has an iat", payload)
		}
	}
}

// AUTH-10: an engine of one's own makes its tokens with NewToken.
func TestNewToken(t *testing.T) {
	tok, err := auth.NewToken("opaque", []byte(`{"username":"bob"}`))
	if err != nil {
		t.Fatal(err)
	}
	if name, _ := tok.Claim("username"); name != "bob" || tok.Signed() != "opaque" || tok.Algorithm() != "" {
		t.Errorf("got %v %s %s", name, tok.Signed(), tok.Algorithm())
	}
	for _, payload := range []string{"", "null", `"text"`, "[]", "{", `{"a":1,"a":2}`, `{"a":1,"A":2}`, `{"sub":"\ud800"}`, "{}{}"} {
		if _, err := auth.NewToken("opaque", []byte(payload)); err == nil {
			t.Errorf("made of %q", payload)
		}
	}
}

// AUTH-11: the error for tokens that are not text.
func TestErrTokenNotString(t *testing.T) {
	const want = `{"message":"Invalid token format - Token must be a string","name":"AuthTokenError","isBadToken":true}`
	if got := errJSON(t, auth.ErrTokenNotString); got != want {
		t.Errorf("HS-11 row 8: got %s, want %s", got, want)
	}
}

// An engine sees all options through ApplySign and ApplyVerify.
func TestApplyOptions(t *testing.T) {
	s := auth.ApplySign(
		auth.PreferExpClaim(), auth.Audience("a"), auth.Audience("b", "c"), auth.Issuer("i"), auth.Subject("s"),
		auth.JWTID("j"), auth.KeyID("k"), auth.NoTimestamp(), auth.HeaderField("x", 1), auth.HeaderField("y", 2))
	wantSign := auth.SignOptions{
		PreferExpClaim: true, Audience: []string{"b", "c"}, Issuer: "i", Subject: "s", JWTID: "j", KeyID: "k",
		NoTimestamp: true, Header: []auth.HeaderMember{{Name: "x", Value: 1}, {Name: "y", Value: 2}},
	}
	subject, id, moment := "s", "j", time.Unix(5, 0)
	v := auth.ApplyVerify(
		auth.WithAudience(), auth.WithIssuer("i"), auth.WithSubject(subject), auth.WithJWTID(id),
		auth.ClockTolerance(time.Second), auth.At(moment), auth.IgnoreExpiration(), auth.IgnoreNotBefore())
	wantVerify := auth.VerifyOptions{
		Audience: []string{}, Issuer: []string{"i"}, Subject: &subject, JWTID: &id,
		ClockTolerance: time.Second, At: moment, IgnoreExpiration: true, IgnoreNotBefore: true,
	}
	noSpan := cmp.Comparer(func(a, b auth.Timespan) bool { return a.Given() == b.Given() })
	if diff := cmp.Diff(wantSign, s, noSpan) + cmp.Diff(wantVerify, v, noSpan); diff != "" {
		t.Error(diff)
	}
}

// CF-1 in small: a token outlives everything but its key and its time.
func TestSignThenVerify(t *testing.T) {
	j := newJWT(t, auth.Options{Key: testKey})
	tok, err := j.Sign(t.Context(), map[string]any{"username": strings.Repeat("ü", 50)}, auth.ExpiresIn("1h"))
	if err != nil {
		t.Fatal(err)
	}
	back := accept(t, j, tok.Signed())
	if string(back.Payload()) != string(tok.Payload()) {
		t.Errorf("signed %s, read %s", tok.Payload(), back.Payload())
	}
	exp1, _ := tok.ExpiresAt()
	exp2, ok := back.ExpiresAt()
	if iat, _ := back.IssuedAt(); !ok || !exp1.Equal(exp2) || exp2.Sub(iat) != time.Hour {
		t.Errorf("issued %v, expires %v and %v", iat, exp1, exp2)
	}
}

// A server may have a token for each of its connections.
func TestTokenTakesLittleMemory(t *testing.T) {
	const n = 1000
	signed := craft(`{"alg":"HS256","kid":"k1"}`, `{"username":"bob","channels":["a","b"],"iat":1000,"exp":4000000000}`)
	j := plain(t)
	tokens := make([]*auth.Token, n)
	live := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := live()
	for i := range tokens {
		tokens[i] = accept(t, j, strings.Clone(signed))
	}
	if size := (live() - before) / n; size >= uint64(len(signed)) {
		t.Errorf("a token of %d characters takes %d bytes", len(signed), size)
	}
	if tokens[0].Signed() != signed {
		t.Error("the token has another text")
	}
}

// A nil token, as that of a socket that is not logged in, has nothing. No method panics.
func TestNilToken(t *testing.T) {
	var none *auth.Token
	if v, ok := none.Claim("sub"); v != nil || ok {
		t.Error(v, ok)
	}
	if err := none.Claims(&struct{}{}); err == nil {
		t.Error("claims of no token")
	}
	for name, date := range map[string]func() (time.Time, bool){
		"ExpiresAt": none.ExpiresAt, "IssuedAt": none.IssuedAt, "AuthTime": none.AuthTime, "ValidUntil": none.ValidUntil,
	} {
		if at, ok := date(); ok {
			t.Error(name, at)
		}
	}
	if none.Payload() != nil || none.Signed() != "" || none.Algorithm() != "" || none.KeyID() != "" || none.Expired(time.Now()) {
		t.Error("no token has something")
	}
	if shown := fmt.Sprint(none); shown != "<nil>" {
		t.Error(shown)
	}
	if text, err := json.Marshal(none); string(text) != "null" || err != nil {
		t.Error(string(text), err)
	}
	typ := reflect.TypeFor[*auth.Token]()
	if typ.NumMethod() != 13 { // Format and MarshalJSON included
		t.Errorf("%d methods, some of which are not here", typ.NumMethod())
	}
}
