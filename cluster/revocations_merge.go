package cluster

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/socketcluster-go/socketcluster/auth/revoke"
)

// The stream has one message for each target, so that nobody fills it by revoking the same
// again and again. A message replaces the one before only if the node knew that one, and has
// all of it: so additions of several nodes at the same time end with the union.

// revoked is a message of the stream: a revocation, or several that a node adds at the same time,
// and what it adds to. Watchers are told of the revocation itself; a node that has missed Earlier gets it, too.
type revoked struct {
	ID string `json:"id"` // of the addition, by which the node that adds knows its own
	revoke.Revocation
	Earlier *revoke.Revocation `json:"earlier,omitempty"` // all before of the same target, merged
}

// all returns all that a message revokes.
func (m *revoked) all() revoke.Revocation {
	if m.Earlier == nil {
		return m.Revocation
	}
	return m.Earlier.Merge(m.Revocation)
}

// subjectOf returns the subject of the revocations of a target.
func (rv *Revocations) subjectOf(r revoke.Revocation) string {
	claim, value := r.Target()
	sum := sha256.Sum256(fmt.Appendf(nil, "%q%q", claim, value))
	return rv.n.subject("rv.r." + base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(sum[:20]))
}

// record is a message as the stream has it.
type record struct {
	revoked
	seq uint64 // 0: the stream has none
}

// sameTarget is false for what is no revocation.
func sameTarget(a, b revoke.Revocation) bool {
	claim, value := a.Target()
	claimB, valueB := b.Target()
	return claim == claimB && value == valueB
}

// store stores a revocation in its normal form, merged with what the stream has of its target.
// If that covers it, nothing is stored. All of it is in force where the sequence is. On this
// node, hold puts it in force; whoever gets no error must call it.
func (rv *Revocations) store(ctx context.Context, r revoke.Revocation) (seq uint64, hold func() error, err error) {
	subject := rv.subjectOf(r)
	defer rv.wish(subject, r)()
	done, err := rv.targets.take(ctx, subject) // others of this node would only have to try again
	if err != nil {
		return 0, nil, fmt.Errorf("cluster: store a revocation: %w", err)
	}
	defer done()
	m := revoked{Revocation: rv.wished(subject)}
	for replaces := uint64(0); ; {
		m.ID = rand.Text()
		a := rv.begin(m)
		seq, other, err := rv.put(ctx, subject, m, replaces)
		if seq, err = rv.settle(m.ID, seq, err); !errors.Is(err, errOther) {
			return seq, a.hold, err
		}
		replaces, m.Earlier = other.seq, nil
		if earlier := other.all(); sameTarget(earlier, r) {
			m.Earlier = &earlier
		}
		if m.Earlier != nil && m.Earlier.Covers(r) {
			m.Revocation = r // not what others still wait for
			return other.seq, func() error { return rv.hold(&m) }, nil
		}
	}
}

// wish is what this node is adding of a target: all additions that have their turn or wait for it,
// merged. The first stores it for all, as each message costs each node a look at all its sockets.
type wish struct {
	r     revoke.Revocation
	count int // of the additions
}

// wish takes note of an addition until end is called.
func (rv *Revocations) wish(subject string, r revoke.Revocation) (end func()) {
	rv.mu.Lock()
	defer rv.mu.Unlock()
	w := rv.wishes[subject]
	if w == nil {
		w = &wish{r: r}
		rv.wishes[subject] = w
	}
	w.r, w.count = w.r.Merge(r), w.count+1
	return func() {
		rv.mu.Lock()
		defer rv.mu.Unlock()
		if w.count--; w.count == 0 {
			delete(rv.wishes, subject)
		}
	}
}

// wished returns what this node is adding of a target.
func (rv *Revocations) wished(subject string) revoke.Revocation {
	rv.mu.Lock()
	defer rv.mu.Unlock()
	return rv.wishes[subject].r
}

// put stores a message in place of the one with a sequence, 0 for none. If the stream has another
// one, or has none any more, it returns that, and the error is errOther.
func (rv *Revocations) put(ctx context.Context, subject string, m revoked, replaces uint64) (seq uint64, other record, err error) {
	data, err := json.Marshal(m)
	if err != nil {
		return 0, other, fmt.Errorf("cluster: %w", err)
	}
	msg := &nats.Msg{Subject: subject, Data: data, Header: nats.Header{jetstream.MsgIDHeader: {m.ID}}}
	stored, err := rv.publish(ctx, msg, ttl(m.all(), time.Now()), jetstream.WithExpectLastSequencePerSubject(replaces))
	if !errors.Is(err, errOther) {
		return stored.seq, other, err
	}
	if other, err = rv.get(ctx, subject); err != nil {
		return 0, other, err
	}
	if other.ID == m.ID {
		return other.seq, other, nil // an answer was lost
	}
	return 0, other, errOther
}

// get reads what the stream has of a target.
func (rv *Revocations) get(ctx context.Context, subject string) (m record, err error) {
	msg, ok, err := rv.n.fromLeader(ctx, rv.stream, context.Background, getRequest{LastFor: subject})
	if err != nil {
		return m, fmt.Errorf("cluster: read a revocation: %w", err)
	}
	if !ok {
		return m, nil
	}
	m.seq = msg.seq
	if err := json.Unmarshal(msg.data, &m.revoked); err != nil {
		m.revoked = revoked{} // it is in force nowhere
	}
	return m, nil
}

// adding is an addition of this node, from before it is stored until it has come back.
type adding struct {
	hold   func() error // puts it in force here, once, and waits until it is
	back   uint64       // its sequence, if it has come back
	stored uint64       // its sequence, if NATS has answered
}

// begin takes note of an addition that is about to be stored.
func (rv *Revocations) begin(m revoked) *adding {
	a := &adding{hold: sync.OnceValue(func() error { return rv.hold(&m) })}
	rv.mu.Lock()
	defer rv.mu.Unlock()
	rv.adding[m.ID] = a
	return a
}

// settle takes note of what has become of an addition. If it has come back, it is stored,
// whatever became of the answer.
func (rv *Revocations) settle(id string, seq uint64, err error) (uint64, error) {
	rv.mu.Lock()
	defer rv.mu.Unlock()
	a := rv.adding[id]
	switch {
	case a.back > 0:
		seq, err = a.back, nil
	case err == nil:
		a.stored = seq
		return seq, nil
	}
	delete(rv.adding, id)
	return seq, err
}

// mine returns the addition of this node that has come back, or nil.
func (rv *Revocations) mine(id string, seq uint64) *adding {
	rv.mu.Lock()
	defer rv.mu.Unlock()
	a := rv.adding[id]
	if a == nil {
		return nil
	}
	if a.back = seq; a.stored > 0 {
		delete(rv.adding, id)
	}
	return a
}

// forget forgets the additions of this node that do not come back, as others have replaced them
// before. rv.mu is held.
func (rv *Revocations) forget() {
	maps.DeleteFunc(rv.adding, func(_ string, a *adding) bool { return a.stored > 0 && rv.chain.last >= a.stored })
}
