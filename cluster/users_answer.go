package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/socketcluster-go/socketcluster"
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
	req.Target = Claim(req.Claim, req.Value)
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
// by several goroutines. A node that ends does not answer: it counts as gone.
func (u *users) handle(req *request, data json.RawMessage, answer func(*reply)) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.shut {
		return
	}
	srv := u.srv
	u.running.Go(func() {
		ctx, cancel := context.WithTimeout(u.ctx, time.Duration(req.Timeout)*time.Millisecond)
		defer cancel()
		switch {
		case req.Op == opInForce:
			// Of its own revocations, the node that asks knows.
			if !req.own && u.n.inForce(ctx, req.Seq) != nil {
				return
			}
		case srv != nil:
			u.work(ctx, srv, req, data, answer)
			return
		}
		answer(&reply{Call: req.Call, Node: u.n.o.Name, Done: true})
	})
}

// work does what a request asks for with the sockets of this node.
func (u *users) work(ctx context.Context, srv *socketcluster.Server, req *request, data json.RawMessage, answer func(*reply)) {
	only := &reply{Call: req.Call, Node: u.n.o.Name, Done: true}
	defer func() { answer(only) }()
	switch req.Op {
	case opHold:
		only.Held = u.holds.begin(srv, req)
		return
	case opRelease:
		u.holds.end(req.Hold)
		return
	case opClaims:
		if err := only.change(ctx, srv, req.Target, data); err != nil {
			only.Failures = []failure{failureOf("", err)}
		}
		return
	}
	sockets := req.Target.sockets(srv)
	switch only.Found = len(sockets); {
	case len(sockets) == 0:
	case req.Op == opInvoke:
		only = u.invoke(ctx, req, data, sockets, answer)
	default:
		err := guard.Call(u.n.o.Logger, "a call of "+string(req.Op), func() error {
			only.act(ctx, req, data, sockets)
			return nil
		})
		if err != nil {
			only.Failures = append(only.Failures, failureOf("", err))
		}
	}
}

// invoke calls the sockets, and passes on each answer as it comes, but the last, which
// it returns.
func (u *users) invoke(ctx context.Context, req *request, data json.RawMessage, sockets []*socketcluster.Socket, answer func(*reply)) (last *reply) {
	answer(&reply{Call: req.Call, Node: u.n.o.Name, Found: len(sockets)})
	answers := make(chan *reply)
	for _, s := range sockets {
		go func() {
			r := &reply{Call: req.Call, Node: u.n.o.Name, Socket: s.ID()}
			result, err := s.Invoke(ctx, req.Name, data)
			if err != nil {
				r.Failures = []failure{failureOf(s.ID(), err)}
			} else {
				r.OK, r.data = 1, result
			}
			answers <- r
		}()
	}
	for range len(sockets) - 1 {
		answer(<-answers)
	}
	last = <-answers
	last.Done = true
	return last
}

// act does with the sockets what a request asks for, and writes the outcome into the
// answer.
func (r *reply) act(ctx context.Context, req *request, data json.RawMessage, sockets []*socketcluster.Socket) {
	switch req.Op {
	case opTransmit:
		r.with(sockets, func(s *socketcluster.Socket) error { return s.Transmit(ctx, req.Name, data) })
	case opKickOut:
		r.with(sockets, func(s *socketcluster.Socket) error {
			if !s.IsSubscribed(req.Name) {
				return errNothingToDo
			}
			err := s.KickOut(ctx, req.Name, data)
			if errors.Is(err, wire.ErrBroker) && !s.IsSubscribed(req.Name) {
				return errNothingToDo // it has left meanwhile
			}
			return err
		})
	case opDisconnect:
		r.with(sockets, func(s *socketcluster.Socket) error { return s.Disconnect(req.Code, req.Name) })
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
