package auth_test

import (
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/socketcluster-go/socketcluster/auth"
)

// raw keeps the text of claims as it is written in a test.
type raw = json.RawMessage

// JWT-25: the HMAC output is deterministic, so signing must reproduce the texts.
func TestSignVectors(t *testing.T) {
	const alice = `{"username":"alice","iat":1700000000,"exp":4000000000}`
	for _, c := range []struct {
		name, algorithm, payload, token string
		opts                            []auth.SignOption
	}{
		{name: "HS256", algorithm: "HS256", payload: alice, token: "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJ1c2VybmFtZSI6ImFsaWNlIiwiaWF0IjoxNzAwMDAwMDAwLCJleHAiOjQwMDAwMDAwMDB9.OHvhi1iOHKOr1t5dQ_uHjng0zbVmi8ZXzDdbAFh1GLw"},
		{name: "HS384", algorithm: "HS384", payload: alice, token: "eyJhbGciOiJIUzM4NCIsInR5cCI6IkpXVCJ9.eyJ1c2VybmFtZSI6ImFsaWNlIiwiaWF0IjoxNzAwMDAwMDAwLCJleHAiOjQwMDAwMDAwMDB9.N2zKxCk8NopbcS94hdzZD3FjacacOuRz8t-jqY6LkimzwWemjQPaWvGTDZrEkgn7"},
		{name: "HS512", algorithm: "HS512", payload: alice, token: "eyJhbGciOiJIUzUxMiIsInR5cCI6IkpXVCJ9.eyJ1c2VybmFtZSI6ImFsaWNlIiwiaWF0IjoxNzAwMDAwMDAwLCJleHAiOjQwMDAwMDAwMDB9.DsNOuPY1qV_VZ7Ee1i6jL5saRn2t_-61BfZOcYnosI1ArJgzUEUgHfGcoovvH6dPoS01COTB8VI5G5PR1yUMpw"},
		{name: "keyid", algorithm: "HS256", payload: alice, opts: []auth.SignOption{auth.KeyID("k1")}, token: "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6ImsxIn0.eyJ1c2VybmFtZSI6ImFsaWNlIiwiaWF0IjoxNzAwMDAwMDAwLCJleHAiOjQwMDAwMDAwMDB9.MTwhCoReuCj9l1biW835QvoI_wm3VZR8lM1fVP0r0aU"},
		{name: "expired", algorithm: "HS256", payload: `{"username":"alice","iat":1700000000,"exp":1700000060}`, token: "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJ1c2VybmFtZSI6ImFsaWNlIiwiaWF0IjoxNzAwMDAwMDAwLCJleHAiOjE3MDAwMDAwNjB9.q03yqKH_hYGFLXks2k86CU3JSwseA1MxpLp9_ryqp5o"},
		{name: "not before", algorithm: "HS256", payload: `{"username":"alice","iat":1700000000,"nbf":3900000000,"exp":4000000000}`, token: "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJ1c2VybmFtZSI6ImFsaWNlIiwiaWF0IjoxNzAwMDAwMDAwLCJuYmYiOjM5MDAwMDAwMDAsImV4cCI6NDAwMDAwMDAwMH0.EnIJHv73ic4z27j9xtOAr5TLOOgctxbK-9G59SCDMcA"},
	} {
		t.Run("JWT-25 "+c.name, func(t *testing.T) {
			j := newJWT(t, auth.Options{Key: "spec-key", AllowWeakKey: true, Algorithm: c.algorithm})
			tok, err := j.Sign(t.Context(), raw(c.payload), c.opts...)
			if err != nil {
				t.Fatal(err)
			}
			if tok.Signed() != c.token {
				t.Errorf("signed\n got %s\nwant %s", tok.Signed(), c.token)
			}
			if got := string(tok.Payload()); got != c.payload {
				t.Errorf("payload %s, want %s", got, c.payload)
			}
			back := accept(t, j, c.token, auth.IgnoreExpiration(), auth.IgnoreNotBefore())
			if string(back.Payload()) != c.payload || back.Algorithm() != c.algorithm || back.KeyID() != tok.KeyID() {
				t.Errorf("read back %s %s %s", back.Payload(), back.Algorithm(), back.KeyID())
			}
		})
	}
}

// JWT-3, JWT-5, JWT-6: what is signed for claims and options.
func TestSignClaims(t *testing.T) {
	type claims struct {
		Username string   `json:"username"`
		Channels []string `json:"channels,omitempty"`
		Markup   string   `json:"markup,omitempty"`
	}
	full := []auth.SignOption{
		auth.ExpiresIn("1h"), auth.NotBefore("1m"), auth.Audience("a", "b"),
		auth.Issuer("i"), auth.Subject("s"), auth.JWTID("7"),
	}
	for _, c := range []struct {
		name   string
		expiry time.Duration
		claims any
		opts   []auth.SignOption
		want   string
	}{
		{"JWT-5 order of generated claims", -1, raw(`{"z":1}`), full,
			`{"z":1,"iat":946684800,"nbf":946684860,"exp":946688400,"aud":["a","b"],"iss":"i","sub":"s","jti":"7"}`},
		{"JWT-5 existing iat keeps its place and is the base", -1, raw(`{"iat":1000,"z":1}`), full,
			`{"iat":1000,"z":1,"nbf":1060,"exp":4600,"aud":["a","b"],"iss":"i","sub":"s","jti":"7"}`},
		{"JWT-5 iat 0 is replaced", -1, raw(`{"iat":0,"z":1}`), nil, `{"iat":946684800,"z":1}`},
		{"JWT-5 NoTimestamp", -1, raw(`{"a":1,"iat":1000}`), []auth.SignOption{auth.NoTimestamp(), auth.ExpiresIn(time.Minute)},
			`{"a":1,"exp":1060}`},
		{"JWT-5 one audience is text", -1, raw(`{}`), []auth.SignOption{auth.Audience("a")}, `{"iat":946684800,"aud":"a"}`},
		{"AUTH-8 default of 24 hours", 0, raw(`{}`), nil, `{"iat":946684800,"exp":946771200}`},
		{"AUTH-8 configured default", time.Minute, raw(`{}`), nil, `{"iat":946684800,"exp":946684860}`},
		{"QK-21 no expiry", -1, raw(`{}`), nil, `{"iat":946684800}`},
		{"AUTH-24 exp claim wins over the default", 0, raw(`{"exp":5}`), nil, `{"exp":5,"iat":946684800}`},
		{"AUTH-24 exp claim wins over ExpiresIn when preferred", 0, raw(`{"exp":5}`),
			[]auth.SignOption{auth.ExpiresIn("1h"), auth.PreferExpClaim()}, `{"exp":5,"iat":946684800}`},
		{"AUTH-24 PreferExpClaim without exp claim", 0, raw(`{}`),
			[]auth.SignOption{auth.ExpiresIn("1h"), auth.PreferExpClaim()}, `{"iat":946684800,"exp":946688400}`},
		{"AUTH-24 option wins over the default", 0, raw(`{}`), []auth.SignOption{auth.ExpiresIn("-1s")}, `{"iat":946684800,"exp":946684799}`},
		{"JWT-26 large exp", 0, raw(`{"exp":3160000000000000}`), nil, `{"exp":3160000000000000,"iat":946684800}`},
		{"struct", -1, claims{Username: "bob", Channels: []string{"x"}}, nil, `{"username":"bob","channels":["x"],"iat":946684800}`},
		{"pointer", -1, &claims{Username: "bob"}, nil, `{"username":"bob","iat":946684800}`},
		{"map", -1, map[string]any{"b": 1, "a": nil}, nil, `{"a":null,"b":1,"iat":946684800}`},
		{"text is escaped as by JSON.stringify", -1, claims{Username: "é😀", Markup: "<a&\u2028>"}, nil,
			"{\"username\":\"é😀\",\"markup\":\"<a&\u2028>\",\"iat\":946684800}"},
		{"raw JSON keeps order and digits and loses spaces", -1, raw("{ \"b\": 12345678901234567890 ,\n\"a\":[1.0, {}],\"iat\":7}"), nil,
			`{"b":12345678901234567890,"a":[1.0,{}],"iat":7}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { // the clock stands at 2000-01-01
				j := newJWT(t, auth.Options{Key: testKey, DefaultExpiry: c.expiry})
				tok, err := j.Sign(t.Context(), c.claims, c.opts...)
				if err != nil {
					t.Fatal(err)
				}
				if got := string(tok.Payload()); got != c.want {
					t.Errorf("payload\n got %s\nwant %s", got, c.want)
				}
				if want := craft(hs256Header, c.want); tok.Signed() != want {
					t.Errorf("signed\n got %s\nwant %s", tok.Signed(), want)
				}
			})
		})
	}
}

// The options must not write into what the caller handed over.
func TestSignLeavesClaimsAlone(t *testing.T) {
	claims := map[string]any{"username": "bob", "iat": 1000}
	text := raw(`{"username":"bob","iat":1000}`)
	for _, c := range []any{claims, text} {
		if _, err := plain(t).Sign(t.Context(), c, auth.NoTimestamp(), auth.ExpiresIn("1h"), auth.JWTID("1")); err != nil {
			t.Fatal(err)
		}
	}
	if len(claims) != 2 || claims["iat"] != 1000 {
		t.Errorf("the map became %v", claims)
	}
	if string(text) != `{"username":"bob","iat":1000}` {
		t.Errorf("the raw message became %s", text)
	}
}

// JWT-3: the header.
func TestSignHeader(t *testing.T) {
	for _, c := range []struct {
		name, want string
		opts       []auth.SignOption
	}{
		{"plain", `{"alg":"HS256","typ":"JWT"}`, nil},
		{"keyid", `{"alg":"HS256","typ":"JWT","kid":"k\"1"}`, []auth.SignOption{auth.KeyID(`k"1`)}},
		{"fields are merged last", `{"alg":"HS256","typ":"at+jwt","kid":"k2","cty":"x"}`, []auth.SignOption{
			auth.KeyID("k1"), auth.HeaderField("cty", "x"), auth.HeaderField("typ", "at+jwt"), auth.HeaderField("kid", "k2")}},
	} {
		t.Run("JWT-3 "+c.name, func(t *testing.T) {
			tok, err := plain(t).Sign(t.Context(), raw(`{"iat":1}`), c.opts...)
			if err != nil {
				t.Fatal(err)
			}
			if want := craft(c.want, `{"iat":1}`); tok.Signed() != want {
				t.Errorf("got %s\nwant %s", tok.Signed(), want)
			}
			if back := accept(t, plain(t), tok.Signed()); back.KeyID() != tok.KeyID() {
				t.Errorf("kid %q, signed with %q", back.KeyID(), tok.KeyID())
			}
		})
	}
}

// JWT-2: what cannot be signed, and which reason comes first.
func TestSignRefusals(t *testing.T) {
	const object = `Expected "payload" to be a plain object.`
	hour := auth.ExpiresIn("1h")
	for _, c := range []struct {
		name   string
		claims any
		opts   []auth.SignOption
		want   string
	}{
		{"nil", nil, nil, "payload is required"},
		{"nil raw message", raw(nil), nil, "payload is required"},
		{"null", raw(`null`), nil, object},
		{"nil pointer", (*struct{})(nil), nil, object},
		{"array", []string{"a"}, nil, object},
		{"text (QK-19)", "text", nil, object},
		{"number (JWT-7)", 5, nil, object},
		{"bytes", []byte(`{"a":1}`), nil, object},
		{"iat not a number", raw(`{"iat":"1"}`), nil, `"iat" should be a number of seconds`},
		{"exp null (AUTH-24)", raw(`{"exp":null}`), []auth.SignOption{hour, auth.PreferExpClaim()}, `"exp" should be a number of seconds`},
		{"nbf not a number", raw(`{"nbf":true}`), nil, `"nbf" should be a number of seconds`},
		{"the first bad claim is named", raw(`{"nbf":"","exp":""}`), nil, `"nbf" should be a number of seconds`},
		{"exp infinite", raw(`{"exp":1e999}`), nil, `"exp" should be a number of seconds`},
		{"exp twice", raw(`{"exp":1}`), []auth.SignOption{hour}, `Bad "options.expiresIn" option the payload already has an "exp" property.`},
		{"nbf twice", raw(`{"nbf":1}`), []auth.SignOption{auth.NotBefore("1h")}, `Bad "options.notBefore" option the payload already has an "nbf" property.`},
		{"empty expiresIn", raw(`{}`), []auth.SignOption{auth.ExpiresIn("")}, `"expiresIn" should be a number of seconds or string representing a timespan`},
		{"empty notBefore", raw(`{}`), []auth.SignOption{auth.NotBefore("")}, `"notBefore" should be a number of seconds or string representing a timespan`},
		{"expiresIn without a unit", raw(`{}`), []auth.SignOption{auth.ExpiresIn(time.Duration(3600))}, `"expiresIn" is 3.6µs, as a number without a unit counts nanoseconds; write 3600*time.Millisecond or 3600*time.Second`},
		{"notBefore without a unit", raw(`{}`), []auth.SignOption{auth.NotBefore(time.Duration(60))}, `"notBefore" is 60ns, as a number without a unit counts nanoseconds; write 60*time.Millisecond or 60*time.Second`},
		{"bad expiresIn", raw(`{}`), []auth.SignOption{auth.ExpiresIn("1 month")}, `"expiresIn" should be a number of seconds or string representing a timespan eg: "1d", "20h", 60`},
		{"bad notBefore comes first", raw(`{}`), []auth.SignOption{auth.ExpiresIn("x"), auth.NotBefore("y")}, `"notBefore" should be a number of seconds or string representing a timespan eg: "1d", "20h", 60`},
		{"aud twice", raw(`{"aud":"x"}`), []auth.SignOption{auth.Audience("y")}, `Bad "options.audience" option. The payload already has an "aud" property.`},
		{"iss twice (CF-6)", raw(`{"iss":"x"}`), []auth.SignOption{auth.Issuer("y")}, `Bad "options.issuer" option. The payload already has an "iss" property.`},
		{"sub twice", raw(`{"sub":"x"}`), []auth.SignOption{auth.Subject("y")}, `Bad "options.subject" option. The payload already has an "sub" property.`},
		{"jti twice (AUTH-29)", raw(`{"jti":"x"}`), []auth.SignOption{auth.JWTID("y")}, `Bad "options.jwtid" option. The payload already has an "jti" property.`},
		{"alg in the header (JWT-3)", raw(`{}`), []auth.SignOption{auth.HeaderField("alg", "none")}, `"alg" is not allowed in "header"`},
		{"crit in the header", raw(`{}`), []auth.SignOption{auth.HeaderField("crit", []string{"x"})}, `"crit" is not allowed in "header"`},
		{"b64 in the header", raw(`{}`), []auth.SignOption{auth.HeaderField("b64", false)}, `"b64" is not allowed in "header"`},
		{"kid in other letters in the header", raw(`{}`), []auth.SignOption{auth.HeaderField("KID", "a")}, `"header" holds a value that cannot be verified`},
		{"header field without value", raw(`{}`), []auth.SignOption{auth.HeaderField("x", nil)}, `"x" must have a value in "header"`},
		{"repeated name", raw(`{"a":1,"a":2}`), nil, `"payload" repeats a name or is nested too deeply`},
		{"name in two spellings", raw(`{"user":1,"USER":2}`), nil, `"payload" has a name in two spellings`},
		{"name in two spellings, of a struct", struct{ User, USER string }{"a", "b"}, nil, `"payload" has a name in two spellings`},
		{"two spellings among many names", raw(manyNames(100, `"N50x":0`)), nil, `"payload" has a name in two spellings`},
		{"sid in other letters", raw(`{"SID":"s"}`), nil, `"payload" spells a registered claim in other letters`},
		{"deep nesting", raw(`{"a":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `}`), nil, `"payload" repeats a name or is nested too deeply`},
		{"larger than a token may be", map[string]string{"a": strings.Repeat("x", 16<<10)}, nil, "the token exceeds the maximum size"},
	} {
		t.Run("JWT-2 "+c.name, func(t *testing.T) {
			tok, err := plain(t).Sign(t.Context(), c.claims, c.opts...)
			if err == nil {
				t.Fatalf("signed %s", tok.Payload())
			}
			want := `{"message":` + jsonText(t, c.want) + `}`
			if got := errJSON(t, err); got != want {
				t.Errorf("got %s\nwant %s", got, want)
			}
		})
	}
	for name, claims := range map[string]any{"channel": map[string]any{"c": make(chan int)}, "broken raw JSON": raw(`{"a":`), "function": func() {}} {
		t.Run("JWT-2 cannot be encoded: "+name, func(t *testing.T) {
			_, err := plain(t).Sign(t.Context(), claims)
			if err == nil || !strings.HasPrefix(err.Error(), "Error: payload cannot be encoded: ") {
				t.Errorf("got %v", err)
			}
		})
	}
	t.Run("header that cannot be encoded", func(t *testing.T) {
		_, err := plain(t).Sign(t.Context(), raw(`{}`), auth.HeaderField("x", func() {}))
		if err == nil || !strings.HasPrefix(err.Error(), `Error: "header" cannot be encoded: `) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("JWT-2 no key", func(t *testing.T) {
		const want = `{"message":"secretOrPrivateKey must have a value"}`
		verifyOnly := newJWT(t, auth.Options{VerificationKey: auth.HMACKey([]byte(testKey))})
		for _, j := range []*auth.JWT{new(auth.JWT), verifyOnly} {
			_, err := j.Sign(t.Context(), nil)
			if got := errJSON(t, err); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		}
		accept(t, verifyOnly, craft(hs256Header, `{}`))
	})
}

func jsonText(t *testing.T, s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TokenIDs gives tokens a jti of their own, unless they have one.
func TestTokenIDs(t *testing.T) {
	engine, err := auth.NewJWT(auth.Options{Key: strings.Repeat("k", 32), TokenIDs: true})
	if err != nil {
		t.Fatal(err)
	}
	jti := func(claims any, opts ...auth.SignOption) any {
		t.Helper()
		token, err := engine.Sign(t.Context(), claims, opts...)
		if err != nil {
			t.Fatal(err)
		}
		id, _ := token.Claim("jti")
		return id
	}
	first, second := jti(map[string]any{}), jti(map[string]any{})
	if text, _ := first.(string); len(text) < 20 || first == second {
		t.Errorf("the ids are %v and %v", first, second)
	}
	if id := jti(map[string]any{"jti": "a"}); id != "a" {
		t.Errorf("the claim became %v", id)
	}
	if id := jti(map[string]any{}, auth.JWTID("b")); id != "b" {
		t.Errorf("the option became %v", id)
	}
}
