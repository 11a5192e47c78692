package cluster

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// follower delivers the publications of one channel with history on this node, each
// once and in order. Live ones say which was before them. When one is missing, the follower
// reads from the stream what it has not delivered yet.
type follower struct {
	h       *history
	channel string
	rule    *historyRule
	shard   *shard
	subject string

	mu      sync.Mutex
	begun   bool // at is known
	ended   bool
	epoch   string    // of the stream in which at is
	at      uint64    // what was delivered last
	known   time.Time // when at was stored, or subscribers were told of a loss after it
	sure    time.Time // up to when nothing is known to have come after at
	upTo    uint64    // up to this number of the stream nothing is missing, or subscribers were told
	doubted uint64    // a live publication for which the follower has looked whether others came before it
	filling bool      // somebody reads
	wanted  uint64    // somebody has seen this in the stream
	renewed bool      // the stream has become another one, and nobody has been told
	waiting []*nats.Msg
	oldest  uint64        // which of them was the first when somebody began to read, 0 for none
	moved   chan struct{} // closed when at changes
	ring    ring
	reading *reading // the last one that is under way, nil if none is
}

// maxWaiting is how many live publications of a channel wait while it is read. Those
// beyond are read, too.
const maxWaiting = 1024

// follow makes a follower for a channel. It returns nil if the channel has no history.
func (h *history) follow(channel string) *follower {
	rule := h.rule(channel)
	if rule == nil {
		return nil
	}
	s := rule.shardOf(channel)
	f := &follower{h: h, channel: channel, rule: rule, shard: s, subject: s.subject(channel), filling: true, moved: make(chan struct{})}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.shut {
		return f // Subscribe reports it
	}
	h.followers[channel] = f
	return f
}

// unfollow ends the follower of a channel.
func (h *history) unfollow(channel string) {
	if h == nil {
		return
	}
	h.mu.Lock()
	f := h.followers[channel]
	delete(h.followers, channel)
	h.mu.Unlock()
	if f == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ended, f.waiting = true, nil
	f.ring.reset(h, 0, time.Time{})
	f.move()
}

// follower returns the follower of a channel, nil if there is none.
func (h *history) follower(channel string) *follower {
	if h == nil {
		return nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.followers[channel]
}

// begin finds out where the channel is. The node must have its live publications
// already. What was stored before begin was called is not delivered.
func (f *follower) begin(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	if err := f.h.wait(ctx, f.shard); err != nil {
		return err
	}
	for {
		epoch, now := f.shard.getEpoch(), time.Now()
		last, ok, err := f.last(ctx)
		if err != nil {
			return err
		}
		if !ok {
			last = stored{at: now}
		}
		if f.beginAt(epoch, last, now) {
			return nil
		}
	}
}

// beginAt makes a follower begin behind the last publication, which was that at a time; its number is 0 if
// there was none. It reports whether the stream is still the one with that epoch.
func (f *follower) beginAt(epoch string, last stored, now time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.shard.getEpoch() != epoch {
		return false
	}
	f.begun, f.epoch, f.at, f.known, f.sure = true, epoch, last.seq, last.at, now
	from := time.Time{}
	if f.at == 0 {
		from = now
	}
	f.ring.reset(f.h, f.at, from)
	if !f.catchUp() {
		f.fill()
	}
	return true
}

// last returns the last publication of the channel when it is the channel's turn.
func (f *follower) last(ctx context.Context) (m stored, ok bool, err error) {
	leave, err := f.shard.turn(ctx)
	if err != nil {
		return m, false, err
	}
	defer leave()
	return f.h.last(ctx, f.shard, f.subject)
}

// live takes a live publication.
func (f *follower) live(msg *nats.Msg) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.ended:
	case f.filling:
		if len(f.waiting) < maxWaiting {
			f.waiting = append(f.waiting, msg)
		}
	case !f.take(msg):
		f.waiting = append(f.waiting, msg)
		f.fill()
	}
}

// take delivers a live publication, or reports that others are missing before it, or may be.
// It may come twice. One that is the first of the history now, as those before it are
// gone, does not say which was before: if something has happened since the node knew what the last
// one was, others may have come and gone. A read shows that. f.mu is held.
func (f *follower) take(msg *nats.Msg) bool {
	m := storedOf(msg)
	if m.seq <= f.at {
		return true
	}
	last := number(msg, lastHeader)
	if last > f.at {
		return false
	}
	if last == 0 && f.doubted != m.seq && f.h.disturbedSince(f.sure) {
		f.doubted = m.seq
		return false
	}
	f.deliver(m)
	return true
}

// lose tells subscribers what is lost. What they get from now on comes after seq and was
// stored at a time or later. f.mu is held.
func (f *follower) lose(lost Lost, seq uint64, at time.Time) {
	f.h.losses.Add(1)
	f.h.n.o.Logger.Error("cluster: publications are lost: the node was away for longer than the history lasts",
		slog.String("channel", f.channel), slog.Uint64("from", lost.From), slog.Uint64("to", lost.To))
	f.at, f.known, f.sure = max(f.at, seq), at, at
	f.ring.reset(f.h, f.at, at)
	f.h.n.channels.lose(f.channel, Position{f.epoch, f.at, f.known}.String(), lost)
}

// deliver delivers a publication, which is newer than all before. f.mu is held, so that
// they stay in order; sinks do not block.
func (f *follower) deliver(m stored) {
	f.at, f.known, f.sure = m.seq, m.at, m.at
	f.ring.add(f.h, f.rule, m)
	f.h.n.channels.passAt(f.channel, m.position(f.epoch), m.data)
	f.move()
}

// move wakes those who wait for a change. f.mu is held.
func (f *follower) move() {
	close(f.moved)
	f.moved = make(chan struct{})
}

// catchUp delivers what has waited while somebody read. It reports whether nothing is
// missing, and ends the filling then. f.mu is held.
func (f *follower) catchUp() bool {
	for len(f.waiting) > 0 {
		if !f.take(f.waiting[0]) {
			return false
		}
		f.waiting = f.waiting[1:]
	}
	f.waiting = nil
	f.filling = f.wanted > f.at
	return !f.filling
}

// fill makes somebody read what is missing. f.mu is held.
func (f *follower) fill() {
	f.filling = true
	f.h.gaps.Add(1)
	f.h.mu.Lock()
	defer f.h.mu.Unlock()
	if !f.h.shut {
		f.h.over.Go(f.read)
	}
}

// behind reads if there is something newer than what was delivered.
func (f *follower) behind(seq uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ended || seq <= f.at {
		return
	}
	f.wanted = max(f.wanted, seq)
	if !f.filling {
		f.fill()
	}
}

// compared takes the oldest message of the stream, and up to which number and time nothing has
// come after what was delivered last, 0 and zero if that is not known. If the stream has dropped
// something that came later, and which the node may not have got, the follower reads, so
// that subscribers are told.
func (f *follower) compared(oldest stored, upTo uint64, sure time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ended || f.filling {
		return
	}
	if oldest.evicted(Position{Seq: max(f.at, f.upTo), Time: f.sure}) && f.h.disturbedSince(f.sure) {
		f.fill()
		return
	}
	f.upTo = max(f.upTo, upTo)
	if sure.After(f.sure) {
		f.sure = sure
	}
}

// read reads what has not been delivered, and delivers it, until it succeeds.
func (f *follower) read() {
	for logged := time.Now(); ; {
		done, err := f.tryRead()
		if done {
			return
		}
		if time.Since(logged) > readTimeout {
			logged = time.Now()
			f.h.n.o.Logger.Warn("cluster: missed publications cannot be read yet", slog.String("channel", f.channel), slog.Any("error", err))
		}
		if pause(f.h.ctx, askPause) != nil {
			return
		}
	}
}

// tryRead reads once, and reports whether nothing is missing, or the channel or the node
// has ended.
func (f *follower) tryRead() (done bool, err error) {
	h := f.h
	leave, err := f.shard.turn(h.ctx)
	if err != nil {
		return true, nil
	}
	defer leave()
	f.mu.Lock()
	since, wanted := Position{f.epoch, f.at, f.sure}, f.wanted
	f.oldest = 0
	if len(f.waiting) > 0 {
		f.oldest = number(f.waiting[0], seqHeader)
	}
	f.mu.Unlock()
	ctx, cancel := context.WithTimeout(h.ctx, readTimeout)
	defer cancel()
	begun := time.Now()
	e, err := h.read(ctx, f.shard, f.subject, want{since.Seq, f.rule.Size + 1, maxRead})
	if err == nil {
		f.filled(e, since, wanted, begun)
	}
	return err == nil, err
}

// filled delivers what was read, from a time on, after wanted was known of.
func (f *follower) filled(e extract, since Position, wanted uint64, begun time.Time) {
	whole := !e.trimmed && len(e.list) <= f.rule.Size
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ended {
		return
	}
	if since.Epoch != f.epoch {
		f.fill() // it may be of the stream that was
		return
	}
	if e.oldest.seq <= f.upTo+1 {
		e.oldest = stored{} // nothing was dropped but what the follower knows of
	}
	list, lost := missing(e, since, f.rule, time.Now())
	if whole && !f.h.disturbedSince(since.Time) && !f.lacks(list, since.Seq, wanted) {
		lost = nil // what the follower had delivered last has expired, and nothing else
	}
	if f.renewed {
		f.renewed, lost = false, &Lost{}
	} else if e.oldest.seq > 0 {
		f.upTo = e.oldest.seq - 1
	}
	switch {
	case lost == nil:
	case len(list) > 0:
		f.lose(*lost, list[0].seq-1, list[0].at)
	case len(f.waiting) > 0: // what was before it has expired
		f.lose(*lost, number(f.waiting[0], lastHeader), storedOf(f.waiting[0]).at)
	default:
		f.lose(*lost, 0, begun)
	}
	for _, m := range list {
		if m.seq > f.at {
			f.deliver(m)
		}
	}
	if f.wanted == wanted { // it has come, or is gone
		f.wanted = 0
	}
	for !f.catchUp() {
		if len(f.waiting) == 0 || number(f.waiting[0], seqHeader) != f.oldest {
			f.fill()
			return
		}
		// It waited when the read began, and neither it nor what should be before it is there: it is of a
		// stream that was. To read again for it would never end.
		f.waiting = f.waiting[1:]
	}
}

// lacks reports whether something is known to have come after a sequence that neither was
// read nor waits. f.mu is held.
func (f *follower) lacks(list []stored, since, wanted uint64) bool {
	gone := func(seq uint64) bool {
		_, read := slices.BinarySearchFunc(list, seq, bySeq)
		return seq > since && !read && !slices.ContainsFunc(f.waiting, func(msg *nats.Msg) bool { return number(msg, seqHeader) == seq })
	}
	return gone(wanted) || len(f.waiting) > 0 && gone(number(f.waiting[0], lastHeader))
}

// awaitTime is how long a publisher waits for subscribers on its own node, and lateTime
// when the live publication is late and the follower reads.
const (
	awaitTime = time.Second
	lateTime  = 100 * time.Millisecond
)

// await waits until a publication has been delivered on this node, so that those who
// publish do it at the pace of the subscribers here.
func (f *follower) await(ctx context.Context, seq uint64) {
	if !f.arrives(ctx, seq, lateTime) {
		f.behind(seq)
		f.arrives(ctx, seq, awaitTime-lateTime)
	}
}

// arrives waits for at most so long until a publication has been delivered on this node, or
// will not be, as the channel has ended. It does not wait before the follower has begun.
func (f *follower) arrives(ctx context.Context, seq uint64, patience time.Duration) bool {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for {
		f.mu.Lock()
		there, begun, moved := f.ended || f.at >= seq, f.begun, f.moved
		f.mu.Unlock()
		if there || !begun {
			return there
		}
		select {
		case <-moved:
		case <-timer.C:
			return false
		case <-ctx.Done():
			return false
		case <-f.h.ctx.Done():
			return false
		}
	}
}
