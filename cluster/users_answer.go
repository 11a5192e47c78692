package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/auth/revoke"
	"github.com/socketcluster-go/socketcluster/internal/claimscan"
	"github.com/socketcluster-go/socketcluster/internal/guard"
	"github.com/socketcluster-go/socketcluster/wire"
)

// asked handles a request of another node.
func (u *users) asked(msg *nats.Msg) {
	var req request
	data, err := unpack(msg.Data, &req)
	if err != nil {
		return // no node sends that
	}
	req.Target = Target{req.Claim, req.Value}
	u.handle(&req, data, func(r *reply) {
		message, err := pack(r, r.data)
		if limit := u.n.nc.MaxPayload(); err == nil && int64(len(message)) > limit {
			tooLarge := fmt.Errorf("cluster: an answer of %d bytes is larger than the %d that NATS carries (max_payload)", len(message), limit)
			cut := &reply{Call: r.Call, Node: r.Node, Found: r.Found, Socket: r.Socket, Failures: []failure{failureOf(r.Socket, tooLarge)}, Done: r.Done}
			message, err = pack(cut, nil)
		}
		if err == nil {
			err = msg.Respond(message)
		}
		if err != nil {
			u.n.o.Logger.Debug("cluster: an answer is lost", slog.Any("error", err))
		}
	})
}

// handle does what a request asks for, without waiting for it. answer may be called
// by several goroutines.
func (u *users) handle(req *request, data json.RawMessage, answer func(*reply)) {
	u.mu.Lock()
	if u.shut {
		u.mu.Unlock()
		return // it counts as gone
	}
	d := u.directory
	u.running.Add(1)
	u.mu.Unlock()
	newReply := func() *reply {
		return &reply{Call: req.Call, Node: u.n.o.Name}
	}
	only := newReply()
	only.Done = true
	if req.Op == opInForce && req.own {
		answer(only) // who asks has seen to it
		u.running.Done()
		return
	}
	if req.Op == opInForce {
		go func() {
			defer u.running.Done()
			ctx, cancel := context.WithTimeout(u.ctx, time.Duration(req.Timeout)*time.Millisecond)
			defer cancel()
			if u.n.inForce(ctx, req.Seq) == nil {
				answer(only)
			}
		}()
		return
	}
	var sockets []*socketcluster.Socket
	if d != nil {
		var err error
		if sockets, err = d.find(req.Target); err != nil {
			only.Failures = []failure{failureOf("", err)}
		}
	}
	// A change of claims also concerns sockets that have closed.
	if only.Found = len(sockets); d == nil || len(sockets) == 0 && req.Op != opClaims {
		answer(only)
		u.running.Done()
		return
	}
	go func() {
		defer u.running.Done()
		ctx, cancel := context.WithTimeout(u.ctx, time.Duration(req.Timeout)*time.Millisecond)
		defer cancel()
		if req.Op == opInvoke {
			found := newReply()
			found.Found = len(sockets)
			answer(found)
			u.invoke(ctx, req, data, sockets, newReply, answer)
			return
		}
		err := guard.Call(u.n.o.Logger, "a call of "+string(req.Op), func() error {
			u.act(ctx, d, req, data, sockets, only)
			return nil
		})
		if err != nil {
			only.Failures = append(only.Failures, failureOf("", err))
		}
		answer(only)
	}()
}

// invoke calls the sockets, and passes on each answer as it comes.
func (u *users) invoke(ctx context.Context, req *request, data json.RawMessage, sockets []*socketcluster.Socket, newReply func() *reply, answer func(*reply)) {
	var calls sync.WaitGroup
	var mu sync.Mutex
	left := len(sockets)
	for _, s := range sockets {
		calls.Go(func() {
			r := newReply()
			r.Socket = s.ID()
			result, err := s.Invoke(ctx, req.Name, data)
			if err != nil {
				r.Failures = []failure{failureOf(s.ID(), err)}
			} else {
				r.OK, r.data = 1, result
			}
			mu.Lock()
			defer mu.Unlock()
			left--
			r.Done = left == 0
			answer(r)
		})
	}
	calls.Wait()
}

// act does with the sockets what a request asks for, and writes the outcome into an
// answer.
func (u *users) act(ctx context.Context, d *directory, req *request, data json.RawMessage, sockets []*socketcluster.Socket, r *reply) {
	switch req.Op {
	case opTransmit:
		r.with(sockets, func(s *socketcluster.Socket) error { return s.Transmit(ctx, req.Name, data) })
	case opKickOut:
		sockets = slices.DeleteFunc(sockets, func(s *socketcluster.Socket) bool { return !s.IsSubscribed(req.Name) })
		r.with(sockets, func(s *socketcluster.Socket) error {
			err := s.KickOut(ctx, req.Name, data)
			if errors.Is(err, wire.ErrBroker) && !s.IsSubscribed(req.Name) {
				return errNothingToDo // it has left meanwhile
			}
			return err
		})
	case opDisconnect:
		r.with(sockets, func(s *socketcluster.Socket) error { return s.Disconnect(req.Code, req.Name) })
	case opClaims:
		if err := r.change(ctx, d.srv, req.Target, data); err != nil {
			r.Failures = append(r.Failures, failureOf("", err))
		}
	case opLogin:
		if err := r.login(sockets[0]); err != nil {
			r.Failures = append(r.Failures, failureOf(sockets[0].ID(), err))
		}
	default:
		r.Failures = append(r.Failures, failureOf("", fmt.Errorf("cluster: the node does not know %q: is it of an older version?", req.Op)))
	}
}

// errNothingToDo is the error of something that counts neither as done nor as failed.
var errNothingToDo = errors.New("cluster: there is nothing to do")

// with does something with the sockets, side by side, and counts.
func (r *reply) with(sockets []*socketcluster.Socket, do func(*socketcluster.Socket) error) {
	var mu sync.Mutex
	one := func(s *socketcluster.Socket) {
		err := do(s)
		mu.Lock()
		defer mu.Unlock()
		switch {
		case err == nil:
			r.OK++
		case err != errNothingToDo:
			r.Failures = append(r.Failures, failureOf(s.ID(), err))
		}
	}
	if len(sockets) == 1 {
		one(sockets[0])
		return
	}
	var all sync.WaitGroup
	for _, s := range sockets {
		all.Go(func() { one(s) })
	}
	all.Wait()
}

// change changes the claims of a target, and collects what is to be revoked.
func (r *reply) change(ctx context.Context, srv *socketcluster.Server, t Target, changes json.RawMessage) error {
	var with map[string]json.RawMessage
	if err := json.Unmarshal(changes, &with); err != nil {
		return fmt.Errorf("cluster: the changes of claims: %w", err)
	}
	var replaced collector
	updated, err := socketcluster.UpdateClaims(replaced.in(ctx), srv, t.claim, t.value, func(claims *map[string]json.RawMessage) error {
		for name, value := range with {
			if string(value) == "null" {
				delete(*claims, name)
			} else {
				(*claims)[name] = value
			}
		}
		return nil
	})
	r.OK, r.Replaced = updated, replaced.all()
	r.Found = max(r.Found, updated)
	return err
}

// login says what the login of a socket is found by: its session, or its token.
func (r *reply) login(s *socketcluster.Socket) error {
	token := s.AuthToken()
	if token == nil {
		return errors.New("cluster: the socket is not logged in")
	}
	for _, claim := range []string{"sid", "jti"} {
		if text, _ := claimscan.TextOfMember(token.Payload(), claim); text != "" {
			r.Login = []string{claim, text}
			return nil
		}
	}
	return errors.New("cluster: the token of the socket has neither sid nor jti")
}

// collector gets what is added to the revocations of the cluster by a change of
// claims, in place of the cluster: another node may still need the old token.
type collector struct {
	mu       sync.Mutex
	sessions map[string]revoke.Revocation // by sid
	tokens   []revoke.Revocation
}

type collectorKey struct{}

// in returns a context by which additions reach the collector.
func (c *collector) in(ctx context.Context) context.Context {
	return context.WithValue(ctx, collectorKey{}, c)
}

// collectorOf returns the collector of a context, or nil.
func collectorOf(ctx context.Context) *collector {
	c, _ := ctx.Value(collectorKey{}).(*collector)
	return c
}

func (c *collector) add(r revoke.Revocation) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if r.Session == "" {
		c.tokens = append(c.tokens, r)
		return
	}
	if c.sessions == nil {
		c.sessions = make(map[string]revoke.Revocation)
	}
	known, ok := c.sessions[r.Session]
	if ok && known.Before.After(r.Before) {
		r.Before = known.Before
	}
	if ok && (known.Until.IsZero() || !r.Until.IsZero() && known.Until.After(r.Until)) {
		r.Until = known.Until
	}
	c.sessions[r.Session] = r
}

func (c *collector) all() []revoke.Revocation {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append(c.tokens, slices.Collect(maps.Values(c.sessions))...)
}
