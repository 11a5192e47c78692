package cluster

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
)

// A live publication can be lost without a trace until the next one of its channel: the
// leader that should have sent it dies, or a route between nodes is lost. So nodes compare
// what they have with the streams, so often, and some time after an election and after
// nodes have come or gone. As a copy that is back is behind at first, they compare more
// often for a while then.
const (
	watchEvery  = 2 * time.Second
	watchDelay  = 50 * time.Millisecond
	doubtEvery  = watchEvery / 4
	doubtPeriod = 2 * watchEvery
)

// A request compares so many channels at most. NATS allows 1,024.
const (
	compareChannels = 500
	compareBytes    = 256 << 10 // of their subjects
)

// suspect makes the node compare soon, and look after the streams.
func (h *history) suspect() {
	if h == nil {
		return
	}
	h.disturbed.Store(time.Now().UnixNano())
	for _, s := range h.shards {
		wake(s.look)
		wake(s.changed)
	}
}

// disturbedSince reports whether live publications may have been lost after a time.
func (h *history) disturbedSince(t time.Time) bool { return h.disturbed.Load() > t.UnixNano() }

// watch compares those who follow a shard with its stream until the node ends.
func (h *history) watch(s *shard) {
	h.patrol(s.look, time.Time{}, watchEvery, doubtEvery, func() (settled bool) {
		if err := h.compare(s); err != nil && h.ctx.Err() == nil {
			h.n.o.Logger.Debug("cluster: a stream cannot be compared", slog.String("stream", s.stream), slog.Any("error", err))
		}
		return true
	})
}

// patrol calls look until the node ends: some time after each report, and at an interval,
// which is the one in doubt for doubtPeriod after a report, or unless look says that all is
// settled. doubted is when there was a report before.
func (h *history) patrol(reports <-chan struct{}, doubted time.Time, interval, inDoubt time.Duration, look func() (settled bool)) {
	timer := time.NewTimer(watchEvery)
	defer timer.Stop()
	for {
		select {
		case <-reports:
			doubted = time.Now()
			if pause(h.ctx, watchDelay) != nil {
				return
			}
		case <-timer.C:
		case <-h.ctx.Done():
			return
		}
		if look() && time.Since(doubted) >= doubtPeriod {
			timer.Reset(interval)
		} else {
			timer.Reset(inDoubt)
		}
	}
}

// list returns the followers of a shard by their subjects.
func (h *history) list(s *shard) map[string]*follower {
	h.mu.Lock()
	defer h.mu.Unlock()
	all := make(map[string]*follower)
	for _, f := range h.followers {
		if f.shard == s {
			all[f.subject] = f
		}
	}
	return all
}

// restart makes all followers of a shard read from the beginning: its stream is another
// one.
func (h *history) restart(s *shard) {
	epoch := s.getEpoch()
	for _, f := range h.list(s) {
		f.mu.Lock()
		if f.begun && !f.ended && f.epoch != epoch {
			now := time.Now()
			f.epoch, f.reading, f.waiting = epoch, nil, nil
			f.at, f.known, f.sure, f.upTo, f.doubted, f.wanted, f.renewed = 0, now, now, 0, 0, 0, true
			f.ring.reset(h, 0, now)
			if !f.filling {
				f.fill()
			}
		}
		f.mu.Unlock()
	}
}

// compare compares the followers of a shard with its stream. What is newer may be on its
// way, so only those are made to read that still do not have it a moment later.
func (h *history) compare(s *shard) error {
	followers := h.list(s)
	if len(followers) == 0 {
		s.compared = time.Time{}
		return nil
	}
	newer, err := h.newer(s, followers)
	if len(newer) > 0 && pause(h.ctx, watchDelay) == nil {
		for f, seq := range newer {
			f.behind(seq)
		}
	}
	if err != nil {
		return err
	}
	return h.vouch(s, followers, newer)
}

// newer returns what a shard has that followers have not delivered. It asks its leader, as the own
// copy may be as far behind as the followers, and only for what the stream got since it was asked last.
func (h *history) newer(s *shard, followers map[string]*follower) (map[*follower]uint64, error) {
	if epoch := s.getEpoch(); epoch != s.tailEpoch {
		s.tail, s.tailEpoch, s.seen = 0, epoch, streamState{}
	}
	newer := make(map[*follower]uint64)
	upTo := ^uint64(0)
	leader, exact := h.n.leaderOf(s.stream)
	for subjects := range chunks(slices.Sorted(maps.Keys(followers))) {
		ctx, cancel := context.WithTimeout(h.ctx, streamTimeout)
		var end *nats.Msg
		t := terms(s.getTerm)
		err := t.again(ctx, func(wait time.Duration) (err error) {
			try, cancel := t.until(ctx, streamTimeout)
			defer cancel()
			end, err = h.get(try, leader, getRequest{Seq: s.tail + 1, MultiLast: subjects}, wait, func(msg *nats.Msg) {
				f, seq := followers[msg.Header.Get("Nats-Subject")], number(msg, seqHeader)
				if f == nil {
					return
				}
				f.mu.Lock()
				defer f.mu.Unlock()
				if seq > f.at {
					newer[f] = seq
				}
			})
			return err
		})
		cancel()
		if err != nil {
			s.seen = streamState{}
			return newer, err
		}
		upTo = min(upTo, s.answered(end, exact))
	}
	s.tail = max(s.tail, upTo)
	return newer, nil
}

// answered returns up to where an answer has all that is newer than the tail. It is exact if it is
// that of the leader.
func (s *shard) answered(end *nats.Msg, exact bool) uint64 {
	switch {
	case number(end, "Nats-Num-Pending") > 0:
		return 0 // it was too large to be complete
	case end.Header.Get("Description") == "No Results" && exact:
		return s.seen.last // the leader has said before that it has this
	}
	return number(end, "Nats-UpTo-Sequence") // 0 if nothing was found
}

// vouch asks the leader of a shard for its state, and tells the followers what it means for them
// that nothing is newer. What was stored before the last time that it was asked has been compared
// now: it was there, or the stream has dropped it, as its oldest message shows. When that was is
// known if the leader had a majority, as another one would have begun later.
func (h *history) vouch(s *shard, followers map[string]*follower, newer map[*follower]uint64) (err error) {
	ctx, cancel := context.WithTimeout(h.ctx, watchEvery) // the next comparison must not be late
	defer cancel()
	upTo, sure := s.seen.last, time.Time{}
	if s.seen.led {
		sure = s.seen.at.Add(-fresh)
	}
	if s.tail < upTo {
		upTo, sure = 0, time.Time{}
	}
	if s.seen, err = h.state(ctx, s); err != nil {
		return err
	}
	if s.tail > s.seen.last { // a copy of the stream that was has answered
		s.tail, upTo, sure = 0, 0, time.Time{}
	}
	if now := time.Now(); s.paused(now) {
		h.disturbed.Store(now.UnixNano())
	}
	for _, f := range followers {
		if _, behind := newer[f]; !behind {
			f.compared(s.seen.oldest, upTo, sure)
		}
	}
	return nil
}

// paused takes note of a comparison that has succeeded, and reports whether the one before was too
// long ago: the process may have stood still, and not know of it. The clock on the wall goes on
// while a machine is suspended.
func (s *shard) paused(now time.Time) bool {
	before := s.compared
	s.compared = now.Round(0)
	return !before.IsZero() && s.compared.Sub(before) > doubtPeriod
}

// chunks yields subjects in parts that fit into a request.
func chunks(subjects []string) func(yield func([]string) bool) {
	return func(yield func([]string) bool) {
		for len(subjects) > 0 {
			n, bytes := 0, 0
			for n < len(subjects) && n < compareChannels && (n == 0 || bytes+len(subjects[n]) <= compareBytes) {
				bytes += len(subjects[n])
				n++
			}
			if !yield(subjects[:n]) {
				return
			}
			subjects = subjects[n:]
		}
	}
}
