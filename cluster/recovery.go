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

// ring has the publications of a channel after base, without a gap. If the one at base was not
// delivered, as something is lost there or the history was empty, they are those after a time.
type ring struct {
	base  uint64
	from  time.Time
	list  []stored
	bytes int
}

// follows reports whether the ring has all that came after a position.
func (r *ring) follows(p Position) bool {
	return p.Seq > r.base || p.Seq == r.base && !p.Time.Before(r.from.Truncate(time.Millisecond))
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
	r.base, r.from, r.list = first.seq, time.Time{}, r.list[1:]
	r.bytes -= first.size()
	h.rings.Add(-int64(first.size()))
}

// reset empties the ring: what comes next is after base.
func (r *ring) reset(h *history, base uint64, from time.Time) {
	h.rings.Add(-int64(r.bytes))
	*r = ring{base: base, from: from}
}

// reading is a read of the history of a channel, which all share who need no more of it at the
// same time.
type reading struct {
	want
	extract
	complete bool   // it shows whether something is missing
	epoch    string // of the stream when it began
	at       uint64 // what had been delivered then
	done     chan struct{}
	err      error
}

// covers reports whether a reading has what is wanted.
func (r *reading) covers(w want, complete bool) bool {
	return r.from <= w.from && r.count >= w.count && r.bytes >= w.bytes && (r.complete || !complete)
}

// end returns up to where a reading has all that was delivered and is still there.
func (r *reading) end() uint64 {
	if n := len(r.list); n > 0 {
		return r.list[n-1].seq
	}
	return r.at
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
	at, _ := ParsePosition(from.Since) // zero if it is none
	f.mu.Lock()
	known := at.Epoch == f.epoch
	f.mu.Unlock()
	if known {
		if err := f.reach(ctx, at.Seq); err != nil {
			return err
		}
	}
	if from.Including && at.Seq > 0 {
		at.Seq--
	}
	var read *reading
	for try := 0; ; try++ {
		f.mu.Lock()
		since, known := at, from.Since == "" || at.Epoch == f.epoch
		if at.Epoch != f.epoch {
			since = Position{} // of another history, or none at all
		}
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
		w, complete := f.wants(from, since)
		var err error
		if read, err = f.share(ctx, w, complete); err != nil {
			return err
		}
	}
}

// wants returns what of the history a new subscriber may need, and whether it must know what is
// missing.
func (f *follower) wants(from broker.From, since Position) (w want, complete bool) {
	w = want{from: since.Seq, count: f.rule.Size + 1, bytes: maxRead}
	if from.Bytes > 0 {
		w.bytes = min(from.Bytes, maxRead)
	}
	if from.Since == "" {
		w.count = min(from.Last, f.rule.Size)
	}
	return w, from.Since != ""
}

// reach waits until the follower has delivered up to a sequence, which another node has
// told a client: this one may be behind. It returns nil too if the history has lost its
// end, which only a leader with a majority can know. The client may lie: the follower reads
// only what the leader has.
func (f *follower) reach(ctx context.Context, seq uint64) error {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	for patience := lateTime; !f.arrives(ctx, seq, patience); patience = awaitTime {
		last, _, err := f.last(ctx)
		if err == nil && last.seq < seq {
			var state streamState
			if state, err = f.h.state(ctx, f.shard); state.led {
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

// past returns what the follower has delivered of a channel as far as it is known from
// what was read, if anything was, and from the ring, and whether that is enough. f.mu is held.
func (f *follower) past(from broker.From, since Position, known bool, read *reading) (e extract, ok bool) {
	f.ring.expire(f.h, f.rule)
	if read != nil {
		if read.epoch != f.epoch || read.end() < f.ring.base {
			return e, false
		}
		last := uint64(0)
		if n := len(read.list); n > 0 {
			last = read.list[n-1].seq
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
	return e, f.ring.follows(since)
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
	present := Position{f.epoch, f.at, f.known}
	if f.at == 0 {
		present.Time = f.sure
	}
	var lost *Lost
	switch {
	case from.Since == "":
		last := max(0, min(from.Last, f.rule.Size))
		if e.cut && len(list) < last {
			lost = &Lost{}
		}
		list = list[max(0, len(list)-last):]
	case !known: // the history is another one
		list, lost = list[max(0, len(list)-f.rule.Size):], &Lost{}
	case since.Seq > f.at: // the history has lost its end
		list, lost = nil, &Lost{}
	case f.ring.follows(since):
		i, _ := slices.BinarySearchFunc(list, since.Seq+1, bySeq)
		list = list[i:]
	default:
		i, _ := slices.BinarySearchFunc(list, since.Seq, bySeq)
		e.list, e.trimmed = list[i:], e.trimmed && i == 0
		list, lost = missing(e, since, f.rule, now)
	}
	past := pastOf(f.epoch, list, now)
	past.Lost, past.Position = lost, present
	if len(list) == 0 {
		past.Begin = present
	}
	return past
}

// share reads what is wanted of the channel, or takes part in a read that has it. If one is under
// way that has not, the new one has what both want, so that there are few.
func (f *follower) share(ctx context.Context, w want, complete bool) (*reading, error) {
	f.mu.Lock()
	r := f.reading
	if r == nil || !r.covers(w, complete) {
		if r != nil {
			w = want{min(r.from, w.from), max(r.count, w.count), max(r.bytes, w.bytes)}
			complete = complete || r.complete
		}
		r = &reading{want: w, complete: complete, epoch: f.epoch, at: f.at, done: make(chan struct{})}
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
		return r, r.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (f *follower) readFor(r *reading) {
	defer close(r.done)
	ctx, cancel := context.WithTimeout(f.h.ctx, readTimeout)
	defer cancel()
	leave, err := f.shard.turn(ctx)
	if err == nil {
		defer leave()
		read := f.h.readChannel
		if r.complete {
			read = f.h.read
		}
		r.extract, err = read(ctx, f.shard, f.subject, r.want)
	}
	r.err = err
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.reading == r {
		f.reading = nil
	}
}
