package socketcluster

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/socketcluster-go/socketcluster/auth"
)

// UpdateClaims changes the claims of a user on all sockets of this server: of
// those whose token has value, a string, in a claim. Each gets a new token,
// which is sent to its client, and its subscriptions are authorized again. It
// returns how many sockets those were. A client whose token came with its
// upgrade request (Config.TokenSources) is not sent the new one.
//
// change is given the claims as a T and edits them; claims that a T does not
// have stay. The new token expires when the old one would have, and has a new
// jti if that had one. A socket that logs out or in meanwhile is left with the
// outcome of that.
//
// Tokens of clients that are not connected keep their claims until they expire.
// Where that is too late, see [Server.Revoke].
//
// The error tells of the sockets whose token could not be changed. They keep
// the old one, and the others have theirs changed.
func UpdateClaims[T any](ctx context.Context, srv *Server, claim, value string, change func(claims *T)) (updated int, err error) {
	edit := func(payload json.RawMessage) (members, error) { return editClaims(payload, change) }
	var failed []error
	for s := range srv.Clients() {
		if err := ctx.Err(); err != nil {
			failed = append(failed, err)
			break
		}
		ok, err := s.updateClaims(ctx, claim, value, edit)
		if err != nil {
			failed = append(failed, fmt.Errorf("socket %s: %w", s.id, err))
		}
		if ok {
			updated++
		}
	}
	return updated, errors.Join(failed...)
}

// updateClaims reports whether the socket's token has been replaced.
func (s *Socket) updateClaims(ctx context.Context, claim, value string, edit func(json.RawMessage) (members, error)) (bool, error) {
	for {
		old := s.token.Load()
		if old == nil || s.State() != Open {
			return false, nil
		}
		if v, _ := old.Claim(claim); v != value {
			return false, nil
		}
		claims, err := edit(old.Payload())
		if err != nil {
			return false, err
		}
		delete(claims, "iat")
		delete(claims, "nbf")
		opts := []auth.SignOption{auth.PreferExpClaim()}
		if _, had := claims["jti"]; had {
			delete(claims, "jti")
			opts = append(opts, auth.JWTID(newID()))
		}
		token, err := s.askForToken(ctx, claims, opts)
		if err != nil {
			return false, err
		}
		replaced, err := s.replaceToken(old, token)
		if replaced || err != nil {
			return replaced, err
		}
		// It has got another token in between, perhaps of another user.
	}
}

// editClaims has change edit those claims of a payload that a T has.
func editClaims[T any](payload json.RawMessage, change func(*T)) (members, error) {
	var all members
	if err := json.Unmarshal(payload, &all); err != nil {
		return nil, err
	}
	var typed T
	if err := json.Unmarshal(payload, &typed); err != nil {
		return nil, err
	}
	before, err := membersOf(typed)
	if err != nil {
		return nil, err
	}
	change(&typed)
	after, err := membersOf(typed)
	if err != nil {
		return nil, err
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
	return all, nil
}

// members are those of a JSON object.
type members = map[string]json.RawMessage

func membersOf(v any) (members, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	var m members
	if err := json.Unmarshal(text, &m); err != nil {
		return nil, fmt.Errorf("claims must make a JSON object: %w", err)
	}
	return m, nil
}
