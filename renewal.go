package socketcluster

import (
	"encoding/json"
	"time"

	"github.com/socketcluster-go/socketcluster/auth"
)

// renewalMargin is how long before its end a token must be replaced at the
// latest, so that a timer that is late does not log the client out.
const renewalMargin = time.Second

// armRenewal sets the time for the next token. mu must be held.
func (s *Socket) armRenewal() {
	every, token := s.srv.cfg.TokenRenewal.Every, s.token.Load()
	if every <= 0 || token == nil || s.state != Open {
		return
	}
	now := time.Now()
	if exp, ok := token.ExpiresAt(); ok {
		if left := exp.Sub(now); left < every+renewalMargin {
			every = min(every, left/2)
		}
	}
	s.renewAt = now.Add(every)
	s.schedule(now)
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
	_ = s.transmit(eventSetAuthToken, tokenData{token.Signed()}, func() bool {
		if s.token.Load() != old || s.state != Open {
			return false // logged out or in again meanwhile
		}
		s.adopt(token)
		return true
	})
	// The new token is younger than a revocation that was meant for the old one.
	s.dropRevoked(token, old)
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
