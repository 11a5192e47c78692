package cluster

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/auth/revoke"
)

// A change of claims that all nodes make: first, all hold the claims, so that nobody
// signs the old ones any more. Then each makes new tokens. Then the old ones are revoked:
// those that were signed before the first node made new ones. At last, all release the
// claims.

// holdLife is for how long claims are held if nobody releases them, as the node that
// changes them has died. It has that time for the change.
const holdLife = 30 * time.Second

// holds are the claims that are held on this node.
type holds struct {
	mu  sync.Mutex
	all map[string]held // by ID
}

type held struct {
	release func()
	timer   *time.Timer
}

// begin holds the claims of a target, and returns when it did.
func (h *holds) begin(srv *socketcluster.Server, req *request) time.Time {
	release := srv.HoldClaims(req.Target.claim, req.Target.value)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.all == nil {
		h.all = make(map[string]held)
	}
	h.all[req.Hold] = held{release, time.AfterFunc(holdLife, func() { h.end(req.Hold) })}
	return time.Now()
}

// end releases claims.
func (h *holds) end(id string) {
	h.mu.Lock()
	one, ok := h.all[id]
	delete(h.all, id)
	h.mu.Unlock()
	if ok {
		one.timer.Stop()
		one.release()
	}
}

func (h *holds) endAll() {
	h.mu.Lock()
	all := slices.Collect(maps.Keys(h.all))
	h.mu.Unlock()
	for _, id := range all {
		h.end(id)
	}
}

// hold makes all nodes hold the claims of a target, and returns when the last one did. Those
// that are gone do not. release is never nil.
func (u *users) hold(ctx context.Context, t Target) (last time.Time, release func(), gone []string, err error) {
	id := rand.Text()
	var failed []error
	gone, err = u.ask(ctx, request{Op: opHold, Target: t, Hold: id}, nil, func(a *reply) bool {
		failed = append(failed, a.errors()...)
		if a.Held.After(last) {
			last = a.Held
		}
		return false
	})
	release = func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), syncTimeout)
		defer cancel()
		// A node that does not get it releases them by itself.
		_, _ = u.ask(ctx, request{Op: opRelease, Target: t, Hold: id}, nil, func(*reply) bool { return false })
	}
	return last, release, gone, errors.Join(append(failed, err)...)
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
	r.Found, r.OK, r.Replaced = updated, updated, replaced.all()
	return err
}

// replacements are revocations of what a change of claims has replaced.
type replacements struct {
	sessions map[string]revoke.Revocation // by sid
	tokens   []revoke.Revocation          // by jti
}

// merge adds a revocation. Of two of a session it keeps the Before that choose returns.
func (p *replacements) merge(r revoke.Revocation, choose func(a, b time.Time) time.Time) {
	if r.Session == "" {
		p.tokens = append(p.tokens, r)
		return
	}
	if p.sessions == nil {
		p.sessions = make(map[string]revoke.Revocation)
	}
	if known, ok := p.sessions[r.Session]; ok {
		r.Before = choose(known.Before, r.Before)
		if known.Until.IsZero() || !r.Until.IsZero() && known.Until.After(r.Until) {
			r.Until = known.Until
		}
	}
	p.sessions[r.Session] = r
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// add adds those of a node. Each has signed new tokens after its moment, so of several
// the first counts.
func (p *replacements) add(node []revoke.Revocation) {
	for _, r := range node {
		p.merge(r, earlier)
	}
}

// since returns all. No old token was signed after held, by the clock of any node.
func (p *replacements) since(held time.Time) []revoke.Revocation {
	for id, r := range p.sessions {
		r.Before = later(r.Before, held)
		p.sessions[id] = r
	}
	return append(p.tokens, slices.Collect(maps.Values(p.sessions))...)
}

// collector gets what is added to the revocations of the cluster by a change of
// claims, in place of the cluster: another node may still need the old token.
type collector struct {
	mu sync.Mutex
	replacements
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
	c.merge(r, later)
}

func (c *collector) all() []revoke.Revocation {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.since(time.Time{})
}
