package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/socketcluster-go/socketcluster/broker"
)

// A follower keeps so much of what it has delivered last, so that subscribers who come
// back after an interruption get it without a request to the stream. All followers of
// a node keep at most maxRings bytes, entryBytes of them for each publication beside its data.
const (
	ringCount  = 256
	ringBytes  = 64 << 10
	maxRings   = 64 << 20
	entryBytes = 100
)

// ring has the publications of a channel after base, without a gap.
type ring struct {
	base  uint64
	list  []stored
	bytes int
}

// size returns what of a ring a publication takes, in bytes.
func (m stored) size() int { return entryBytes + len(m.data) }

// add adds a publication. It copies the data, which would keep the whole message with it.
func (r *ring) add(h *history, rule *historyRule, m stored) {
	m.data = bytes.Clone(m.data)
	r.list = append(r.list, m)
	r.bytes += m.size()
	h.rings.Add(int64(m.size()))
	for len(r.list) > min(ringCount, rule.Size) || r.bytes > ringBytes || len(r.list) > 0 && h.rings.Load() > maxRings {
		r.drop(h)
	}
}

// expire drops what is older than the rule says.
func (r *ring) expire(h *history, rule *historyRule) {
	for oldest := time.Now().Add(-rule.Age); len(r.list) > 0 && r.list[0].at.Before(oldest); {
		r.drop(h)
	}
}

// drop drops the oldest publication.
func (r *ring) drop(h *history) {
	first := r.list[0]
	r.list[0] = stored{} // the array still has it
	r.base, r.list = first.seq, r.list[1:]
	r.bytes -= first.size()
	h.rings.Add(-int64(first.size()))
}

// reset empties the ring: what comes next is after base.
func (r *ring) reset(h *history, base uint64) {
	h.rings.Add(-int64(r.bytes))
	*r = ring{base: base}
}

// reading is a read of the whole history of a channel, which all share who need it at
// the same time.
type reading struct {
	extract
	done  chan struct{}
	begun time.Time
	err   error
}

// Join implements broker.Historian.
func (c *channels) Join(ctx context.Context, channel string, from broker.From, enter func(broker.Past)) error {
	f := c.n.history.follower(channel)
	if f == nil {
		enter(broker.Past{})
		return nil
	}
	return f.join(ctx, from, enter)
}

// History implements broker.Historian.
func (c *channels) History(ctx context.Context, channel string, count int) (broker.Past, error) {
	past, err := c.n.History(ctx, channel, count)
	if err != nil {
		return broker.Past{}, err
	}
	return brokerPast(past), nil
}

func brokerPast(past Past) broker.Past {
	p := broker.Past{Begin: past.Begin.String(), Position: past.Position.String()}
	for _, m := range past.Publications {
		p.Publications = append(p.Publications, broker.Publication{Position: m.Position.String(), Data: m.Data})
	}
	if past.Lost != nil {
		p.Lost = &broker.Lost{From: past.Lost.From, To: past.Lost.To}
	}
	return p
}

// joinTries is how often a join reads. Each read has less to catch up with.
const joinTries = 5

// join calls enter with what is between a position and what the follower has delivered.
// Nothing is delivered while enter runs.
func (f *follower) join(ctx context.Context, from broker.From, enter func(broker.Past)) error {
	since, err := ParsePosition(from.Since)
	known := from.Since == ""
	if err == nil && since.Epoch == f.shard.getEpoch() {
		known = true
		if err := f.reach(ctx, since.Seq); err != nil {
			return err
		}
		if from.Including && since.Seq > 0 {
			since.Seq--
		}
	} else {
		since = Position{} // of another history, or none at all
	}
	var read reading
	for try := 0; ; try++ {
		f.mu.Lock()
		past, ok := f.past(from, since, known, read)
		if ok || f.ended {
			defer f.mu.Unlock()
			if f.ended {
				return errClosed
			}
			enter(brokerPast(f.pastOf(from, since, known, past)))
			return nil
		}
		f.mu.Unlock()
		if try == joinTries {
			return fmt.Errorf("cluster: the history of %q cannot be read: it changes too fast", f.channel)
		}
		if read, err = f.readAll(ctx); err != nil {
			return err
		}
	}
}

// reach waits until the follower has delivered up to a sequence, which another node has
// told a client: this one may be behind. It returns nil too if the history has lost its
// end, which only a leader with a majority can know. The client may lie: the follower reads
// only what the leader has.
func (f *follower) reach(ctx context.Context, seq uint64) error {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	for patience := lateTime; !f.arrives(ctx, seq, patience); patience = awaitTime {
		last, _, err := f.h.last(ctx, f.shard, f.subject)
		if err == nil && last.seq < seq {
			var led bool
			if led, err = f.h.led(ctx, f.shard); led {
				return nil
			}
		}
		if ctx.Err() != nil {
			return fmt.Errorf("cluster: the node is behind the client in the history of %q: %w", f.channel, errors.Join(ctx.Err(), err))
		}
		if f.h.ctx.Err() != nil {
			return errClosed
		}
		if err == nil {
			f.behind(last.seq)
		}
	}
	return nil
}

// fresh is the time since which a leader must have heard of a majority, so that there is
// no other one. NATS waits for longer before it elects another.
const fresh = 3 * time.Second

// led reports whether the leader that the node reaches is followed by a majority of the
// copies. One that is cut off does not know at once that it does not lead any more.
func (h *history) led(ctx context.Context, s *shard) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	stream, err := h.n.js.Stream(ctx, s.stream)
	if err != nil {
		return false, err
	}
	info := stream.CachedInfo().Cluster
	if info == nil {
		return true, nil // there is one copy
	}
	copies := 1
	for _, peer := range info.Replicas {
		if !peer.Offline && peer.Active > 0 && peer.Active < fresh {
			copies++
		}
	}
	return copies > (len(info.Replicas)+1)/2, nil
}

// past returns what the follower has delivered of a channel as far as it is known from
// what was read and from the ring, and whether that is enough. f.mu is held.
func (f *follower) past(from broker.From, since Position, known bool, read reading) (e extract, ok bool) {
	f.ring.expire(f.h, f.rule)
	if !read.begun.IsZero() {
		last := uint64(0)
		if n := len(read.list); n > 0 {
			last = read.list[n-1].seq
		}
		if last < f.ring.base && f.ring.base > 0 && len(read.list) > 0 {
			return e, false
		}
		rest, _ := slices.BinarySearchFunc(f.ring.list, last+1, bySeq)
		delivered, _ := slices.BinarySearchFunc(read.list, f.at+1, bySeq)
		e = read.extract
		e.list = append(slices.Clone(read.list[:delivered]), f.ring.list[rest:]...)
		return e, true
	}
	e = extract{list: f.ring.list, trimmed: true}
	switch {
	case from.Since == "":
		return e, len(e.list) >= min(from.Last, f.rule.Size)
	case !known:
		return extract{}, false
	}
	return e, since.Seq >= f.ring.base
}

func bySeq(m stored, seq uint64) int {
	switch {
	case m.seq < seq:
		return -1
	case m.seq > seq:
		return 1
	}
	return 0
}

// pastOf returns the past of a new subscriber, given what is known of what was delivered.
// f.mu is held.
func (f *follower) pastOf(from broker.From, since Position, known bool, e extract) Past {
	now, list := time.Now(), e.list
	epoch := f.shard.getEpoch()
	present := Position{epoch, f.at, f.known}
	if f.at == 0 {
		present.Time = now
	}
	var lost *Lost
	switch {
	case from.Since == "":
		list = list[max(0, len(list)-max(0, min(from.Last, f.rule.Size))):]
	case !known: // the history is another one
		list, lost = list[max(0, len(list)-f.rule.Size):], &Lost{}
	case since.Seq > f.at: // the history has lost its end
		list, lost = nil, &Lost{}
	default:
		i, _ := slices.BinarySearchFunc(list, since.Seq, bySeq)
		switch {
		case since.Seq == f.at:
			list = nil
		case since.Seq >= f.ring.base:
			i, _ = slices.BinarySearchFunc(list, since.Seq+1, bySeq)
			list = list[i:]
		default:
			e.list, e.trimmed = list[i:], e.trimmed && i == 0
			list, lost = missing(e, since, f.rule, now)
		}
	}
	past := pastOf(epoch, list, now)
	past.Lost, past.Position = lost, present
	if len(list) == 0 {
		past.Begin = present
	}
	return past
}

// readAll reads the whole history of the channel, or takes part in a read that begins
// now.
func (f *follower) readAll(ctx context.Context) (reading, error) {
	f.mu.Lock()
	r := f.reading
	if r == nil {
		r = &reading{done: make(chan struct{}), begun: time.Now()}
		f.reading = r
		f.h.mu.Lock()
		if f.h.shut {
			r.err = errClosed
			close(r.done)
		} else {
			f.h.over.Go(func() { f.readFor(r) })
		}
		f.h.mu.Unlock()
	}
	f.mu.Unlock()
	select {
	case <-r.done:
		return *r, r.err
	case <-ctx.Done():
		return reading{}, ctx.Err()
	}
}

func (f *follower) readFor(r *reading) {
	defer close(r.done)
	ctx, cancel := context.WithTimeout(f.h.ctx, readTimeout)
	defer cancel()
	select {
	case f.shard.fills <- struct{}{}:
		defer func() { <-f.shard.fills }()
	case <-ctx.Done():
		r.err = ctx.Err()
	}
	if r.err == nil {
		r.extract, r.err = f.h.read(ctx, f.shard, f.subject, 0, f.rule.Size+1)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.reading = nil
}
