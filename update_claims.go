package socketcluster

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/auth/revoke"
	"github.com/socketcluster-go/socketcluster/internal/claimscan"
)

// UpdateClaims changes the claims of a user on all sockets of this server whose
// token has value, a string or a whole number, in claim. Each gets a new token,
// which is sent to its client, and its subscriptions are authorized again.
// UpdateClaims returns the number of these sockets. The new token is not sent
// to a client whose token came with its upgrade request (Config.TokenSources).
//
// change receives the claims as a T and edits them; claims that are not in T
// stay. The new token expires when the old one would have, and has a new jti if
// the old one had one. A logout or another login on a socket meanwhile takes
// precedence. A socket for which change returns an error keeps its token.
//
// With Config.Revocations, all earlier tokens of these logins are revoked, by
// their sid and the time of their signature, or by their jti if they have no
// sid: nobody gets back the old claims by presenting an old token again. A
// client whose token is in a cookie then needs a new cookie before it connects
// the next time. Without revocations, the old tokens stay valid until they
// expire. Tokens of clients that are not connected stay valid in any case: see
// [Server.Revoke].
//
// The error contains one for each socket whose token could not be changed, and
// for each token that could not be revoked. A token that would now be refused,
// for example because its key has been removed, is not signed again: the socket
// is logged out. Other sockets for which there is an error keep the old token,
// including those whose token has another issuer.
func UpdateClaims[T any](ctx context.Context, srv *Server, claim, value string, change func(claims *T) error) (updated int, err error) {
	mustCall("the function of UpdateClaims", change)
	edit := func(payload json.RawMessage, claims members) (members, error) {
		return claims, editClaims(payload, claims, change)
	}
	var failed []error
	var replaced []*auth.Token
	// From here on nobody else signs the claims that are about to change.
	defer srv.edits.begin(claim, value)()
	begun := srv.signingTime()
	// This includes closed sockets: their messages may still wait for handlers.
	for _, s := range srv.originsWith(claim, value) {
		if err := ctx.Err(); err != nil {
			failed = append(failed, err)
			break
		}
		old, err := s.updateClaims(ctx, claim, value, edit)
		if err != nil {
			failed = append(failed, fmt.Errorf("socket %s: %w", s.ID(), err))
		}
		if old == nil {
			continue
		}
		replaced = append(replaced, old)
		if s.State() == Open {
			updated++
		}
	}
	// This comes last, because several sockets may have the same token, such as
	// those of two tabs.
	failed = append(failed, srv.revokeReplaced(ctx, replaced, begun))
	return updated, errors.Join(failed...)
}

// revokeReplaced revokes tokens that others, signed after begun, have replaced,
// and all earlier tokens of their sessions.
func (srv *Server) revokeReplaced(ctx context.Context, tokens []*auth.Token, begun time.Time) error {
	if srv.cfg.Revocations == nil {
		return nil
	}
	var failed []error
	for _, t := range tokens {
		r, ok := revoke.ForToken(t)
		if sid, _ := textClaim(t, claimSession); sid != "" {
			r, ok = revoke.Revocation{Session: sid, Before: begun}, true
			if iat, has := t.IssuedAt(); has && iat.After(begun) {
				r.Before = iat
			}
			end := sessionEnd(t)
			if last, limited := srv.maxAge(t); limited {
				// A token that was signed at the same time as this one may live
				// that long.
				end = max(end, last.Unix()+1)
			}
			if end < endless {
				r.Until = time.Unix(end, 0)
			}
		}
		if ok {
			r.Reason = "its claims have changed"
			failed = append(failed, srv.cfg.Revocations.Add(context.WithoutCancel(ctx), r))
		}
	}
	return errors.Join(failed...)
}

// updateClaims returns the token that it has replaced, or nil.
func (s *Socket) updateClaims(ctx context.Context, claim, value string, edit claimsEdit) (*auth.Token, error) {
	for {
		s.mu.Lock()
		old, from := s.token.Load(), s.token.origin
		early := s.state == Connecting
		s.mu.Unlock()
		if old == nil || early || !hasClaim(old, claim, value) {
			return nil, nil
		}
		token, err := s.srv.resign(ctx, old, from, edit)
		if err != nil {
			if isBadToken(err) {
				s.endLogin(old, AuditLogout, plainMessage(err))
				s.drainEvents()
			}
			return nil, err
		}
		switch replaced, err := s.replaceToken(ctx, old, token, true); {
		case err != nil:
			return nil, err
		case replaced:
			return old, nil
		}
		// The socket has another token meanwhile, perhaps of another user.
	}
}

// hasClaim reports whether a claim is that text or that whole number.
func hasClaim(token *auth.Token, claim, value string) bool {
	text, ok := textClaim(token, claim)
	return ok && text == value
}

// textClaim returns the text of a claim that is a text or a whole number.
func textClaim(token *auth.Token, claim string) (text string, ok bool) {
	return claimscan.TextOfMember(token.Payload(), claim)
}

// editClaims lets change edit the claims of a payload that are in T. all are
// the members of the payload.
func editClaims[T any](payload json.RawMessage, all members, change func(*T) error) error {
	var typed T
	if err := json.Unmarshal(payload, &typed); err != nil {
		return err
	}
	before, err := membersOf(typed)
	if err != nil {
		return err
	}
	if err := change(&typed); err != nil {
		return err
	}
	after, err := membersOf(typed)
	if err != nil {
		return err
	}
	for name := range before {
		if _, stays := after[name]; !stays {
			delete(all, name)
		}
	}
	for name, v := range after {
		if !bytes.Equal(before[name], v) {
			all[name] = v
		}
	}
	return nil
}

// members are the members of a JSON object.
type members = map[string]json.RawMessage

func membersOf(v any) (members, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	var m members
	if err := json.Unmarshal(text, &m); err != nil {
		return nil, fmt.Errorf("claims must encode to a JSON object: %w", err)
	}
	return m, nil
}

// edits are the changes of claims that are under way. Meanwhile nothing else
// signs those claims again: a token with the old claims could not be
// distinguished from those that the change makes, and would outlive it.
type edits struct {
	n    atomic.Int32
	mu   sync.Mutex // a leaf
	list []*edit
}

type edit struct{ claim, value string }

// begin records a change of the tokens that have a value in a claim.
func (e *edits) begin(claim, value string) (end func()) {
	one := &edit{claim, value}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.list = append(e.list, one)
	e.n.Add(1)
	return func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.list = slices.DeleteFunc(e.list, func(other *edit) bool { return other == one })
		e.n.Add(-1)
	}
}

// concern reports whether the claims of a token are being changed.
func (e *edits) concern(token *auth.Token) bool {
	if e.n.Load() == 0 {
		return false
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.ContainsFunc(e.list, func(one *edit) bool { return hasClaim(token, one.claim, one.value) })
}
