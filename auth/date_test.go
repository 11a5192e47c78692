package auth_test

import (
	"math/big"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/socketcluster-go/socketcluster/auth"
)

func tokenOf(t *testing.T, payload string) *auth.Token {
	t.Helper()
	tok, err := auth.NewToken("x", []byte(payload))
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

// QK-58, RFC 7519 section 2, JWT-26: the fraction of a date is read digit by digit, as a
// double has no room for it.
func TestDatesAreExact(t *testing.T) {
	for value, want := range map[string]time.Time{
		"1700000000.123456789":      time.Unix(1700000000, 123456789),
		"1700000000.1234567899":     time.Unix(1700000000, 123456789),
		"1700000000.000000001":      time.Unix(1700000000, 1),
		"1700000000.9999999999":     time.Unix(1700000000, 999999999),
		"1.7000000005e9":            time.Unix(1700000000, 5e8),
		"17000000005E-1":            time.Unix(1700000000, 5e8),
		"0.0000017000000005e+15":    time.Unix(1700000000, 5e8),
		"170000000050000000000e-11": time.Unix(1700000000, 5e8),
		"-0.25":                     time.Unix(-1, 75e7),
		"-1.0000000001":             time.Unix(-2, 999999999),
		"-1.5":                      time.Unix(-2, 5e8),
		"-0":                        time.Unix(0, 0),
		"0e999999999999999999999":   time.Unix(0, 0),
		"1e-999999999999999999999":  time.Unix(0, 0),
		"8640000000000":             time.UnixMilli(8.64e15),
		"8640000000000.1":           time.UnixMilli(8.64e15),
		"-8640000000000.1":          time.UnixMilli(-8.64e15),
	} {
		tok := tokenOf(t, `{"exp":`+value+`,"iat":`+value+`,"auth_time":`+value+`}`)
		for name, read := range map[string]func() (time.Time, bool){"exp": tok.ExpiresAt, "iat": tok.IssuedAt, "auth_time": tok.AuthTime} {
			if got, ok := read(); !ok || !got.Equal(want) {
				t.Errorf("%s of %s is %v %v, want %v", name, value, got.UTC(), ok, want.UTC())
			}
		}
	}
}

// QK-58: dates compare as rational numbers do, in whatever way they are written.
func TestDatesCompareExactly(t *testing.T) {
	j := plain(t)
	r := rand.New(rand.NewPCG(1, 2))
	for range 3000 {
		value, number := randomDate(r)
		at := time.Unix(now+r.Int64N(3)-1, r.Int64N(3)*5e8)
		moment := new(big.Rat).Add(new(big.Rat).SetInt64(at.Unix()), big.NewRat(int64(at.Nanosecond()), 1e9))
		_, err := j.Verify(t.Context(), craft(hs256Header, `{"exp":`+value+`}`), auth.At(at))
		if alive := moment.Cmp(number) < 0; alive != (err == nil) {
			t.Errorf("exp %s at %v: %v", value, at.UTC(), err)
		}
		_, err = j.Verify(t.Context(), craft(hs256Header, `{"nbf":`+value+`}`), auth.At(at))
		if active := moment.Cmp(number) >= 0; active != (err == nil) {
			t.Errorf("nbf %s at %v: %v", value, at.UTC(), err)
		}
	}
}

// randomDate answers a date near now, as text and as a number.
func randomDate(r *rand.Rand) (string, *big.Rat) {
	digits := strconv.FormatInt(now+r.Int64N(3)-1, 10)
	point := len(digits)
	digits += []string{"", "0", "5", "49999999999999", "50000000000001", "000000000000001", "5000000000"}[r.IntN(7)]
	number, _ := new(big.Rat).SetString(digits[:point] + "." + digits[point:] + "0")
	switch r.IntN(3) {
	case 0:
		if point < len(digits) {
			return digits[:point] + "." + digits[point:], number
		}
		return digits, number
	case 1:
		return digits[:1] + "." + digits[1:] + "e" + strconv.Itoa(point-1), number
	default:
		return digits + strings.Repeat("0", 5) + "e-" + strconv.Itoa(len(digits)-point+5), number
	}
}

// A token that has just been accepted is not expired, and one that has expired is
// not accepted, whatever its exp and the tolerance: otherwise a client would be let
// in and logged out again forever.
func TestExpiredAgreesWithVerify(t *testing.T) {
	for _, tolerance := range []time.Duration{0, time.Millisecond, 1500 * time.Millisecond, time.Minute} {
		j := newJWT(t, auth.Options{Key: testKey, ClockTolerance: tolerance})
		for _, exp := range []string{"2000000", "2000000.5", "2000000.0004", "1999999.9999999999"} {
			signed := craft(hs256Header, `{"exp":`+exp+`}`)
			limit, _ := tokenOf(t, `{"exp":`+exp+`}`).ExpiresAt()
			limit = limit.Add(tolerance)
			for _, d := range []time.Duration{-time.Second, -time.Millisecond, -time.Nanosecond, 0, time.Nanosecond, time.Microsecond, time.Millisecond, time.Second} {
				at := limit.Add(d)
				tok, err := j.Verify(t.Context(), signed, auth.At(at))
				if err == nil && tok.Expired(at) {
					t.Errorf("exp %s, tolerance %v, %v from the end: accepted and expired", exp, tolerance, d)
				}
				if accepted := err == nil; accepted != (d < 0) && d != 0 {
					t.Errorf("exp %s, tolerance %v, %v from the end: %v", exp, tolerance, d, err)
				}
				if d == time.Millisecond {
					tok, err := j.Verify(t.Context(), signed, auth.At(limit.Add(-time.Second)))
					if err != nil || !tok.Expired(at) {
						t.Errorf("exp %s, tolerance %v: alive a millisecond after its end, %v", exp, tolerance, err)
					}
				}
			}
		}
	}
}

// JWT-22: the tolerance of the engine is that of clockTolerance, for tokens that
// it has verified and those that it has signed; an option of a call replaces it.
func TestClockTolerance(t *testing.T) {
	j := newJWT(t, auth.Options{Key: testKey, ClockTolerance: 2 * time.Second})
	accept(t, j, craft(hs256Header, `{"nbf":2000002}`), at(now))
	refuse(t, j, craft(hs256Header, `{"nbf":2000003}`), notActive(`"1970-01-24T03:33:23.000Z"`), at(now))
	refuse(t, j, craft(hs256Header, `{"nbf":2000002}`), notActive(`"1970-01-24T03:33:22.000Z"`), at(now), auth.ClockTolerance(0))
	refuse(t, j, craft(hs256Header, `{"exp":1999998}`), expired("jwt expired", `"1970-01-24T03:33:18.000Z"`), at(now))
	refuse(t, j, craft(hs256Header, `{"iat":1999938}`), expired("maxAge exceeded", `"1970-01-24T03:33:18.000Z"`), at(now), auth.MaxAge(time.Minute))

	verified := accept(t, j, craft(hs256Header, `{"exp":1999999}`), at(now))
	signed, err := j.Sign(t.Context(), raw(`{"exp":1999999}`))
	if err != nil {
		t.Fatal(err)
	}
	for what, tok := range map[string]*auth.Token{"verified": verified, "signed": signed} {
		exp, _ := tok.ExpiresAt()
		if end, ok := tok.ValidUntil(); !ok || exp.Unix() != 1999999 || end.UnixMilli() != 2000001_000 {
			t.Errorf("a token that was %s expires at %v and is valid until %v, %v", what, exp, end, ok)
		}
		if tok.Expired(time.UnixMilli(2000001_000)) || !tok.Expired(time.UnixMilli(2000001_001)) {
			t.Errorf("a token that was %s does not end with the tolerance", what)
		}
	}
	if end, ok := tokenOf(t, `{}`).ValidUntil(); ok {
		t.Errorf("a token without exp ends at %v", end)
	}
	for _, d := range []time.Duration{-1, time.Minute + 1} {
		if _, err := auth.NewJWT(auth.Options{Key: testKey, ClockTolerance: d}); err == nil || !strings.Contains(err.Error(), "ClockTolerance") {
			t.Errorf("tolerance %v: %v", d, err)
		}
	}
}

// AuthTime writes the time of a login to the microsecond, never later than it was.
func TestSignAuthTime(t *testing.T) {
	for at, want := range map[time.Time]string{
		time.Unix(1700000000, 0):         `1700000000`,
		time.Unix(1700000000, 5e8):       `1700000000.5`,
		time.Unix(1700000000, 1999):      `1700000000.000001`,
		time.Unix(1700000000, 999999999): `1700000000.999999`,
		time.Unix(0, 0):                  `0`,
		time.Unix(-2, 5e8):               `-1.5`,
	} {
		synctest.Test(t, func(t *testing.T) {
			tok, err := newJWT(t, auth.Options{Key: testKey, DefaultExpiry: -1}).Sign(t.Context(), raw(`{}`), auth.Subject("s"), auth.AuthTime(at))
			if err != nil {
				t.Fatal(err)
			}
			if got := string(tok.Payload()); got != `{"iat":946684800,"sub":"s","auth_time":`+want+`}` {
				t.Errorf("signed %s", got)
			}
			if got, ok := tok.AuthTime(); !ok || !got.Equal(at.Truncate(time.Microsecond)) {
				t.Errorf("read %v, %v; want %v", got, ok, at)
			}
		})
	}
	for _, c := range []struct {
		claims, message string
		at              time.Time
	}{
		{`{"auth_time":1}`, `Bad "options.authTime" option. The payload already has an "auth_time" property.`, time.Unix(1, 0)},
		{`{}`, `"authTime" should be the time of a login`, time.Time{}},
		{`{}`, `"authTime" should be the time of a login`, time.UnixMilli(8.64e15 + 1)},
		{`{"auth_time":"yesterday"}`, `"auth_time" should be a number of seconds`, time.Unix(1, 0)},
		{`{"AUTH_TIME":1}`, `"payload" spells a registered claim in other letters`, time.Unix(1, 0)},
	} {
		if _, err := plain(t).Sign(t.Context(), raw(c.claims), auth.AuthTime(c.at)); err == nil || !strings.Contains(err.Error(), c.message) {
			t.Errorf("%s at %v: %v, want %s", c.claims, c.at, err, c.message)
		}
	}
}
