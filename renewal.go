package socketcluster

import (
	"context"
	cryptorand "crypto/rand"
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

// armRenewal sets the time for the next token. A token that came with the
// upgrade request is not renewed, because scripts of the client's page may not
// be allowed to have one. mu must be held.
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

// after returns the time for which a token that expires after left is kept.
func (r TokenRenewal) after(left time.Duration) time.Duration {
	d := min(r.Every, max(left-r.Margin, left/2))
	if jitter := min(r.Jitter, d/2); jitter > 0 {
		d -= rand.N(jitter)
	}
	return d
}

// renewSoon tries again soon if the socket still has a token that was not
// renewed because its claims were being changed.
func (s *Socket) renewSoon(token *auth.Token) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.token.Load() == token && s.state == Open {
		s.renewIn(time.Second, time.Now())
	}
}

// renewIn schedules the renewal of the token. mu must be held.
func (s *Socket) renewIn(d time.Duration, now time.Time) {
	s.token.renewAt(s.srv.moment(now).add(d))
	s.schedule(now)
}

// withNewLife returns the claims of a token without its exp.
func withNewLife(_ json.RawMessage, claims members) (members, error) {
	delete(claims, "exp")
	return claims, nil
}

// renew replaces the token by one with the same claims and a new exp. A token
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

// Whenever the claims of a token are signed again, for a renewal or a change,
// resign does it: the claims of a token that would no longer be accepted must
// not get a new signature.

// errSessionOver is the error of signing again after Config.AuthMaxAge.
var errSessionOver = errors.New("socketcluster: the login is older than Config.AuthMaxAge")

// claimsEdit returns the claims of a new token. payload is that of the old one, and
// claims are its members, which the edit may change and return.
type claimsEdit func(payload json.RawMessage, claims members) (members, error)

// resign signs the claims of the token old again, after edit has changed them.
// Their exp is that of the claims, or follows from opts or the engine. The
// token keeps its login, gets another jti, and does not outlive
// Config.AuthMaxAge.
//
// It fails with an AuthTokenError, or a related one, if old would no longer be
// accepted, with [auth.ErrForeignToken] if others have signed it, and with
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
	opts = append([]auth.SignOption{auth.PreferExpClaim(), auth.JWTID(cryptorand.Text())}, opts...)
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

// signFailure is an error of the engine from signing.
type signFailure struct{ error }

func (e signFailure) Unwrap() error { return e.error }

// maxAge returns the end of a token's login by Config.AuthMaxAge.
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

// stillGood verifies a token again that was accepted before. Since then keys
// may have changed, or it may have been revoked.
func (srv *Server) stillGood(ctx context.Context, old *auth.Token, from origin, opts ...auth.VerifyOption) error {
	if from == fromPrincipal {
		return srv.checkPrincipal(old)
	}
	_, _, err := srv.verify(ctx, old.Signed(), opts...)
	return err
}

// Claims that identify the login of a token.
const (
	claimAuthTime = "auth_time"
	claimSession  = "sid"

	// claimSessionEnd is the time until which an earlier token of the session
	// may be valid. The name is this package's own.
	claimSessionEnd = "sid_exp"
)

// endless is the claimSessionEnd of a session that has a token without an exp:
// the end of the year 9999.
const endless = 253402300799

// keepLogin adds the claims that identify the login, unless there are others:
// the time of the login, and the session. With Config.Revocations it adds an
// iat that distinguishes the token from all earlier ones, for revokeReplaced.
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

// signingTime returns the current time, but always a later one than before, so
// that a token that is signed again can be distinguished from earlier ones:
// revokeReplaced ends the tokens of a session up to such a moment.
func (srv *Server) signingTime() time.Time {
	for {
		last := srv.lastSigning.Load()
		next := max(time.Now().UnixMicro(), last+1)
		if srv.lastSigning.CompareAndSwap(last, next) {
			return time.UnixMicro(next)
		}
	}
}

// sessionEnd returns the second until which any token of the session of a token
// may be valid.
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
