package socketcluster

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"time"

	"github.com/socketcluster-go/socketcluster/auth"
)

// armRenewal sets the time for the next token. One that came with the upgrade
// request has none, as scripts of the client's page may not be meant to have a
// token. mu must be held.
func (s *Socket) armRenewal() {
	renewal, token := s.srv.cfg.TokenRenewal, s.token.Load()
	if renewal.Every <= 0 || token == nil || s.fromRequest || s.state != Open {
		return
	}
	now := time.Now()
	left := time.Duration(math.MaxInt64)
	if exp, ok := token.ExpiresAt(); ok {
		left = exp.Sub(now)
	}
	s.renewAt = s.srv.moment(now).add(renewal.after(left))
	s.schedule(now)
}

// after is how long a token that has left to live is kept.
func (r TokenRenewal) after(left time.Duration) time.Duration {
	d := min(r.Every, max(left-r.Margin, left/2))
	if jitter := min(r.Jitter, d/2); jitter > 0 {
		d -= rand.N(jitter)
	}
	return d
}

// renew replaces the token by one with the same claims and a new life.
func (s *Socket) renew() {
	old := s.token.Load()
	if old == nil {
		return
	}
	claims, err := withoutClaims(old.Payload(), "iat", "exp", "nbf", "jti")
	if err != nil {
		s.emitError(err)
		return
	}
	opts := []auth.SignOption{auth.JWTID(newID())}
	if d := s.srv.cfg.TokenRenewal.ExpiresIn; d > 0 {
		opts = append(opts, auth.ExpiresIn(d))
	}
	token, err := s.sign(s.Context(), claims, opts)
	if err != nil {
		return // emitted, and the socket closed
	}
	_, _ = s.replaceToken(old, token)
}

// withoutClaims copies a JSON object without some of its members.
func withoutClaims(payload json.RawMessage, drop ...string) (map[string]json.RawMessage, error) {
	var claims map[string]json.RawMessage
	if err := json.Unmarshal(payload, &claims); err != nil {
		return nil, err
	}
	for _, name := range drop {
		delete(claims, name)
	}
	return claims, nil
}
