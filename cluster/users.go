package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/wire"
)

// Target says to which sockets a call goes: those of a user, those of a session, or
// one. [User], [Claim], [Session] and [Socket] make it.
type Target struct {
	user         bool   // the claim is Options.UserClaim of the node that is asked
	claim, value string // no claim: value is the ID of a socket
}

// User is the sockets of a user: those whose token has the name, a text or a whole
// number, in the claim that [Options].UserClaim of the node says.
func User(name string) Target { return Target{user: true, value: name} }

// Claim is the sockets whose token has a value in a claim, such as team, a text or a
// whole number; see [socketcluster.Server.ClientsWith].
func Claim(claim, value string) Target { return Target{claim: claim, value: value} }

// Session is the sockets of a session: those whose token has the ID as its claim sid.
func Session(id string) Target { return Target{claim: "sid", value: id} }

// Socket is the socket with an ID, logged in or not.
func Socket(id string) Target { return Target{value: id} }

// ErrNobody is the error of a call to somebody who has no socket on any node: all have
// answered.
var ErrNobody = errors.New("cluster: nobody is connected there")

// ErrNodeGone is the error of a call for a node that has not answered before it was gone,
// or was gone without a farewell in the minute before the call. It has died, or it is cut
// off and still has its sockets. Whether they got the call is unknown.
var ErrNodeGone = errors.New("cluster: the node is gone")

// RemoteError is a failure on a node. A call joins those of all nodes and sockets:
// errors.As finds the first. Of the errors of another node, errors.Is finds a
// *[wire.Error], [context.DeadlineExceeded], [ErrNodeGone] and those of the
// functions of the server that are named in the comments here; of others there is the
// text.
type RemoteError struct {
	Node   string
	Socket string // its ID; empty if the failure is not that of one socket
	Err    error
}

// Error implements error.
func (e *RemoteError) Error() string {
	if e.Socket == "" {
		return fmt.Sprintf("node %s: %v", e.Node, e.Err)
	}
	return fmt.Sprintf("node %s: socket %s: %v", e.Node, e.Socket, e.Err)
}

// Unwrap returns the failure itself.
func (e *RemoteError) Unwrap() error { return e.Err }

// Attach makes the sockets of a server reachable for [Node.To] of all nodes. A node
// has one server.
func (n *Node) Attach(srv *socketcluster.Server) error { return n.users.attach(srv) }

// To returns the sockets of a target on all nodes, this one included.
//
// The methods of the result ask all nodes at once, and wait until all have answered or
// ctx ends; without a deadline, sockets have 10 seconds. A node that dies meanwhile
// is waited for until the others know that it is dead, 4 seconds at most, and is then an
// [ErrNodeGone]. So is, without a wait, one that was gone before and may only be cut off: call again
// when it is back, or revoke what must hold there. What has been sent is not
// called back when ctx ends. Nobody waits for a node that has come within the last second
// and is not known yet.
func (n *Node) To(t Target) Recipient {
	if t.user {
		t = Claim(n.o.UserClaim, t.value)
	}
	return Recipient{n.users, t}
}

// Recipient is the sockets of a [Target] on all nodes. Its methods are safe for
// concurrent use, and find the sockets anew with each call. They fail with
// [ErrNobody] if there is none, and else with what failed, see [RemoteError].
type Recipient struct {
	u      *users
	target Target
}

// Transmit transmits an event to all the sockets, as [socketcluster.Socket.Transmit]
// does. sent is how many have it in their outbox. The calls of one goroutine arrive
// in order.
func (r Recipient) Transmit(ctx context.Context, event string, data any) (sent int, err error) {
	return r.each(ctx, request{Op: opTransmit, Name: event}, data)
}

// Invoke calls a procedure of all the sockets at the same time, as
// [socketcluster.Socket.Invoke] does, and returns the first answer that is no error.
// If there is none, the error joins those of all sockets.
func (r Recipient) Invoke(ctx context.Context, procedure string, data any) (json.RawMessage, error) {
	var first json.RawMessage
	got := false
	err := r.invoke(ctx, procedure, data, func(a Answer) (enough bool) {
		if a.Err == nil {
			first, got = a.Data, true
		}
		return got
	})
	if got {
		return first, nil
	}
	return nil, err
}

// Answer is the answer of one socket to a call.
type Answer struct {
	Node   string
	Socket string // its ID
	Data   json.RawMessage
	Err    error // that of [socketcluster.Socket.Invoke]
}

// InvokeAll calls a procedure of all the sockets at the same time, and returns the
// answers of all in the order in which they came. The error joins those of nodes and
// those in the answers; the answers that came are returned in any case.
func (r Recipient) InvokeAll(ctx context.Context, procedure string, data any) (answers []Answer, err error) {
	err = r.invoke(ctx, procedure, data, func(a Answer) (enough bool) {
		answers = append(answers, a)
		return false
	})
	return answers, err
}

func (r Recipient) invoke(ctx context.Context, procedure string, data any, got func(Answer) (enough bool)) error {
	raw, err := encode(data)
	if err != nil {
		return err
	}
	found := 0
	var failed []error
	gone, err := r.u.ask(ctx, request{Op: opInvoke, Target: r.target, Name: procedure}, raw, func(a *reply) bool {
		found += a.Found
		failed = append(failed, a.errors()...)
		if a.Socket == "" {
			return false
		}
		answer := Answer{Node: a.Node, Socket: a.Socket, Data: a.data}
		if len(a.Failures) > 0 {
			answer.Err = a.Failures[0].err()
		}
		return got(answer)
	})
	return outcome(found, gone, append(failed, err))
}

// KickOut removes the sockets from a channel, as [socketcluster.Socket.KickOut] does.
// kicked is the number of those that were subscribed to it; to the others nothing
// happens.
func (r Recipient) KickOut(ctx context.Context, channel string, message any) (kicked int, err error) {
	return r.each(ctx, request{Op: opKickOut, Name: channel}, message)
}

// Disconnect closes the sockets, as [socketcluster.Socket.Disconnect] does, and
// returns how many. It does not revoke their tokens.
func (r Recipient) Disconnect(ctx context.Context, code wire.CloseCode, reason string) (closed int, err error) {
	if code != 0 && !code.Sendable() {
		return 0, fmt.Errorf("cluster: the close code %d may not be sent", code)
	}
	return r.each(ctx, request{Op: opDisconnect, Name: reason, Code: code}, nil)
}

// UpdateClaims changes the claims of the sockets' tokens, as
// [socketcluster.UpdateClaims] does; see there for what clients notice and which
// errors there are, among them [socketcluster.ErrTokenChanged] and
// [github.com/socketcluster-go/socketcluster/auth.ErrForeignToken]. A claim of changes
// replaces the one of the token, and nil removes it. updated is the number of sockets
// with a new token. Those of a [Socket] are the ones of its session, or of its token
// if that has no sid.
//
// Meanwhile no node signs the old claims again. If the Config.Revocations of the
// servers are those of the cluster ([Node.Revocations]), the earlier tokens are revoked
// when all nodes have made new ones: sockets of one session on several nodes stay logged
// in. For that, the clocks of the nodes must agree; a node whose clock is behind by more
// than the changes take, a millisecond or so, logs out such sockets. With another store,
// each node revokes by itself, which ends logins that have sockets on several nodes. A node
// that is gone does not keep the others from the change; if it is only cut off, it may sign
// the old claims again until it is back.
func (r Recipient) UpdateClaims(ctx context.Context, changes map[string]any) (updated int, err error) {
	raw, err := encode(changes)
	if err != nil {
		return 0, err
	}
	target := r.target
	if target.claim == "" {
		if target, err = r.login(ctx); err != nil {
			return 0, err
		}
	}
	held, release, notHeld, err := r.u.hold(ctx, target)
	defer release()
	if err != nil {
		return 0, err
	}
	found := 0
	var failed []error
	var replaced replacements
	gone, err := r.u.ask(ctx, request{Op: opClaims, Target: target}, raw, func(a *reply) bool {
		found += a.Found
		updated += a.OK
		failed = append(failed, a.errors()...)
		replaced.add(a.Replaced)
		return false
	})
	failed = append(failed, err)
	// What has been replaced is revoked in any case.
	failed = append(failed, r.u.n.addRevocations(context.WithoutCancel(ctx), replaced.since(held)))
	return updated, outcome(found, append(gone, notHeld...), failed)
}

// login returns what the login of a socket is found by.
func (r Recipient) login(ctx context.Context) (t Target, err error) {
	found := 0
	var failed []error
	gone, err := r.u.ask(ctx, request{Op: opLogin, Target: r.target}, nil, func(a *reply) bool {
		found += a.Found
		failed = append(failed, a.errors()...)
		if a.Login != nil {
			t = Claim(a.Login[0], a.Login[1])
		}
		return t.claim != ""
	})
	if t.claim != "" {
		return t, nil
	}
	return t, outcome(found, gone, append(failed, err))
}

// each does something with each of the sockets.
func (r Recipient) each(ctx context.Context, req request, data any) (n int, err error) {
	raw, err := encode(data)
	if err != nil {
		return 0, err
	}
	req.Target = r.target
	found := 0
	var failed []error
	gone, err := r.u.ask(ctx, req, raw, func(a *reply) bool {
		found += a.Found
		n += a.OK
		failed = append(failed, a.errors()...)
		return false
	})
	return n, outcome(found, gone, append(failed, err))
}

// outcome is the error of a call that has found so many sockets. A node may be gone more
// than once.
func outcome(found int, gone []string, failed []error) error {
	slices.Sort(gone)
	for _, node := range slices.Compact(gone) {
		failed = append(failed, &RemoteError{Node: node, Err: ErrNodeGone})
	}
	err := errors.Join(failed...)
	if err == nil && found == 0 {
		return ErrNobody
	}
	return err
}

// encode encodes the data of a call. There is none for nil.
func encode(data any) (json.RawMessage, error) {
	switch data.(type) {
	case nil, socketcluster.None, *socketcluster.None:
		return nil, nil
	}
	raw, err := wire.Marshal(data)
	if err != nil {
		return nil, fmt.Errorf("cluster: encode the data: %w", err)
	}
	return raw, nil
}

// valid reports whether a target can be named in a request. No token has another
// text in a claim.
func (t Target) valid() bool { return utf8.ValidString(t.claim) && utf8.ValidString(t.value) }

// sockets returns those of a server. Nobody has an empty name: who calls somebody by it has not
// found the name.
func (t Target) sockets(srv *socketcluster.Server) []*socketcluster.Socket {
	switch {
	case t.value == "":
		return nil
	case t.claim != "":
		return slices.Collect(srv.ClientsWith(t.claim, t.value))
	}
	if s := srv.Client(t.value); s != nil {
		return []*socketcluster.Socket{s}
	}
	return nil
}
