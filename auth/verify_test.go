package auth_test

import (
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/socketcluster-go/socketcluster/auth"
)

// now is the second at which the tests of this file verify.
const now = 2000000

func expired(message, date string) string {
	return `{"message":"` + message + `","name":"AuthTokenExpiredError","expiry":` + date + `,"isBadToken":true}`
}

func notActive(date string) string {
	return `{"message":"jwt not active","name":"AuthTokenNotBeforeError","date":` + date + `,"isBadToken":false}`
}

// JWT-21 rows 15 to 20, AUTH-20, HS-11 rows 3 and 7, HS-13: the whole error as
// the client sees it. An empty want means that the token is good.
func TestVerifyClaims(t *testing.T) {
	aud, audB := auth.WithAudience("a"), auth.WithAudience("b", "d")
	minute := auth.MaxAge("1m")
	second := auth.ClockTolerance(time.Second)
	const maxAgeText = `"maxAge" should be a number of seconds or string representing a timespan eg: "1d", "20h", 60`
	for _, c := range []struct {
		name, payload, want string
		opts                []auth.VerifyOption
	}{
		{"no claims", `{}`, "", nil},
		{"row 15: nbf now", `{"nbf":2000000}`, "", nil},
		{"row 15: nbf in a second", `{"nbf":2000001}`, notActive(`"1970-01-24T03:33:21.000Z"`), nil},
		{"row 15: nbf within tolerance", `{"nbf":2000001}`, "", []auth.VerifyOption{second}},
		{"row 15: fractional nbf passed", `{"nbf":1999999.5}`, "", nil},
		{"row 15: fractional nbf ahead", `{"nbf":2000000.5}`, notActive(`"1970-01-24T03:33:20.500Z"`), nil},
		{"row 15: fractional nbf a nanosecond ahead", `{"nbf":2000000.500000001}`, notActive(`"1970-01-24T03:33:20.500Z"`), []auth.VerifyOption{auth.At(time.Unix(now, 5e8))}},
		{"row 15: fractional nbf less than a nanosecond ahead", `{"nbf":2000000.5000000001}`, notActive(`"1970-01-24T03:33:20.500Z"`), []auth.VerifyOption{auth.At(time.Unix(now, 5e8))}},
		{"row 15: fractional nbf now", `{"nbf":2000000.5}`, "", []auth.VerifyOption{auth.At(time.Unix(now, 5e8))}},
		{"row 15: fractional nbf within tolerance", `{"nbf":2000001.5}`, "", []auth.VerifyOption{auth.ClockTolerance(1500 * time.Millisecond)}},
		{"row 15: fractional nbf beyond tolerance", `{"nbf":2000001.5}`, notActive(`"1970-01-24T03:33:21.500Z"`), []auth.VerifyOption{auth.ClockTolerance(1499 * time.Millisecond)}},
		{"row 15: whole nbf with a point", `{"nbf":1999999.0}`, "", nil},
		{"row 15: nbf before exp", `{"exp":1,"nbf":2000001}`, notActive(`"1970-01-24T03:33:21.000Z"`), nil},
		{"row 15: ignored", `{"nbf":2000001}`, "", []auth.VerifyOption{auth.IgnoreNotBefore()}},
		{"row 15: text", `{"nbf":"1"}`, invalid("invalid nbf value"), nil},
		{"row 15: null", `{"nbf":null}`, invalid("invalid nbf value"), nil},
		{"row 15: infinite", `{"nbf":-1e999}`, invalid("invalid nbf value"), nil},
		{"row 15: bad but ignored", `{"nbf":"1"}`, "", []auth.VerifyOption{auth.IgnoreNotBefore()}},
		{"JWT-26 nbf no date can hold", `{"nbf":3.16e15}`, notActive(`null`), nil},
		{"JWT-26 nbf at the last date", `{"nbf":8.64e12}`, notActive(`"+275760-09-13T00:00:00.000Z"`), nil},

		{"row 16: exp in a second", `{"exp":2000001}`, "", nil},
		{"row 16: exp now (HS-11 row 3)", `{"exp":2000000}`, expired("jwt expired", `"1970-01-24T03:33:20.000Z"`), nil},
		{"row 16: exp a second ago", `{"exp":1999999}`, expired("jwt expired", `"1970-01-24T03:33:19.000Z"`), nil},
		{"row 16: fractional exp ahead", `{"exp":2000000.5}`, "", nil},
		{"row 16: fractional exp passed", `{"exp":1999999.5}`, expired("jwt expired", `"1970-01-24T03:33:19.500Z"`), nil},
		{"row 16: fractional exp now", `{"exp":2000000.5}`, expired("jwt expired", `"1970-01-24T03:33:20.500Z"`), []auth.VerifyOption{auth.At(time.Unix(now, 5e8))}},
		{"row 16: fractional exp a nanosecond ahead", `{"exp":2000000.500000001}`, "", []auth.VerifyOption{auth.At(time.Unix(now, 5e8))}},
		{"row 16: fractional exp less than a nanosecond ahead", `{"exp":2000000.5000000001}`, "", []auth.VerifyOption{auth.At(time.Unix(now, 5e8))}},
		{"row 16: fractional exp within tolerance", `{"exp":1999999.5}`, "", []auth.VerifyOption{second}},
		{"row 16: fractional exp in scientific notation", `{"exp":20000005e-1}`, "", nil},
		{"row 16: whole exp in scientific notation", `{"exp":4e9}`, "", nil},
		{"row 16: the clock has fractions", `{"exp":2000001}`, "", []auth.VerifyOption{auth.At(time.Unix(now, 9e8))}},
		{"row 16: exp now within tolerance", `{"exp":2000000}`, "", []auth.VerifyOption{second}},
		{"row 16: exp a second ago at the end of tolerance", `{"exp":1999999}`, expired("jwt expired", `"1970-01-24T03:33:19.000Z"`), []auth.VerifyOption{second}},
		{"row 16: ignored", `{"exp":1}`, "", []auth.VerifyOption{auth.IgnoreExpiration()}},
		{"row 16: text", `{"exp":"4000000"}`, invalid("invalid exp value"), nil},
		{"row 16: null", `{"exp":null}`, invalid("invalid exp value"), nil},
		{"row 16: infinite", `{"exp":1e999}`, invalid("invalid exp value"), nil},
		{"row 16: list", `{"exp":[4000000]}`, invalid("invalid exp value"), nil},
		{"JWT-26 huge exp", `{"exp":3.16e15}`, "", nil},
		{"JWT-26 exp past 64 bits", `{"exp":1e300}`, "", nil},
		{"JWT-26 huge negative exp", `{"exp":-3.16e15}`, expired("jwt expired", `null`), nil},
		{"exp before the epoch", `{"exp":-1}`, expired("jwt expired", `"1969-12-31T23:59:59.000Z"`), nil},

		{"row 17: audience", `{"aud":"a"}`, "", []auth.VerifyOption{aud}},
		{"row 17: audience in a list", `{"aud":[1,"b"]}`, "", []auth.VerifyOption{audB}},
		{"row 17: other audience", `{"aud":"a"}`, invalid("jwt audience invalid. expected: b or d"), []auth.VerifyOption{audB}},
		{"row 17: no audience", `{}`, invalid("jwt audience invalid. expected: a"), []auth.VerifyOption{aud}},
		{"row 17: audience of another type", `{"aud":{"a":"a"}}`, invalid("jwt audience invalid. expected: a"), []auth.VerifyOption{aud}},
		{"row 17: nobody is expected", `{"aud":""}`, invalid("jwt audience invalid. expected: "), []auth.VerifyOption{auth.WithAudience()}},
		{"row 18: issuer", `{"iss":"b"}`, "", []auth.VerifyOption{auth.WithIssuer("a", "b")}},
		{"row 18: other issuer", `{"iss":"c"}`, invalid("jwt issuer invalid. expected: a,b"), []auth.VerifyOption{auth.WithIssuer("a", "b")}},
		{"row 18: escaped issuer", `{"iss":"\u0062\/"}`, "", []auth.VerifyOption{auth.WithIssuer("b/")}},
		{"row 18: issuer of another type", `{"iss":["b"]}`, invalid("jwt issuer invalid. expected: b"), []auth.VerifyOption{auth.WithIssuer("b")}},
		{"row 18: no issuer is expected", `{}`, invalid("jwt issuer invalid. expected: "), []auth.VerifyOption{auth.WithIssuer()}},
		{"row 19: subject", `{"sub":"s"}`, "", []auth.VerifyOption{auth.WithSubject("s")}},
		{"row 19: other subject", `{"sub":"s"}`, invalid("jwt subject invalid. expected: b"), []auth.VerifyOption{auth.WithSubject("b")}},
		{"row 19: empty subject is not a skipped check", `{"sub":"s"}`, invalid("jwt subject invalid. expected: "), []auth.VerifyOption{auth.WithSubject("")}},
		{"row 19: absent subject is not empty", `{}`, invalid("jwt subject invalid. expected: "), []auth.VerifyOption{auth.WithSubject("")}},
		{"row 19: jwtid", `{"jti":"7"}`, "", []auth.VerifyOption{auth.WithJWTID("7")}},
		{"row 19: other jwtid", `{"jti":7}`, invalid("jwt jwtid invalid. expected: 7"), []auth.VerifyOption{auth.WithJWTID("7")}},
		{"rows 17 to 19 in order", `{}`, invalid("jwt issuer invalid. expected: b"), []auth.VerifyOption{auth.WithJWTID("x"), auth.WithSubject("x"), auth.WithIssuer("b")}},
		{"row 16 before 17", `{"exp":1}`, expired("jwt expired", `"1970-01-01T00:00:01.000Z"`), []auth.VerifyOption{aud}},

		{"row 20: young", `{"iat":1999941}`, "", []auth.VerifyOption{minute}},
		{"row 20: of that age", `{"iat":1999940}`, expired("maxAge exceeded", `"1970-01-24T03:33:20.000Z"`), []auth.VerifyOption{minute}},
		{"row 20: of that age, a duration", `{"iat":1999940}`, expired("maxAge exceeded", `"1970-01-24T03:33:20.000Z"`), []auth.VerifyOption{auth.MaxAge(time.Minute)}},
		{"row 20: of that age within tolerance", `{"iat":1999940}`, "", []auth.VerifyOption{minute, second}},
		{"row 20: fractional iat", `{"iat":1999940.5}`, "", []auth.VerifyOption{auth.MaxAge(time.Minute), auth.At(time.Unix(now, 499_999_999))}},
		{"row 20: fractional iat of that age", `{"iat":1999940.5}`, expired("maxAge exceeded", `"1970-01-24T03:33:20.500Z"`), []auth.VerifyOption{auth.MaxAge(time.Minute), auth.At(time.Unix(now, 5e8))}},
		{"row 20: fractional iat of that age, a text (JWT-8)", `{"iat":1999940.5}`, expired("maxAge exceeded", `"1970-01-24T03:33:20.000Z"`), []auth.VerifyOption{minute}},
		{"row 20: no iat", `{}`, invalid("iat required when maxAge is specified"), []auth.VerifyOption{minute}},
		{"row 20: iat text", `{"iat":"1"}`, invalid("invalid iat value"), []auth.VerifyOption{minute}},
		{"row 20: iat at the epoch", `{"iat":0}`, expired("maxAge exceeded", `"1970-01-01T00:01:00.000Z"`), []auth.VerifyOption{minute}},
		{"row 20: not a timespan", `{"iat":1}`, invalid(maxAgeText), []auth.VerifyOption{auth.MaxAge("long")}},

		{"iat text", `{"iat":"yesterday"}`, invalid("invalid iat value"), nil},
		{"iat digits as text", `{"iat":"1"}`, invalid("invalid iat value"), nil},
		{"iat null", `{"iat":null}`, invalid("invalid iat value"), nil},
		{"iat list", `{"iat":[1]}`, invalid("invalid iat value"), nil},
		{"fractional iat", `{"iat":1.5}`, "", nil},
		{"infinite iat", `{"iat":1e999}`, invalid("invalid iat value"), nil},
		{"negative infinite iat", `{"iat":-1e999}`, invalid("invalid iat value"), nil},
		{"whole iat with a point", `{"iat":1.0}`, "", nil},
		{"iat before the epoch", `{"iat":-1}`, "", nil},
		{"iat ahead", `{"iat":2000061}`, "", nil},
		{"iat past 64 bits", `{"iat":1e300}`, "", nil},
		{"bad iat is not ignored with the other dates", `{"iat":"1"}`, invalid("invalid iat value"), []auth.VerifyOption{auth.IgnoreExpiration(), auth.IgnoreNotBefore()}},
		{"nbf before iat", `{"iat":"1","nbf":2000001}`, notActive(`"1970-01-24T03:33:21.000Z"`), nil},
		{"exp before iat", `{"iat":"1","exp":1}`, expired("jwt expired", `"1970-01-01T00:00:01.000Z"`), nil},
		{"iat before row 17", `{"iat":"1"}`, invalid("invalid iat value"), []auth.VerifyOption{aud}},
	} {
		t.Run("JWT-21 "+c.name, func(t *testing.T) {
			signed := craft(hs256Header, c.payload)
			opts := append([]auth.VerifyOption{at(now)}, c.opts...)
			if c.want != "" {
				refuse(t, plain(t), signed, c.want, opts...)
				return
			}
			tok := accept(t, plain(t), signed, opts...)
			if string(tok.Payload()) != c.payload || tok.Signed() != signed {
				t.Errorf("got %s of %s", tok.Payload(), tok.Signed())
			}
		})
	}
}

// JWT-22: without At, the clock is that of the machine.
func TestVerifyClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := newJWT(t, auth.Options{Key: testKey})
		time.Sleep(300 * time.Millisecond)
		tok, err := j.Sign(t.Context(), raw(`{}`), auth.ExpiresIn(10*time.Second), auth.NotBefore(2*time.Second))
		if err != nil {
			t.Fatal(err)
		}
		refuse(t, j, tok.Signed(), notActive(`"2000-01-01T00:00:02.000Z"`))
		time.Sleep(1700 * time.Millisecond)
		accept(t, j, tok.Signed())
		time.Sleep(7999 * time.Millisecond)
		accept(t, j, tok.Signed())
		time.Sleep(time.Millisecond)
		refuse(t, j, tok.Signed(), expired("jwt expired", `"2000-01-01T00:00:10.000Z"`))
	})
}

// JWT-1: what jsonwebtoken signs is accepted, with the algorithm derived from
// the key, and only under its own key.
func TestVerifyJavaScriptTokens(t *testing.T) {
	for _, v := range jsVectors {
		t.Run("JWT-1 "+v.algorithm, func(t *testing.T) {
			key := parsePEM(t, []byte(v.publicKey))
			for name, o := range map[string]auth.Options{
				"derived": {VerificationKey: key},
				"fixed":   {VerificationKey: key, Algorithm: v.algorithm},
				"listed":  {VerificationKey: key, VerifyAlgorithms: []string{"HS256", v.algorithm}},
			} {
				tok := accept(t, newJWT(t, o), v.token)
				if got := string(tok.Payload()); got != `{"username":"alice","iat":1700000000,"exp":4000000000}` || tok.Algorithm() != v.algorithm {
					t.Errorf("%s: got %s %s", name, got, tok.Algorithm())
				}
			}
			tampered := []byte(v.token)
			tampered[len(tampered)-10] ^= 1 // stays a letter of base64url or becomes none
			if _, err := newJWT(t, auth.Options{VerificationKey: key}).Verify(t.Context(), string(tampered)); err == nil {
				t.Error("accepted a changed signature")
			}
		})
	}
}

// JWT-1: every algorithm signs what it verifies.
func TestAlgorithmsRoundTrip(t *testing.T) {
	list := signers(t)
	for _, o := range list {
		t.Run("JWT-1 "+o.Algorithm, func(t *testing.T) {
			j := newJWT(t, o)
			tok, err := j.Sign(t.Context(), raw(`{"username":"bob"}`))
			if err != nil {
				t.Fatal(err)
			}
			back := accept(t, j, tok.Signed())
			if string(back.Payload()) != string(tok.Payload()) || back.Algorithm() != o.Algorithm || tok.Algorithm() != o.Algorithm {
				t.Errorf("signed %s %s, read %s %s", tok.Algorithm(), tok.Payload(), back.Algorithm(), back.Payload())
			}
			for _, other := range list {
				if other.Algorithm != o.Algorithm {
					refuse(t, newJWT(t, other), tok.Signed(), invalid("invalid algorithm"))
				}
			}
		})
	}
}

// signers answers options for each algorithm.
func signers(t *testing.T) []auth.Options {
	rsaKey := parsePEM(t, rsaPEM())
	var list []auth.Options
	for _, bits := range []int{256, 384, 512} {
		size := strconv.Itoa(bits)
		list = append(list,
			auth.Options{Algorithm: "HS" + size, Key: testKey},
			auth.Options{Algorithm: "RS" + size, SignatureKey: rsaKey},
			auth.Options{Algorithm: "PS" + size, SignatureKey: rsaKey},
			auth.Options{Algorithm: "ES" + size, SignatureKey: parsePEM(t, ecPEM(bits))},
		)
	}
	return list
}
