package revoke

import (
	"errors"
	"fmt"
	"time"

	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/internal/claimscan"
	"github.com/socketcluster-go/socketcluster/internal/numericdate"
	"github.com/socketcluster-go/socketcluster/wire"
)

const (
	claimID      = "jti"
	claimSubject = "sub"
	claimSession = "sid"
	claimLogin   = "auth_time"
	claimIssued  = "iat"
)

// maxText is the maximum length of a text in a revocation, in bytes. No useful
// identifier is longer.
const maxText = 1024

// A Revocation describes tokens that are no longer valid. Exactly one of JTI,
// Session and Subject must be set.
type Revocation struct {
	JTI     string `json:"jti,omitempty"`     // the token with this ID
	Session string `json:"sid,omitempty"`     // the tokens of this session
	Subject string `json:"subject,omitempty"` // the tokens of this user
	Claim   string `json:"claim,omitempty"`   // the claim that Subject is in; "" is sub

	// Before restricts a revocation by Subject to tokens of logins up to this
	// moment, and one by Session to tokens that were signed up to it; see the
	// package comment. With Subject, the zero time stands for the moment of
	// Add. With Session, it means no restriction. It must not be set with JTI.
	Before time.Time `json:"before,omitzero"`

	// Until is the time when the last of the tokens expires, and the revocation
	// may be forgotten. If tokens are renewed, this is the end of the login,
	// not the exp of the current token: a renewal at the same moment may have
	// signed another token, which would become valid again later. The zero time
	// means never. Use it only for tokens without expiry, because it takes a
	// place in the store forever.
	Until time.Time `json:"until,omitzero"`

	// Disconnect closes the connections of the tokens' owners. Otherwise they
	// stay connected and are logged out.
	Disconnect bool `json:"disconnect,omitempty"`

	// Reason is for the log.
	Reason string `json:"reason,omitempty"`
}

// ForToken makes the revocation of a single token, to be kept until the token
// is no longer accepted ([auth.Token.ValidUntil]). It reports false if the
// token has no jti.
func ForToken(token *auth.Token) (Revocation, bool) {
	jti, _ := claimscan.TextOfMember(token.Payload(), claimID)
	if jti == "" {
		return Revocation{}, false
	}
	r := Revocation{JTI: jti}
	if end, ok := token.ValidUntil(); ok {
		r.Until = end
	}
	return r, true
}

// Normalize checks a revocation and returns its normal form, which stores keep
// and pass to watchers: Before is set if necessary and rounded up to the
// microsecond, and Until is rounded up to the second. Implementations of
// [Store] call it first; now is the moment of Add. Normalizing the result
// again, at any time, does not change it.
func (r Revocation) Normalize(now time.Time) (Revocation, error) {
	named := 0
	for _, field := range []string{r.JTI, r.Session, r.Subject} {
		if field != "" {
			named++
		}
	}
	switch {
	case named != 1:
		return r, errors.New("revoke: exactly one of JTI, Session and Subject must be set")
	case r.Subject == "" && r.Claim != "":
		return r, errors.New("revoke: Claim is set without Subject")
	case r.JTI != "" && !r.Before.IsZero():
		return r, errors.New("revoke: Before is set with JTI")
	case r.Claim == claimID || r.Claim == claimSession:
		return r, fmt.Errorf("revoke: Claim is %s; there is a field for that", r.Claim)
	}
	for _, text := range []string{r.JTI, r.Session, r.Subject, r.Claim, r.Reason} {
		if len(text) > maxText {
			return r, fmt.Errorf("revoke: a text has %d bytes; at most %d are allowed", len(text), maxText)
		}
	}
	if r.Subject != "" && r.Before.IsZero() {
		r.Before = now
	}
	if !r.Before.IsZero() {
		r.Before = ceil(r.Before, time.Microsecond)
	}
	if !r.Until.IsZero() {
		r.Until = ceil(r.Until, time.Second)
	}
	return r, nil
}

// ceil rounds a time up to the unit.
func ceil(t time.Time, unit time.Duration) time.Time {
	whole := t.Truncate(unit)
	if whole.Before(t) {
		whole = whole.Add(unit)
	}
	return whole.UTC()
}

// Matches reports whether a token is revoked by r, which must have its normal
// form. It ignores Until.
func (r Revocation) Matches(token *auth.Token) bool {
	if token == nil {
		return false
	}
	claim, want := r.Target()
	found := false
	var at times
	s := claimscan.Scan(token.Payload())
	for name, value := range s.Members() {
		if string(name) == claim {
			text, ok := claimscan.TextOf(value)
			found = ok && string(text) == want
		}
		at.see(name, value)
	}
	return found && at.upTo(r.Before, claim, time.Now())
}

// maxAhead is the time by which the clock of another issuer may be ahead.
const maxAhead = auth.MaxClockTolerance

// times are the time of the login and the time of the signature, as a token
// states them.
type times struct{ login, issued []byte } // raw claims, nil if missing

// see records a claim of the token.
func (t *times) see(name, value []byte) {
	switch string(name) {
	case claimLogin:
		t.login = value
	case claimIssued:
		t.issued = value
	}
}

// upTo reports whether the moment that a revocation compares was not after
// before: the time of the signature for a revocation by session, otherwise the
// time of the login. A zero before means no restriction. A token that does not
// state the time may be of any time; nobody can have logged in or signed in the
// future.
func (t *times) upTo(before time.Time, claim string, now time.Time) bool {
	if before.IsZero() {
		return true
	}
	value := t.issued
	if t.login != nil && claim != claimSession {
		value = t.login
	}
	at, ok := numericdate.Parse(value)
	return !ok || !at.After(numericdate.Of(before)) || at.After(numericdate.Of(now.Add(maxAhead)))
}

// Err returns the error for the owner of a revoked token: an
// AuthTokenInvalidError, after which clients forget the token. It does not
// contain the reason.
func (r Revocation) Err() error { return errRevoked }

var errRevoked = &wire.Error{
	Name:    wire.NameAuthTokenInvalid,
	Message: "jwt revoked",
	Fields:  []wire.Field{{Key: "isBadToken", Value: true}},
}
