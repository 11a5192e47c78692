package auth

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"slices"
	"time"
	"unique"

	"github.com/socketcluster-go/socketcluster/internal/numericdate"
)

// A Token is a token whose signature has been checked, or that has just been
// signed. It is immutable and may be shared between goroutines. A nil *Token, as
// of a socket that is not logged in, has no text and no claims, and never
// expires.
//
// A server has many of them for a long time, so it takes little memory: that of
// a JWT has its parts decoded, and shares the header with other tokens.
type Token struct {
	bytes   []byte // the payload, which is a JSON object, and the rest
	payload int    // the length of the payload
	// header is not zero for a JWT. The rest is then its signature, and otherwise
	// the text of the token.
	header unique.Handle[tokenHeader]
	end    int64 // the last millisecond of its life since the epoch, or noEnd
}

// tokenHeader is the header of a JWT.
type tokenHeader struct {
	encoded string // as it is in the token
	header  header
}

const noEnd = math.MaxInt64

const claimAuthTime = "auth_time"

// NewToken is for implementations of [Engine]. It makes a token that they have
// issued or verified; NewToken itself verifies nothing. It copies payload,
// which must be a JSON object without repeated names, and without names at the
// top level that differ only in case.
func NewToken(signed string, payload []byte) (*Token, error) {
	claims, ok := parseObject(payload)
	if !ok || claims.ambiguous() {
		return nil, errors.New("auth: the payload of a token must be a JSON object without repeated names")
	}
	return newToken(slices.Concat(payload, []byte(signed)), len(payload), claims, 0), nil
}

// newToken takes ownership of b, which is the payload and the rest of the token.
func newToken(b []byte, payload int, claims members, tolerance time.Duration) *Token {
	t := &Token{bytes: b, payload: payload, end: noEnd}
	if exp, ok := numericdate.Parse(claims.get("exp")); ok {
		t.end = exp.Add(tolerance).Milli()
	}
	return t
}

// claims returns the payload, which must not be changed.
func (t *Token) claims() []byte {
	if t == nil {
		return nil
	}
	return t.bytes[:t.payload:t.payload]
}

// rest returns the signature of a JWT, or the text of another token.
func (t *Token) rest() []byte { return t.bytes[t.payload:] }

// Signed returns the text that the client presents. That of a JWT is encoded by
// each call.
func (t *Token) Signed() string {
	switch {
	case t == nil:
		return ""
	case !t.isJWT():
		return string(t.rest())
	}
	b := make([]byte, 0, 512) // on the stack, as most tokens are shorter
	b = append(b, t.header.Value().encoded...)
	b = base64url.AppendEncode(append(b, '.'), t.claims())
	b = base64url.AppendEncode(append(b, '.'), t.rest())
	return string(b)
}

// size returns the length of the text.
func (t *Token) size() int {
	if !t.isJWT() {
		return len(t.rest())
	}
	return len(t.header.Value().encoded) + 1 + base64url.EncodedLen(t.payload) + 1 + base64url.EncodedLen(len(t.rest()))
}

func (t *Token) isJWT() bool { return t != nil && t.header != unique.Handle[tokenHeader]{} }

// head returns the header of a JWT, or that of none.
func (t *Token) head() header {
	if !t.isJWT() {
		return header{}
	}
	return t.header.Value().header
}

// Payload returns the claims as they were signed: numbers keep their digits,
// and names their order. The caller owns the result.
func (t *Token) Payload() json.RawMessage { return bytes.Clone(t.claims()) }

// Claims decodes the payload into v as [encoding/json.Unmarshal] does. It fails
// for a nil token.
func (t *Token) Claims(v any) error {
	if t == nil {
		return errors.New("auth: there is no token")
	}
	return json.Unmarshal(t.claims(), v)
}

// Claim decodes a single claim by the rules of [encoding/json.Unmarshal] for an
// any: a number is a float64, an array is a []any. It returns false if the
// token has no such claim. Every call decodes again: the caller owns the
// result, and a token takes no memory for values that nobody reads.
func (t *Token) Claim(name string) (any, bool) {
	claims, ok := parseObject(t.claims())
	if !ok {
		return nil, false
	}
	raw := claims.get(name)
	if raw == nil {
		return nil, false
	}
	var v any
	if err := json.Unmarshal(raw, &v); err != nil {
		return nil, false
	}
	return v, true
}

// ExpiresAt returns the exp claim, or false if there is none or it is not a
// number. A fraction is exact to the nanosecond; further digits are cut off. A
// time that no JavaScript date can hold becomes the nearest one that it can
// hold, in the year 275760, so callers can compute with the result without
// overflow.
func (t *Token) ExpiresAt() (time.Time, bool) { return t.date("exp") }

// IssuedAt returns the iat claim, like [Token.ExpiresAt].
func (t *Token) IssuedAt() (time.Time, bool) { return t.date("iat") }

// AuthTime returns the auth_time claim, like [Token.ExpiresAt]: the time of the
// login, which may be long before the token was issued.
func (t *Token) AuthTime() (time.Time, bool) { return t.date(claimAuthTime) }

func (t *Token) date(claim string) (time.Time, bool) {
	claims, _ := parseObject(t.claims())
	d, ok := numericdate.Parse(claims.get(claim))
	if !ok {
		return time.Time{}, false
	}
	return d.Time(), true
}

// ValidUntil returns the time until which the engine that made the token
// accepts it: exp plus the clock tolerance of the engine, in milliseconds. It
// returns false for a token that does not expire. A revocation must be kept
// until then.
func (t *Token) ValidUntil() (time.Time, bool) {
	if t == nil || t.end == noEnd {
		return time.Time{}, false
	}
	return time.UnixMilli(min(max(t.end, -numericdate.MaxMilli), numericdate.MaxMilli)), true
}

// Algorithm returns the name of the signature algorithm, or "" for a token that
// is not a JWT.
func (t *Token) Algorithm() string { return t.head().alg }

// KeyID returns the kid of the header, or "" if there is none.
func (t *Token) KeyID() string { return t.head().kid }

// Expired reports whether a live connection must lose this token: now, in
// milliseconds, is past [Token.ValidUntil]. [Engine.Verify] is stricter by that
// instant, so a token that has just been accepted is not expired.
func (t *Token) Expired(now time.Time) bool { return t != nil && now.UnixMilli() > t.end }
