package socketcluster

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"github.com/socketcluster-go/socketcluster/auth"
)

// armRenewal sets the time for the next token. One that came with the upgrade
// request has none, as scripts of the client's page may not be meant to have a
// token. mu must be held.
func (s *Socket) armRenewal(token *auth.Token) {
	renewal := s.srv.cfg.TokenRenewal
	if renewal.Every <= 0 || s.token.origin != fromClient {
		return
	}
	now := time.Now()
	left := time.Duration(math.MaxInt64)
	if exp, ok := token.ExpiresAt(); ok {
		left = exp.Sub(now)
	}
	s.renewIn(renewal.after(left), now)
}

// after is how long a token that has left to live is kept.
func (r TokenRenewal) after(left time.Duration) time.Duration {
	d := min(r.Every, max(left-r.Margin, left/2))
	if jitter := min(r.Jitter, d/2); jitter > 0 {
		d -= rand.N(jitter)
	}
	return d
}

// renewSoon tries again in a moment, if the socket still has a token whose renewal
// was called off: its claims were being changed.
func (s *Socket) renewSoon(token *auth.Token) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.token.Load() == token && s.state == Open {
		s.renewIn(time.Second, time.Now())
	}
}

// renewIn has the token renewed after a while. mu must be held.
func (s *Socket) renewIn(d time.Duration, now time.Time) {
	s.token.renewAt(s.srv.moment(now).add(d))
	s.schedule(now)
}

// withNewLife are the claims of a token without its exp.
func withNewLife(_ json.RawMessage, claims members) (members, error) {
	delete(claims, "exp")
	return claims, nil
}

// renew replaces the token by one with the same claims and a new life. A token
// that must not be signed again stays until it expires.
func (s *Socket) renew() {
	old := s.token.Load()
	if old == nil {
		return
	}
	var opts []auth.SignOption
	if d := s.srv.cfg.TokenRenewal.ExpiresIn; d > 0 {
		opts = append(opts, auth.ExpiresIn(d))
	}
	token, err := s.srv.resign(s.Context(), old, fromClient, withNewLife, opts...)
	if err == nil {
		var replaced bool
		if replaced, err = s.replaceToken(s.Context(), old, token, false); err == nil && !replaced {
			s.renewSoon(old)
		}
	}
	var failure signFailure
	switch {
	case errors.As(err, &failure):
		s.signFailed(failure.error)
	case err != nil && err != errSessionOver:
		s.emitError(fmt.Errorf("the token was not renewed: %w", err))
	}
}
