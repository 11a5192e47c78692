package socketcluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/internal/numericdate"
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

// What signs the claims of a token again, because it is renewed or because they
// change, goes through resign: the claims of a token that would not be accepted
// today must not get a new signature.

// errSessionOver is the outcome of signing again after Config.AuthMaxAge.
var errSessionOver = errors.New("socketcluster: the login is older than Config.AuthMaxAge")

// claimsEdit returns the claims of a new token. payload is that of the old one, and
// claims are its members, which the edit may change and return.
type claimsEdit func(payload json.RawMessage, claims members) (members, error)

// resign signs the claims of the token old again, as edit has changed
// them: with an exp of their own, or the life that opts or the engine give. The
// token keeps its login, gets another jti, and does not outlive Config.AuthMaxAge.
//
// It fails with an AuthTokenError, or one of that kind, if old would not be
// accepted today, with [auth.ErrForeignToken] if others have signed it, and with
// errSessionOver.
func (srv *Server) resign(ctx context.Context, old *auth.Token, from origin, edit claimsEdit, opts ...auth.SignOption) (*auth.Token, error) {
	var demands []auth.VerifyOption
	if from == fromClient {
		demands = append(demands, auth.OwnKeys())
	}
	if err := srv.stillGood(ctx, old, from, demands...); err != nil {
		return nil, err
	}
	before, err := membersOf(old.Payload())
	if err != nil {
		return nil, err
	}
	claims, err := edit(old.Payload(), maps.Clone(before))
	if err != nil {
		return nil, err
	}
	for _, name := range []string{"iat", "nbf", "jti"} {
		delete(claims, name)
	}
	srv.keepLogin(claims, before, old)
	opts = append([]auth.SignOption{auth.PreferExpClaim(), auth.JWTID(newID())}, opts...)
	end, limited := srv.maxAge(old)
	if limited && !time.Now().Before(end) {
		return nil, errSessionOver
	}
	token, err := srv.askForToken(ctx, claims, opts)
	if err == nil && limited {
		if exp, ok := token.ExpiresAt(); !ok || exp.After(end) {
			claims["exp"] = numericdate.Append(nil, end)
			token, err = srv.askForToken(ctx, claims, opts)
		}
	}
	if err != nil {
		return nil, signFailure{err}
	}
	return token, nil
}

// signFailure is an error of the engine when it signs.
type signFailure struct{ error }

func (e signFailure) Unwrap() error { return e.error }

// maxAge is until when the login of a token lasts by Config.AuthMaxAge.
func (srv *Server) maxAge(token *auth.Token) (end time.Time, limited bool) {
	if srv.cfg.AuthMaxAge == 0 {
		return time.Time{}, false
	}
	login, ok := token.AuthTime()
	if !ok {
		login, _ = token.IssuedAt()
	}
	return login.Add(srv.cfg.AuthMaxAge), true
}

// stillGood asks the engine about a token that was accepted before. Keys may have
// changed, and it may have been revoked, since then.
func (srv *Server) stillGood(ctx context.Context, old *auth.Token, from origin, opts ...auth.VerifyOption) error {
	if from == fromPrincipal {
		return srv.checkPrincipal(old)
	}
	_, _, err := srv.verify(ctx, old.Signed(), opts...)
	return err
}

// Claims that say of which login a token is.
const (
	claimAuthTime = "auth_time"
	claimSession  = "sid"

	// claimSessionEnd is until when a token may be good that the session had
	// before this one. The name is this package's own.
	claimSessionEnd = "sid_exp"
)

// endless is the claimSessionEnd of a session that has a token without an exp:
// the end of the year 9999.
const endless = 253402300799

// keepLogin gives claims what says of which login they are, unless they have
// others: the time of the login, and the session. With Config.Revocations they get
// an iat that tells them from all that was signed before, for revokeReplaced.
// before are the claims of old.
func (srv *Server) keepLogin(claims, before members, old *auth.Token) {
	if before[claimAuthTime] == nil {
		before[claimAuthTime] = before["iat"]
	}
	for _, name := range []string{claimAuthTime, claimSession} {
		if claims[name] == nil && before[name] != nil {
			claims[name] = before[name]
		}
	}
	if srv.cfg.Revocations == nil || claims[claimSession] == nil {
		return
	}
	signed := srv.signingTime()
	if iat, ok := old.IssuedAt(); ok && !iat.Before(signed) { // by a clock that is ahead
		signed = iat.Add(time.Microsecond)
	}
	claims["iat"] = numericdate.Append(nil, signed)
	claims[claimSessionEnd] = strconv.AppendInt(nil, sessionEnd(old), 10)
}

// signingTime is the present, and later than at every call before, so that what is
// signed again can be told from what was signed before: revokeReplaced ends the
// tokens of a session up to such a moment.
func (srv *Server) signingTime() time.Time {
	for {
		last := srv.lastSigning.Load()
		next := max(time.Now().UnixMicro(), last+1)
		if srv.lastSigning.CompareAndSwap(last, next) {
			return time.UnixMicro(next)
		}
	}
}

// sessionEnd is the second until which any token of the session of a token may be
// good.
func sessionEnd(token *auth.Token) int64 {
	last := int64(endless)
	if end, ok := token.ValidUntil(); ok {
		last = min(end.Unix()+1, endless)
	}
	if v, ok := token.Claim(claimSessionEnd); ok {
		n, _ := v.(float64)
		last = max(last, int64(min(n, endless)))
	}
	return last
}
