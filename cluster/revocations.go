package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/nats-io/nats.go"

	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/auth/revoke"
)

// DefaultCutOff is the default of [RevocationOptions].CutOff. The election after the
// death of a node takes up to 8 seconds.
const DefaultCutOff = 15 * time.Second

// RevocationOptions are settings of [Node.Revocations].
type RevocationOptions struct {
	// CutOff is the time after which a node that may lack revocations of others is
	// cut off: it accepts no token, see [Revocations.Current]. At least 2 seconds;
	// a negative one means never. Default: [DefaultCutOff].
	CutOff time.Duration
}

// minCutOff is the minimum of RevocationOptions.CutOff. Marks come every second.
const minCutOff = 2 * mark

// Revocations are the revocations of a cluster, which all nodes have: a
// [revoke.Store] for socketcluster.Config.
//
// Add stores a revocation with its copies, puts it in force on this node, and waits
// until all other nodes that are alive have put it in force, up to a second, or two if
// other additions are waited for. So when it has returned nil:
//
//   - the revocation is not lost by the death of a minority of the nodes;
//   - a node that is alive and can be reached refuses the tokens, and has ended the
//     logins of its sockets;
//   - any other node refuses the tokens a second or two after it can be reached again.
//     No later than CutOff after Add has returned, it refuses all tokens, until it
//     has what it missed.
//
// Without a deadline, Add gives up after 15 seconds. An error of Add does not mean
// that the revocation is not in force: it may have been stored although the answer was
// lost, or ctx has ended while other nodes were asked. Add it again. Only
// [revoke.ErrFull] means that it has no effect: the cluster has as many as
// [revoke.DefaultLimit]. Those stay in force, and nodes are not cut off by it.
//
// Revocations of the same token, session or user are merged into one, as by
// [revoke.Memory], also if several nodes add them at the same time.
//
// Check never blocks: it looks into a copy in memory. Watchers are also called for
// what other nodes add.
type Revocations struct {
	n      *Node
	cutOff time.Duration // 0: never
	stream string        // its name; empty for a node that is alone and has no storage
	limit  int           // the most revocations, see room
	memory revoke.Memory
	log    *slog.Logger

	live    *nats.Subscription
	events  *nats.Subscription // of creations of the stream
	feed    chan *nats.Msg     // what the stream has stored, as it is stored
	marks   chan kept
	created chan struct{} // the stream may be another one
	stuck   stuck
	targets turns         // additions of a target by this node
	stored  atomic.Uint64 // messages of the stream, as this node last saw it
	ctx     context.Context
	cancel  context.CancelFunc
	over    sync.WaitGroup

	mu        sync.Mutex
	loading   bool      // or loaded
	since     time.Time // when the stream was created
	chain     chain
	confirmed time.Time            // up to this time, all that was stored is in force
	cutAt     time.Time            // when it was reported that the node is cut off
	adding    map[string]*adding   // additions of this node that are under way
	wishes    map[string]*wish     // what these add, by subject
	waiting   map[*waiter]struct{} // for a sequence
}

// errLoaded is the error of a node whose revocations somebody has already.
var errLoaded = errors.New("cluster: the revocations of a node belong to one server")

// Revocations loads the revocations of the cluster, and follows them from then on. It
// waits until the node has storage and all revocations are loaded, or ctx ends: use
// what it returns for the server of the node, which so accepts nobody before.
//
// A node that is alone and has no [Options].StoreDir keeps them in memory: they end
// with the process. In a cluster, all nodes need storage: without it, the error is
// [ErrNoStorage].
func (n *Node) Revocations(ctx context.Context, o RevocationOptions) (*Revocations, error) {
	switch {
	case o.CutOff == 0:
		o.CutOff = DefaultCutOff
	case o.CutOff < 0:
		o.CutOff = 0
	case o.CutOff < minCutOff:
		return nil, fmt.Errorf("cluster: RevocationOptions.CutOff is %v; it must be at least %v, or negative", o.CutOff, minCutOff)
	}
	rv := &Revocations{
		n: n, cutOff: o.CutOff, limit: n.revocationLimit, memory: revoke.Memory{Limit: most(n.revocationLimit)}, log: n.o.Logger,
		feed: make(chan *nats.Msg, queueLength), marks: make(chan kept), created: make(chan struct{}, 1), confirmed: time.Now(),
		adding: make(map[string]*adding), wishes: make(map[string]*wish), waiting: make(map[*waiter]struct{}),
	}
	rv.ctx, rv.cancel = context.WithCancel(context.Background())
	if n.o.StoreDir != "" || n.o.Listen != "" || n.o.URL != "" {
		rv.stream = n.o.Prefix + "-revocations"
	}
	if !n.revocations.CompareAndSwap(nil, rv) {
		return nil, errLoaded
	}
	if rv.stream == "" {
		return rv, nil
	}
	if err := rv.load(ctx); err != nil {
		rv.end()
		n.revocations.Store(nil)
		return nil, err
	}
	return rv, nil
}

// addTimeout is the time that an addition has if nobody sets one.
const addTimeout = 15 * time.Second

// Add implements [revoke.Store].
func (rv *Revocations) Add(ctx context.Context, r revoke.Revocation) error {
	now := time.Now()
	r, err := r.Normalize(now)
	if err != nil {
		return err
	}
	for _, text := range []string{r.JTI, r.Session, r.Subject, r.Claim} {
		if !utf8.ValidString(text) {
			return errors.New("cluster: a revocation with a text that is not UTF-8; no token has it")
		}
	}
	r.Reason = strings.ToValidUTF8(r.Reason, "?") // not longer than before: no node takes one that is too long
	if !r.Until.IsZero() && now.After(r.Until.Add(time.Second)) {
		return nil
	}
	if c := collectorOf(ctx); c != nil {
		c.add(r)
		return nil
	}
	if err := rv.room(r); err != nil {
		return err
	}
	if rv.stream == "" {
		return rv.memory.Add(ctx, r)
	}
	if _, err := json.Marshal(r); err != nil { // a time beyond the year 9999; others must not be merged with it
		return fmt.Errorf("cluster: %w", err)
	}
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, addTimeout)
		defer cancel()
	}
	seq, hold, err := rv.store(ctx, r)
	if err != nil {
		return err
	}
	if err := hold(); err != nil {
		return err
	}
	if err := rv.n.spread.wait(ctx, seq); err != nil {
		return fmt.Errorf("cluster: a revocation is stored, but not known to be in force on all nodes: %w", err)
	}
	return nil
}

// hold puts in force here what a message has: first what this node may lack of what was before.
func (rv *Revocations) hold(m *revoked) error {
	if m.Earlier != nil {
		if held, ok := rv.memory.Held(*m.Earlier); !ok || !held.Covers(*m.Earlier) {
			if err := rv.memory.Add(rv.ctx, *m.Earlier); err != nil {
				return err
			}
		}
	}
	return rv.memory.Add(rv.ctx, m.Revocation)
}

// apply puts in force here what has been stored, unless this node adds it and has done so.
func (rv *Revocations) apply(data []byte, seq uint64) {
	var m revoked
	err := json.Unmarshal(data, &m)
	switch a := rv.mine(m.ID, seq); {
	case err != nil:
	case a != nil:
		err = a.hold()
	default:
		err = rv.hold(&m)
	}
	if err != nil {
		rv.log.Error("cluster: a revocation is not in force on this node", slog.Uint64("sequence", seq), slog.Any("error", err))
	}
}

// Check implements [revoke.Store].
func (rv *Revocations) Check(token *auth.Token) (revoke.Revocation, bool) {
	return rv.memory.Check(token)
}

// Watch implements [revoke.Store].
func (rv *Revocations) Watch(fn func(revoke.Revocation)) (stop func()) { return rv.memory.Watch(fn) }

// Len returns the number of revocations on this node, merged and still needed.
func (rv *Revocations) Len() int { return rv.memory.Len() }

// ErrCutOff is the error of a node that is cut off, see [Revocations.Current].
var ErrCutOff = errors.New("cluster: the node is cut off from the revocations of others")

// Current implements [revoke.Current]: it returns [ErrCutOff] while the node is cut
// off, and nil otherwise. It does not block.
//
// The node stores a mark every second, with its copies, among the revocations. When
// the mark comes back, all revocations that were stored before are in force here. The
// node is cut off when the last mark that has come back is older than CutOff.
// That is so if a majority of the nodes with storage cannot be reached, and also on a
// node that itself has been stopped for so long.
//
// While a node is cut off, its server accepts no token: a handshake, #authenticate,
// a login, a renewal and a request with a cookie fail with [revoke.ErrNotCurrent],
// which lets clients keep their tokens. Sockets that have a token keep it.
// [Revocations.Middleware] refuses more. The beginning is logged at level Error, and
// the end at Warn.
func (rv *Revocations) Current() error {
	if rv.cutOff == 0 || rv.stream == "" {
		return nil
	}
	rv.mu.Lock()
	confirmed := rv.confirmed
	rv.mu.Unlock()
	if passed(confirmed, time.Now()) > rv.cutOff {
		return ErrCutOff
	}
	return nil
}

// passed returns the time between two moments by the clock of the process, which stands
// still while the machine is suspended, or by that of the wall if it says more.
func passed(from, to time.Time) time.Duration {
	return max(to.Sub(from), to.Round(0).Sub(from.Round(0)))
}

// end stops following the revocations.
func (rv *Revocations) end() {
	rv.cancel()
	for _, sub := range []*nats.Subscription{rv.live, rv.events} {
		if sub != nil {
			_ = sub.Unsubscribe() // fails only if the connection has been closed
		}
	}
	rv.over.Wait()
}

// addRevocations adds revocations to those of the cluster, if this node has them: side by side,
// as each may wait for a second for a node that does not confirm it.
func (n *Node) addRevocations(ctx context.Context, all []revoke.Revocation) error {
	rv := n.revocations.Load()
	if rv == nil && len(all) > 0 {
		return errors.New("cluster: the node has no revocations: call Node.Revocations on all nodes, also on those that only change claims")
	}
	failed := make([]error, len(all))
	var adders sync.WaitGroup
	for i, r := range all {
		adders.Go(func() { failed[i] = rv.Add(ctx, r) })
	}
	adders.Wait()
	return errors.Join(failed...)
}
