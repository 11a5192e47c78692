package authtest

import (
	"encoding/json"
	"strconv"
	"time"

	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/wire"
)

// The dates of these checks are in the year 2096, so that the tokens are still
// valid for engines whose storage forgets expired ones.
const date = 4_000_000_000

func at(sec int64) auth.VerifyOption { return auth.At(time.Unix(sec, 0)) }

func (k *kit) expiry() {
	token := k.sign(map[string]any{"username": "alice"}, auth.ExpiresIn(time.Hour))
	end, ok := token.ExpiresAt()
	issued, _ := token.IssuedAt()
	if !ok {
		k.Fatal("a token that was signed with ExpiresIn has no expiry")
	}
	if life := end.Sub(issued); life != time.Hour {
		k.Errorf("a token of an hour lives for %v", life)
	}
	k.boundary(token, end)
}

// boundary: a token is expired at the second of exp, and not a second before.
func (k *kit) boundary(token *auth.Token, end time.Time) {
	k.Helper()
	before, expired := auth.At(end.Add(-time.Second)), auth.At(end)
	back := k.accepts("a token a second before its end", token, before)
	if got, ok := back.ExpiresAt(); !ok || !got.Equal(end) {
		k.Errorf("a token that ends at %v was read back with %v, %v", end, got, ok)
	}
	k.refuses("a token at its end", token.Signed(), wire.NameAuthTokenExpired, true, expired)
	k.refuses("a token after its end", token.Signed(), wire.NameAuthTokenExpired, true, auth.At(end.Add(time.Hour)))
	k.accepts("a token at its end with tolerance", token, expired, auth.ClockTolerance(time.Second))
	k.refuses("a token after tolerance", token.Signed(), wire.NameAuthTokenExpired, true,
		auth.At(end.Add(time.Second)), auth.ClockTolerance(time.Second))
	k.accepts("an expired token with IgnoreExpiration", token, expired, auth.IgnoreExpiration())
}

func (k *kit) expClaim() {
	claims := map[string]any{"exp": int64(date)}
	k.boundary(k.sign(claims), time.Unix(date, 0))
	k.cannotSign("an exp claim beside ExpiresIn", claims, auth.ExpiresIn(time.Hour))
	token := k.sign(claims, auth.ExpiresIn(time.Hour), auth.PreferExpClaim())
	if end, ok := token.ExpiresAt(); !ok || end.Unix() != date {
		k.Errorf("PreferExpClaim gives the expiry %v, %v", end, ok)
	}
}

// farExpiry: callers can compute with the expiry of a token, whatever its exp
// is (JWT-26).
func (k *kit) farExpiry() {
	for _, exp := range []string{"8640000000000", "3160000000000000", "1e300"} {
		token := k.sign(json.RawMessage(`{"exp":` + exp + `}`))
		end, ok := k.accepts("a token with exp "+exp, token, at(date)).ExpiresAt()
		if last := time.UnixMilli(8.64e15); !ok || !end.Equal(last) {
			k.Errorf("exp %s gives the expiry %v, %v, want the last date of JavaScript, %v", exp, end, ok, last)
		}
	}
}

// fraction: an exp with a fraction (RFC 7519 section 2) is not rounded up.
func (k *kit) fraction() {
	end := time.Unix(date, 5e8)
	token := k.sign(json.RawMessage(`{"exp":` + strconv.Itoa(date) + `.5}`))
	k.accepts("a token a millisecond before its end", token, auth.At(end.Add(-time.Millisecond)))
	k.boundary(token, end)
}

// authTime: the time of the login is read back to the microsecond. It is not
// later than the login was, because revocations of the user depend on it.
func (k *kit) authTime() {
	login := time.Unix(1_700_000_000, 123_456_789)
	token := k.sign(map[string]any{}, auth.AuthTime(login))
	for what, t := range map[string]*auth.Token{"signed": token, "verified": k.accepts("a token with a time of the login", token)} {
		if got, ok := t.AuthTime(); !ok || !got.Equal(login.Truncate(time.Microsecond)) {
			k.Errorf("a token that was %s reports a login at %v, %v; want %v", what, got, ok, login)
		}
	}
	if got, ok := k.sign(map[string]any{}).AuthTime(); ok {
		k.Errorf("a token that was signed without AuthTime reports a login at %v", got)
	}
	k.cannotSign("a time of the login in claims and options", map[string]any{"auth_time": 1}, auth.AuthTime(login))
}

func (k *kit) notBefore() {
	token := k.sign(json.RawMessage(`{"nbf":` + strconv.Itoa(date) + `,"exp":` + strconv.Itoa(date+60) + `}`))
	early := at(date - 1)
	k.refuses("a token that is not active yet", token.Signed(), wire.NameAuthTokenNotBefore, false)
	k.refuses("a token a second early", token.Signed(), wire.NameAuthTokenNotBefore, false, early)
	k.accepts("a token that becomes active", token, at(date))
	k.accepts("a token a second early with tolerance", token, early, auth.ClockTolerance(time.Second))
	k.accepts("an early token with IgnoreNotBefore", token, early, auth.IgnoreNotBefore())

	token = k.sign(map[string]any{}, auth.NotBefore(time.Hour), auth.ExpiresIn(2*time.Hour))
	k.refuses("a token signed with NotBefore", token.Signed(), wire.NameAuthTokenNotBefore, false)
}

func (k *kit) registered() {
	all := []auth.SignOption{auth.Audience("a", "b"), auth.Issuer("i"), auth.Subject("s"), auth.JWTID("7")}
	full, bare := k.sign(map[string]any{}, all...), k.sign(map[string]any{})
	for _, c := range []struct {
		what         string
		right, other auth.VerifyOption
	}{
		{"audience", auth.WithAudience("x", "b"), auth.WithAudience("x")},
		{"issuer", auth.WithIssuer("x", "i"), auth.WithIssuer("x")},
		{"subject", auth.WithSubject("s"), auth.WithSubject("x")},
		{"token id", auth.WithJWTID("7"), auth.WithJWTID("x")},
	} {
		k.accepts("the right "+c.what, full, c.right)
		k.refuses("another "+c.what, full.Signed(), wire.NameAuthTokenInvalid, true, c.other)
		k.refuses("a token without "+c.what, bare.Signed(), wire.NameAuthTokenInvalid, true, c.right)
	}
	k.refuses("an audience, although none is allowed,", full.Signed(), wire.NameAuthTokenInvalid, true, auth.WithAudience())
	k.cannotSign("an issuer in claims and options", map[string]any{"iss": "i"}, auth.Issuer("i"))
}

func (k *kit) maxAge() {
	token := k.sign(map[string]any{}, auth.ExpiresIn(time.Hour))
	issued, ok := token.IssuedAt()
	if !ok {
		k.Fatal("a token has no time of issue")
	}
	k.accepts("a token of 59 seconds", token, auth.At(issued.Add(59*time.Second)), auth.MaxAge(time.Minute))
	k.refuses("a token of 60 seconds", token.Signed(), wire.NameAuthTokenExpired, true,
		auth.At(issued.Add(time.Minute)), auth.MaxAge("1m"))
}
