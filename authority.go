package socketcluster

import (
	"math"
	"slices"
	"time"

	"github.com/socketcluster-go/socketcluster/internal/account"
	"github.com/socketcluster-go/socketcluster/internal/hub"
	"github.com/socketcluster-go/socketcluster/internal/outbox"
)

// The authority of a socket is everything that inbound middleware has approved
// for its token. Every change of the token begins a new epoch, which ends
// earlier approvals: each subscription keeps the epoch of its approval
// (hub.Subscription.Epoch, which mu guards), and so does each packet on its way
// to a handler or to the broker. Before something is delivered or accepted,
// that epoch is compared with the current one.
//
// A publication for a subscription that is not approved is withheld, in order,
// until middleware has decided again (see round): then it is sent, or dropped
// with the subscription.

// lostEpoch is never the epoch of a socket. A subscription with this epoch gets
// nothing more, because it is about to end.
const lostEpoch = math.MaxUint32

// withheldCost is the approximate memory of a withheld publication besides its
// frame.
const withheldCost = 96

// cargo identifies the publications in a frame of the outbox. It is the frame's
// tag, by which the frame can be taken out again. Other frames have none.
type cargo struct {
	sub         *hub.Subscription
	publication *hub.Publication
	batch       *[]part // in place of both
}

// withheld is a publication that waits for its subscription to be approved.
type withheld struct {
	sub         *hub.Subscription
	publication *hub.Publication
	shared      *account.Shared // a reference to that of the publication, or nil
}

func (w *withheld) size() int { return len(w.publication.Frame) }

// discard releases a publication that is not sent.
func (s *Socket) discard(w *withheld) {
	s.stats.sent.Add(1) // it no longer waits
	w.release()
}

func (w *withheld) release() {
	if w.shared != nil {
		w.shared.Release()
	}
}

// guarded reports whether deliveries depend on the approval of middleware.
func (s *Socket) guarded() bool {
	return !s.srv.cfg.Compat.KeepSubscriptions && s.srv.middleware.has(lineInbound)
}

// approved reports whether a subscription may receive publications at a moment.
// mu must be held.
func (s *Socket) approved(sub *hub.Subscription, at moment) bool {
	return s.token.inForceAt(sub.Epoch, at) || !s.guarded()
}

// Deliver implements hub.Subscriber. It runs under the channel's lock.
func (w *subscriber) Deliver(p *hub.Publication, sub *hub.Subscription) {
	s := (*Socket)(w)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state == Closed || sub.Epoch == lostEpoch {
		return
	}
	s.stats.prepared.Add(1)
	p.Shared.Take()
	s.deliver(sub, p, &p.Shared)
}

// deliver sends a publication, or withholds it. While others wait for the
// outbound middleware, it waits behind them, and its epoch is compared when its
// turn has come. shared is a reference that deliver takes over, or nil. mu must
// be held.
func (s *Socket) deliver(sub *hub.Subscription, p *hub.Publication, shared *account.Shared) {
	switch {
	case s.queuesOut():
		s.throughMiddleware(s.extend(), outboundItem{sub: sub, publication: p, shared: shared})
	case !s.approved(sub, moment(p.At)):
		s.withhold(withheld{sub: sub, publication: p, shared: shared})
	default:
		if s.withholds(sub) { // since before the inbound middleware was removed
			s.sendWithheld(sub)
		}
		s.writePublication(sub, p, shared, p.Later)
	}
}

// writePublication puts a publication into the batch, if there is one, or into
// the outbox. See deliver.
func (s *Socket) writePublication(sub *hub.Subscription, p *hub.Publication, shared *account.Shared, later bool) {
	s.stats.sent.Add(1)
	s.note(p.Channel, p.Position, false)
	if shared == nil || s.batching() {
		if shared != nil {
			defer shared.Release()
		}
		s.write(part{packet: packetOf(p, p.Data), sub: sub, publication: p})
		return
	}
	frame := p.Frame
	if p.Deflated != nil && s.conn.Compressed() {
		frame = p.Deflated
	}
	s.pushTagged(outbox.Frame[cargo]{Bytes: frame, Shared: shared, Tag: cargo{sub: sub, publication: p}}, later)
}

// withhold keeps back a publication until its subscription has been approved,
// and ensures that there is a round for it. The publication waits no longer
// than Config.Timeouts.Reauthorize, and Limits.Budget bounds the memory: a
// client that reads loses nothing by a change of its token. mu must be held.
func (s *Socket) withhold(w withheld) {
	if s.state == Closed || w.sub.Epoch == lostEpoch || s.subs.Get(w.sub.Channel()) != w.sub {
		s.discard(&w)
		return
	}
	x := s.extend()
	x.withheld = append(x.withheld, w)
	s.countWithheld(&w, 1)
	if x.round == nil {
		s.beginRound()
	}
}

// keepBack withholds publications that were about to be sent, before newer
// publications of the same subscription. mu must be held.
func (s *Socket) keepBack(older []withheld) {
	if len(older) == 0 {
		return
	}
	s.stats.sent.Add(-uint32(len(older)))
	// Nobody approves subscriptions that the socket has left meanwhile.
	older = slices.DeleteFunc(older, func(w withheld) bool {
		left := s.subs.Get(w.sub.Channel()) != w.sub
		if left {
			s.discard(&w)
		}
		return left
	})
	x := s.extend()
	x.withheld = append(older, x.withheld...)
	for i := range older {
		s.countWithheld(&older[i], 1)
	}
}

// countWithheld counts one more withheld publication, or one fewer.
func (s *Socket) countWithheld(w *withheld, n int) {
	kind := account.Publications
	if w.shared == nil {
		kind = account.Withheld // it is not counted elsewhere
	}
	s.ledger.Add(kind, n*w.size())
	s.ledger.Add(account.Withheld, n*withheldCost)
}

// takeWithheld removes and returns the withheld publications of a subscription,
// in order; nil stands for all subscriptions. mu must be held.
func (s *Socket) takeWithheld(sub *hub.Subscription) []withheld {
	x := s.ext
	if x == nil || len(x.withheld) == 0 {
		return nil
	}
	var taken []withheld
	x.withheld = slices.DeleteFunc(x.withheld, func(w withheld) bool {
		if sub != nil && w.sub != sub {
			return false
		}
		s.countWithheld(&w, -1)
		taken = append(taken, w)
		return true
	})
	if len(x.withheld) == 0 {
		x.withheld = nil
	}
	return taken
}

// firstWithheld returns the index of the oldest withheld publication of a
// subscription, or -1. mu must be held.
func (s *Socket) firstWithheld(sub *hub.Subscription) int {
	if s.ext == nil {
		return -1
	}
	return slices.IndexFunc(s.ext.withheld, func(w withheld) bool { return w.sub == sub })
}

// takeWithheldAt removes and returns the withheld publication at an index. mu
// must be held.
func (s *Socket) takeWithheldAt(i int) withheld {
	x := s.ext
	w := x.withheld[i]
	s.countWithheld(&w, -1)
	if x.withheld = slices.Delete(x.withheld, i, i+1); len(x.withheld) == 0 {
		x.withheld = nil
	}
	return w
}

// withholds reports whether any publication of a subscription is withheld. mu
// must be held.
func (s *Socket) withholds(sub *hub.Subscription) bool { return s.firstWithheld(sub) >= 0 }

// approve lets a subscription receive its withheld publications, and later
// ones. mu must be held.
func (s *Socket) approve(sub *hub.Subscription, epoch uint32) {
	if sub.Epoch == lostEpoch {
		return
	}
	sub.Epoch = epoch
	if !s.withholds(sub) {
		return
	}
	if s.queuesOut() {
		// They follow the publications in the outbound lane, which join the
		// withheld ones if their turn comes before this.
		s.throughMiddleware(s.ext, outboundItem{follow: sub})
		return
	}
	s.sendWithheld(sub)
}

// sendWithheld sends the withheld publications of a subscription, as far as it
// is approved. mu must be held.
func (s *Socket) sendWithheld(sub *hub.Subscription) {
	now := s.srv.moment(time.Now())
	if !s.approved(sub, now) {
		return
	}
	for _, w := range s.takeWithheld(sub) {
		s.writePublication(w.sub, w.publication, w.shared, false)
	}
}

// lose ends the right of a subscription at once: none of its publications is
// sent any more, although it still has to be ended. mu must be held.
func (s *Socket) lose(sub *hub.Subscription) {
	sub.Epoch = lostEpoch
	s.takeBack(sub)
	if i := s.firstWithheld(sub); i >= 0 {
		if p := s.ext.withheld[i].publication; p.Lost == nil { // a report is made again
			s.note(p.Channel, p.Position, true)
		}
	}
	s.discardWithheld(sub)
}

// discardWithheld releases withheld publications; see takeWithheld.
func (s *Socket) discardWithheld(sub *hub.Subscription) {
	for _, w := range s.takeWithheld(sub) {
		s.discard(&w)
	}
}

// takeBack withholds the publications that wait in the outbox and in the batch:
// those of a subscription, or all if that is nil. mu must be held.
func (s *Socket) takeBack(sub *hub.Subscription) {
	var back []withheld
	other := func(of *hub.Subscription) bool { return sub != nil && of != sub }
	s.out.Take(func(f *outbox.Frame[cargo]) bool {
		if batch := f.Tag.batch; batch != nil {
			var stays []part
			stays, back = splitBatch(*batch, other, back)
			if len(stays) == len(*batch) {
				return false
			}
			f.Bytes, f.Tag = s.sealBatch(stays)
			return f.Bytes == nil
		}
		if other(f.Tag.sub) {
			return false
		}
		back = append(back, withheld{f.Tag.sub, f.Tag.publication, f.Shared})
		return true
	})
	if x := s.ext; x != nil && x.batch.parts != nil {
		var stays []part
		stays, back = splitBatch(x.batch.parts, other, back)
		s.setBatch(stays)
	}
	s.keepBack(back)
}

// splitBatch removes from a batch the publications that must not stay, and
// appends them to back.
func splitBatch(parts []part, stay func(*hub.Subscription) bool, back []withheld) ([]part, []withheld) {
	var stays []part
	for _, p := range parts {
		if p.sub == nil || stay(p.sub) {
			stays = append(stays, p)
		} else {
			back = append(back, withheld{sub: p.sub, publication: p.publication})
		}
	}
	return stays, back
}

// endApprovals withholds publications that were approved in the previous epoch,
// and begins a round for the subscriptions. mu must be held.
func (s *Socket) endApprovals() {
	if s.state == Connecting || !s.guarded() {
		return
	}
	s.takeBack(nil)
	if s.state == Closed { // so there will be no round
		s.discardWithheld(nil)
		return
	}
	s.beginRound()
}
