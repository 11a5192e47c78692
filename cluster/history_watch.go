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

// suspect makes the node compare soon.
func (h *history) suspect() {
	if h == nil {
		return
	}
	h.disturbed.Store(time.Now().UnixNano())
	select {
	case h.look <- struct{}{}:
	default: // it will
	}
}

// disturbedSince reports whether live publications may have been lost after a time.
func (h *history) disturbedSince(t time.Time) bool { return h.disturbed.Load() > t.UnixNano() }

// watch looks after the streams and those who follow them until the node ends.
func (h *history) watch() {
	ticker := time.NewTicker(doubtEvery)
	defer ticker.Stop()
	var kept, doubted time.Time
	for {
		select {
		case <-h.look:
			doubted = time.Now()
			if pause(h.ctx, watchDelay) != nil {
				return
			}
		case <-h.nodes:
			h.suspect()
			continue
		case now := <-ticker.C:
			if now.Sub(kept) < watchEvery {
				if now.Sub(doubted) < doubtPeriod {
					h.compare()
				}
				continue
			}
			kept = now
			for _, s := range h.shards {
				if err := h.keep(s); err != nil && h.ctx.Err() == nil {
					h.n.o.Logger.Warn("cluster: a stream cannot be looked after", slog.String("stream", s.stream), slog.Any("error", err))
				}
			}
		case <-h.ctx.Done():
			return
		}
		h.compare()
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
	for _, f := range h.list(s) {
		f.mu.Lock()
		if f.begun && !f.ended {
			f.at, f.known, f.renewed = 0, time.Now(), true
			f.ring.reset(h, 0)
			if !f.filling {
				f.fill()
			}
		}
		f.mu.Unlock()
	}
}

// compare compares all followers with their streams. What is newer may be on its way, so
// only those are made to read that still do not have it a moment later.
func (h *history) compare() {
	newer := make(map[*follower]uint64)
	for _, s := range h.shards {
		if err := h.compareShard(s, newer); err != nil && h.ctx.Err() == nil {
			h.n.o.Logger.Debug("cluster: a stream cannot be compared", slog.String("stream", s.stream), slog.Any("error", err))
		}
	}
	if len(newer) == 0 || pause(h.ctx, watchDelay) != nil {
		return
	}
	for f, seq := range newer {
		f.behind(seq)
	}
}

// compareShard adds what a shard has that followers have not delivered. It asks only
// for what the stream got since it was asked last.
func (h *history) compareShard(s *shard, newer map[*follower]uint64) error {
	followers := h.list(s)
	upTo := ^uint64(0)
	for subjects := range chunks(slices.Sorted(maps.Keys(followers))) {
		ctx, cancel := context.WithTimeout(h.ctx, streamTimeout)
		end, err := h.get(ctx, s, getRequest{Seq: s.tail + 1, MultiLast: subjects}, func(msg *nats.Msg) {
			f, seq := followers[msg.Header.Get("Nats-Subject")], number(msg, seqHeader)
			if f == nil {
				return
			}
			f.mu.Lock()
			defer f.mu.Unlock()
			if f.begun && seq > f.at {
				newer[f] = seq
			}
		})
		cancel()
		if err != nil {
			return err
		}
		if number(end, "Nats-Num-Pending") > 0 {
			upTo = 0 // the answer was too large to be complete
		}
		upTo = min(upTo, number(end, "Nats-UpTo-Sequence")) // 0 if nothing was found
	}
	if len(followers) > 0 {
		s.tail = max(s.tail, upTo)
	}
	return nil
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
