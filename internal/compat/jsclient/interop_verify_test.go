package jsclient

import (
	"cmp"
	"encoding/json"
	"errors"
	"maps"
	"reflect"
	"testing"
	"time"

	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/wire"
)

// verifyCase is one call of verify, in both languages, at a fixed time.
type verifyCase struct {
	name   string
	claims string // JSON; the default is lifetime
	at     int64  // seconds; the default is 1150
	there  options
	here   []auth.VerifyOption
	fails  failure // the zero value: the token is good

	// differs is what is done here where docs/PROTOCOL.md lists a difference.
	// fails then speaks of there.
	differs *failure
}

// failure is an error by its name there; date is what expiredAt or date says.
type failure struct {
	name, message string
	date          any // seconds, nil when there is no date
}

const lifetime = `{"iss":"i","sub":"s","aud":["a","b"],"jti":"1","iat":1000,"nbf":1100,"exp":1200}`

type verifyOpts = []auth.VerifyOption

func invalid(message string) failure { return failure{"JsonWebTokenError", message, nil} }
func expired(at float64) failure     { return failure{"TokenExpiredError", "jwt expired", at} }
func tooOld(at float64) failure      { return failure{"TokenExpiredError", "maxAge exceeded", at} }
func notActive(date any) failure     { return failure{"NotBeforeError", "jwt not active", date} }

// differently is a failure here of what is good there, or the other way round.
func differently(f failure) *failure { return &f }

const (
	noIssueTime = "iat required when maxAge is specified"
	badMaxAge   = `"maxAge" should be a number of seconds or string representing a timespan eg: "1d", "20h", 60`
)

var verifyCases = []verifyCase{
	// JWT-22: the limits of the times, with and without tolerance.
	{name: "JWT-22 in its lifetime"},
	{name: "JWT-22 at nbf", at: 1100},
	{name: "JWT-22 before nbf", at: 1099, fails: notActive(1100.0)},
	{name: "JWT-22 before exp", at: 1199},
	{name: "JWT-22 at exp", at: 1200, fails: expired(1200)},
	{name: "JWT-22 without nbf and exp", claims: `{"iat":5000}`, at: 1},
	{name: "JWT-22 clockTolerance: nbf", at: 1098, there: options{"clockTolerance": 2}, here: verifyOpts{auth.ClockTolerance(2 * time.Second)}},
	{name: "JWT-22 clockTolerance: too small for nbf", at: 1097, there: options{"clockTolerance": 2}, here: verifyOpts{auth.ClockTolerance(2 * time.Second)}, fails: notActive(1100.0)},
	{name: "JWT-22 clockTolerance: exp", at: 1201, there: options{"clockTolerance": 2}, here: verifyOpts{auth.ClockTolerance(2 * time.Second)}},
	{name: "JWT-22 clockTolerance: too small for exp", at: 1202, there: options{"clockTolerance": 2}, here: verifyOpts{auth.ClockTolerance(2 * time.Second)}, fails: expired(1200)},
	{name: "JWT-22 clockTolerance: a fraction", at: 1200, there: options{"clockTolerance": 0.5}, here: verifyOpts{auth.ClockTolerance(500 * time.Millisecond)}},
	{name: "JWT-22 ignoreExpiration", at: 1300, there: options{"ignoreExpiration": true}, here: verifyOpts{auth.IgnoreExpiration()}},
	{name: "JWT-22 ignoreExpiration: not nbf", at: 1, there: options{"ignoreExpiration": true}, here: verifyOpts{auth.IgnoreExpiration()}, fails: notActive(1100.0)},
	{name: "JWT-22 ignoreNotBefore", at: 1, there: options{"ignoreNotBefore": true}, here: verifyOpts{auth.IgnoreNotBefore()}},
	{name: "JWT-22 ignoreNotBefore: not exp", at: 1300, there: options{"ignoreNotBefore": true}, here: verifyOpts{auth.IgnoreNotBefore()}, fails: expired(1200)},
	{name: "JWT-22 nbf before exp", claims: `{"nbf":1200,"exp":1100}`, fails: notActive(1200.0)},
	{name: "JWT-26 an iat far away", claims: `{"iat":3160000000000000}`},
	{name: "JWT-21 exp before iat", claims: `{"iat":"x","exp":1}`, fails: expired(1)},
	{name: "JWT-26 an exp far away", claims: `{"exp":3160000000000000}`},
	{name: "JWT-26 an nbf beyond all dates", claims: `{"nbf":3160000000000000}`, fails: notActive(nil)},

	// JWT-21 rows 15 and 16: claims that are no dates.
	{name: "JWT-21 nbf is text", claims: `{"nbf":"1"}`, fails: invalid("invalid nbf value")},
	{name: "JWT-21 nbf is null", claims: `{"nbf":null}`, fails: invalid("invalid nbf value")},
	{name: "JWT-21 exp is text", claims: `{"exp":"9999"}`, fails: invalid("invalid exp value")},
	{name: "JWT-21 exp is a list", claims: `{"exp":[9999]}`, fails: invalid("invalid exp value")},
	{name: "JWT-22 ignored dates may be anything", claims: `{"nbf":"x","exp":true}`, there: options{"ignoreNotBefore": true, "ignoreExpiration": true},
		here: verifyOpts{auth.IgnoreNotBefore(), auth.IgnoreExpiration()}},

	// JWT-21 row 17.
	{name: "JWT-21 audience: text", there: options{"audience": "b"}, here: verifyOpts{auth.WithAudience("b")}},
	{name: "JWT-21 audience: one of several", there: options{"audience": []string{"x", "a"}}, here: verifyOpts{auth.WithAudience("x", "a")}},
	{name: "JWT-21 audience: of a single one", claims: `{"aud":"a"}`, there: options{"audience": "a"}, here: verifyOpts{auth.WithAudience("a")}},
	{name: "JWT-21 audience: none of it", there: options{"audience": []string{"x", "y"}}, here: verifyOpts{auth.WithAudience("x", "y")}, fails: invalid("jwt audience invalid. expected: x or y")},
	{name: "JWT-21 audience: in other letters", there: options{"audience": "A"}, here: verifyOpts{auth.WithAudience("A")}, fails: invalid("jwt audience invalid. expected: A")},
	{name: "JWT-21 audience: no aud", claims: `{}`, there: options{"audience": "a"}, here: verifyOpts{auth.WithAudience("a")}, fails: invalid("jwt audience invalid. expected: a")},
	{name: "JWT-21 audience: aud is no text", claims: `{"aud":[1,null,{"a":"a"}]}`, there: options{"audience": "1"}, here: verifyOpts{auth.WithAudience("1")}, fails: invalid("jwt audience invalid. expected: 1")},
	{name: "JWT-21 audience: beside what is no text", claims: `{"aud":[1,"a"]}`, there: options{"audience": "a"}, here: verifyOpts{auth.WithAudience("a")}},
	{name: "JWT-21 audience: an empty list", there: options{"audience": []string{}}, here: verifyOpts{auth.WithAudience()}, fails: invalid("jwt audience invalid. expected: ")},

	// JWT-21 row 18.
	{name: "JWT-21 issuer: text", there: options{"issuer": "i"}, here: verifyOpts{auth.WithIssuer("i")}},
	{name: "JWT-21 issuer: one of several", there: options{"issuer": []string{"h", "i"}}, here: verifyOpts{auth.WithIssuer("h", "i")}},
	{name: "JWT-21 issuer: another", there: options{"issuer": "I"}, here: verifyOpts{auth.WithIssuer("I")}, fails: invalid("jwt issuer invalid. expected: I")},
	{name: "JWT-21 issuer: none of several", there: options{"issuer": []string{"g", "h"}}, here: verifyOpts{auth.WithIssuer("g", "h")}, fails: invalid("jwt issuer invalid. expected: g,h")},
	{name: "JWT-21 issuer: no iss", claims: `{}`, there: options{"issuer": "i"}, here: verifyOpts{auth.WithIssuer("i")}, fails: invalid("jwt issuer invalid. expected: i")},
	{name: "JWT-21 issuer: iss is a list", claims: `{"iss":["i"]}`, there: options{"issuer": "i"}, here: verifyOpts{auth.WithIssuer("i")}, fails: invalid("jwt issuer invalid. expected: i")},
	{name: "JWT-21 issuer: an empty list", there: options{"issuer": []string{}}, here: verifyOpts{auth.WithIssuer()}, fails: invalid("jwt issuer invalid. expected: ")},

	// JWT-21 row 19.
	{name: "JWT-21 subject", there: options{"subject": "s"}, here: verifyOpts{auth.WithSubject("s")}},
	{name: "JWT-21 subject: another", there: options{"subject": "t"}, here: verifyOpts{auth.WithSubject("t")}, fails: invalid("jwt subject invalid. expected: t")},
	{name: "JWT-21 subject: no sub", claims: `{}`, there: options{"subject": "s"}, here: verifyOpts{auth.WithSubject("s")}, fails: invalid("jwt subject invalid. expected: s")},
	{name: "JWT-21 jwtid", there: options{"jwtid": "1"}, here: verifyOpts{auth.WithJWTID("1")}},
	{name: "JWT-21 jwtid: another", there: options{"jwtid": "2"}, here: verifyOpts{auth.WithJWTID("2")}, fails: invalid("jwt jwtid invalid. expected: 2")},
	{name: "JWT-21 jwtid: a number", claims: `{"jti":1}`, there: options{"jwtid": "1"}, here: verifyOpts{auth.WithJWTID("1")}, fails: invalid("jwt jwtid invalid. expected: 1")},

	// JWT-21 row 20.
	{name: "JWT-21 maxAge: seconds", there: options{"maxAge": 151}, here: verifyOpts{auth.MaxAge(151 * time.Second)}},
	{name: "JWT-21 maxAge: at its end", there: options{"maxAge": 150}, here: verifyOpts{auth.MaxAge(150 * time.Second)}, fails: tooOld(1150)},
	{name: "JWT-21 maxAge: text", there: options{"maxAge": "3 mins"}, here: verifyOpts{auth.MaxAge("3 mins")}},
	{name: "JWT-21 maxAge: text, exceeded", there: options{"maxAge": "2m"}, here: verifyOpts{auth.MaxAge("2m")}, fails: tooOld(1120)},
	{name: "JWT-21 maxAge: text without a unit", there: options{"maxAge": "1500"}, here: verifyOpts{auth.MaxAge("1500")}, fails: tooOld(1001)},
	{name: "JWT-22 maxAge: with tolerance", there: options{"maxAge": 149, "clockTolerance": 2}, here: verifyOpts{auth.MaxAge(149 * time.Second), auth.ClockTolerance(2 * time.Second)}},
	{name: "JWT-22 maxAge: beyond tolerance", there: options{"maxAge": 148, "clockTolerance": 2}, here: verifyOpts{auth.MaxAge(148 * time.Second), auth.ClockTolerance(2 * time.Second)}, fails: tooOld(1148)},
	{name: "JWT-22 maxAge: ignoreExpiration is not for it", there: options{"maxAge": 100, "ignoreExpiration": true}, here: verifyOpts{auth.MaxAge(100 * time.Second), auth.IgnoreExpiration()}, fails: tooOld(1100)},
	{name: "JWT-21 maxAge: no iat", claims: `{}`, there: options{"maxAge": 1}, here: verifyOpts{auth.MaxAge(time.Second)}, fails: invalid(noIssueTime)},
	{name: "JWT-21 maxAge: cannot be read", there: options{"maxAge": "an hour"}, here: verifyOpts{auth.MaxAge("an hour")}, fails: invalid(badMaxAge)},

	// JWT-21: which failure is told, when there are many.
	{name: "JWT-21 order: nbf", at: 1, there: allWrong, here: allWrongHere, fails: notActive(1100.0)},
	{name: "JWT-21 order: exp", at: 1300, there: allWrong, here: allWrongHere, fails: expired(1200)},
	{name: "JWT-21 order: audience", there: allWrong, here: allWrongHere, fails: invalid("jwt audience invalid. expected: x")},
	{name: "JWT-21 order: issuer", there: without(allWrong, "audience"), here: allWrongHere[:4], fails: invalid("jwt issuer invalid. expected: x")},
	{name: "JWT-21 order: subject", there: without(allWrong, "audience", "issuer"), here: allWrongHere[:3], fails: invalid("jwt subject invalid. expected: x")},
	{name: "JWT-21 order: jwtid", there: without(allWrong, "audience", "issuer", "subject"), here: allWrongHere[:2], fails: invalid("jwt jwtid invalid. expected: x")},
	{name: "JWT-21 order: maxAge", there: options{"maxAge": 1}, here: allWrongHere[:1], fails: tooOld(1001)},

	// QK-58: dates with a fraction (RFC 7519 section 2).
	{name: "JWT-21 a fraction in exp", claims: `{"exp":1150.5}`},
	{name: "JWT-21 a fraction in exp, later in the second", claims: `{"exp":1150.5}`, there: options{"clockTimestamp": 1150.75}, here: atQuarter(3), fails: expired(1150.5)},
	{name: "JWT-21 a fraction in exp, at it", claims: `{"exp":1150.5}`, there: options{"clockTimestamp": 1150.5}, here: atQuarter(2), fails: expired(1150.5)},
	{name: "JWT-21 a fraction in exp, before it", claims: `{"exp":1150.5}`, there: options{"clockTimestamp": 1150.25}, here: atQuarter(1)},
	{name: "JWT-21 a fraction in exp, passed", claims: `{"exp":1149.5}`, fails: expired(1149.5)},
	{name: "JWT-21 a fraction in exp, with tolerance", claims: `{"exp":1149.5}`, there: options{"clockTolerance": 0.75}, here: verifyOpts{auth.ClockTolerance(750 * time.Millisecond)}},
	{name: "JWT-21 a fraction in exp, beyond tolerance", claims: `{"exp":1149.5}`, there: options{"clockTolerance": 0.5}, here: verifyOpts{auth.ClockTolerance(500 * time.Millisecond)}, fails: expired(1149.5)},
	{name: "JWT-21 a fraction in nbf", claims: `{"nbf":1149.5}`},
	{name: "JWT-21 a fraction in nbf, ahead", claims: `{"nbf":1150.5}`, fails: notActive(1150.5)},
	{name: "JWT-21 a fraction in nbf, at it", claims: `{"nbf":1150.5}`, there: options{"clockTimestamp": 1150.5}, here: atQuarter(2)},
	{name: "JWT-21 a fraction in nbf, with tolerance", claims: `{"nbf":1152.5}`, there: options{"clockTolerance": 2.5}, here: verifyOpts{auth.ClockTolerance(2500 * time.Millisecond)}},
	{name: "JWT-21 a fraction in iat", claims: `{"iat":1100.5}`},
	{name: "JWT-21 a fraction in iat, for maxAge", claims: `{"iat":1100.5}`, there: options{"maxAge": 50}, here: verifyOpts{auth.MaxAge(50 * time.Second)}},
	{name: "JWT-21 a fraction in iat, too old", claims: `{"iat":1100.5}`, there: options{"maxAge": 49}, here: verifyOpts{auth.MaxAge(49 * time.Second)}, fails: tooOld(1149.5)},
	{name: "JWT-21 a fraction in iat, too old by a text", claims: `{"iat":1100.5}`, there: options{"maxAge": "49s"}, here: verifyOpts{auth.MaxAge("49s")}, fails: tooOld(1149)},
	{name: "JWT-21 exp as PHP writes it", claims: `{"iat":1100.123456,"nbf":1100.123456,"exp":1150.123456}`},
	{name: "JWT-26 a fraction and an exponent", claims: `{"exp":1.1505e3}`},

	// What docs/PROTOCOL.md lists as different.
	{name: "JWT-21 iat is text", claims: `{"iat":"1100"}`, differs: differently(invalid("invalid iat value"))},
	{name: "JWT-21 iat is null", claims: `{"iat":null}`, differs: differently(invalid("invalid iat value"))},
	{name: "JWT-21 iat is text, for maxAge", claims: `{"iat":"1149"}`, there: options{"maxAge": 9}, here: verifyOpts{auth.MaxAge(9 * time.Second)}, fails: invalid(noIssueTime), differs: differently(invalid("invalid iat value"))},
	{name: "JWT-22 audience is empty", there: options{"audience": ""}, here: verifyOpts{auth.WithAudience("")}, differs: differently(invalid("jwt audience invalid. expected: "))},
	{name: "JWT-22 issuer is empty", there: options{"issuer": ""}, here: verifyOpts{auth.WithIssuer("")}, differs: differently(invalid("jwt issuer invalid. expected: "))},
	{name: "JWT-22 subject is empty", there: options{"subject": ""}, here: verifyOpts{auth.WithSubject("")}, differs: differently(invalid("jwt subject invalid. expected: "))},
	{name: "JWT-22 jwtid is empty", there: options{"jwtid": ""}, here: verifyOpts{auth.WithJWTID("")}, differs: differently(invalid("jwt jwtid invalid. expected: "))},
	{name: "JWT-22 maxAge is zero", there: options{"maxAge": 0}, here: verifyOpts{auth.MaxAge(time.Duration(0))}, differs: differently(tooOld(1000))},
	{name: "JWT-22 maxAge is empty", there: options{"maxAge": ""}, here: verifyOpts{auth.MaxAge("")}, differs: differently(invalid(badMaxAge))},
	{name: "JWT-22 maxAge with a fraction", at: 1001, claims: `{"iat":1000}`, there: options{"maxAge": 1.5}, here: verifyOpts{auth.MaxAge(1500 * time.Millisecond)}, differs: differently(tooOld(1001))},
	{name: "JWT-22 maxAge from the epoch", claims: `{"iat":0}`, there: options{"maxAge": 1}, here: verifyOpts{auth.MaxAge(time.Second)}, differs: differently(tooOld(1))},
	{name: "JWT-23 sid in other letters", claims: `{"Sid":"s"}`, differs: differently(invalid("invalid token"))},
	{name: "JWT-23 an own claim in two spellings", claims: `{"user":"mallory","USER":"alice"}`, differs: differently(invalid("invalid token"))},
	{name: "JWT-23 a claim in other letters", claims: `{"EXP":1}`, differs: differently(invalid("invalid token"))},
}

// atQuarter is the clock that many quarters after the default second.
func atQuarter(n int64) verifyOpts { return verifyOpts{auth.At(time.Unix(1150, n*25e7))} }

// All that can be wrong with lifetime; the order here is that of the removals
// above.
var (
	allWrong     = options{"audience": "x", "issuer": "x", "subject": "x", "jwtid": "x", "maxAge": 1}
	allWrongHere = verifyOpts{auth.MaxAge(time.Second), auth.WithJWTID("x"), auth.WithSubject("x"), auth.WithIssuer("x"), auth.WithAudience("x")}
)

func without(o options, names ...string) options {
	o = maps.Clone(o)
	for _, name := range names {
		delete(o, name)
	}
	return o
}

// JWT-21 rows 15 to 20, JWT-22: each verify option accepts and refuses the
// same tokens on both sides, with every algorithm, and a refusal has the same
// message, the same date, and the name that AUTH-20 gives to it here.
func TestVerifyOptionsInterop(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	overAlgorithms(t, func(t *testing.T, s signer) {
		var calls [][]any
		signed := make(map[string]string) // by its claims, as signing takes long
		for i := range verifyCases {
			c := &verifyCases[i]
			c.claims, c.at = cmp.Or(c.claims, lifetime), cmp.Or(c.at, 1150)
			there := options{"clockTimestamp": c.at}
			maps.Copy(there, c.there)
			if signed[c.claims] == "" {
				signed[c.claims] = handSigned(t, s, c.claims)
			}
			calls = append(calls, []any{signed[c.claims], there})
		}
		there := decode[[]outcome[json.RawMessage]](t, n.do(t, "verifyEach", calls, s.keys.public, s.algorithm))
		for i, c := range verifyCases {
			t.Run(c.name, func(t *testing.T) {
				c.fails.checkThere(t, there[i])
				want := c.fails
				if c.differs != nil {
					want = *c.differs
				}
				opts := append(verifyOpts{auth.At(time.Unix(c.at, 0))}, c.here...)
				token, err := s.engine.Verify(t.Context(), calls[i][0].(string), opts...)
				want.checkHere(t, err)
				if want.name == "" && err == nil && string(token.Payload()) != c.claims {
					t.Errorf("claims %s", token.Payload())
				}
			})
		}
	})
}

// handSigned signs claims that no library would.
func handSigned(t *testing.T, s signer, claims string) string {
	t.Helper()
	return s.seal(t, encoded(`{"alg":"`+s.algorithm+`","typ":"JWT"}`)+"."+encoded(claims))
}

// checkThere compares with what jsonwebtoken has done.
func (f failure) checkThere(t *testing.T, o outcome[json.RawMessage]) {
	t.Helper()
	if f.name == "" {
		if o.Error != nil {
			t.Errorf("jsonwebtoken: %v", o.Error)
		}
		return
	}
	if o.Error == nil {
		t.Fatalf("jsonwebtoken accepts %s", o.Value)
	}
	e := wantJSError(t, o.Error, f.name, f.message)
	var want map[string]any
	switch f.name {
	case "TokenExpiredError":
		want = map[string]any{"expiredAt": f.dateText()}
	case "NotBeforeError":
		want = map[string]any{"date": f.dateText()}
	default:
		want = map[string]any{}
	}
	if !reflect.DeepEqual(e.Fields, want) {
		t.Errorf("jsonwebtoken: fields %v, want %v", e.Fields, want)
	}
}

// checkHere compares with what the engine has done: AUTH-20.
func (f failure) checkHere(t *testing.T, err error) {
	t.Helper()
	if f.name == "" {
		if err != nil {
			t.Errorf("the engine: %v", err)
		}
		return
	}
	want := map[string]any{"name": wire.NameAuthTokenInvalid, "message": f.message, "isBadToken": true}
	switch f.name {
	case "TokenExpiredError":
		want["name"], want["expiry"] = wire.NameAuthTokenExpired, f.dateText()
	case "NotBeforeError":
		want["name"], want["date"], want["isBadToken"] = wire.NameAuthTokenNotBefore, f.dateText(), false
	}
	var e *wire.Error
	if !errors.As(err, &e) {
		t.Fatalf("the engine: %v, want %v", err, want)
	}
	if got := decode[map[string]any](t, e.AppendJSON(nil)); !reflect.DeepEqual(got, want) {
		t.Errorf("the engine: %v, want %v", got, want)
	}
}

// dateText is the date as JSON has it: null for one that no Date can hold.
func (f failure) dateText() any {
	seconds, ok := f.date.(float64)
	if !ok {
		return nil
	}
	return time.UnixMilli(int64(seconds * 1000)).UTC().Format("2006-01-02T15:04:05.000Z")
}
