package judge

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// publication names a publication. A publisher numbers those on all channels together.
type publication struct {
	publisher string
	n         int
}

// record is what is known of a publication.
type record struct {
	channel    string
	begun, end time.Duration // of its calls: when the first began, and the last ended
	acked      bool
	position   Position // zero if nobody saw it
}

// Newer reports whether a position is after another one, or in another history.
func (p Position) Newer(than Position) bool { return p.Epoch != than.Epoch || p.Seq > than.Seq }

// Position is a place in the history of a channel.
type Position struct {
	Epoch string
	Seq   uint64
}

// ParsePosition parses a position as clients see it: epoch.number.time, in base 36.
func ParsePosition(text string) (p Position, ok bool) {
	epoch, rest, ok := strings.Cut(text, ".")
	number, _, more := strings.Cut(rest, ".")
	seq, err := strconv.ParseUint(number, 36, 64)
	return Position{epoch, seq}, ok && more && err == nil
}

// follower is a subscriber on a channel.
type follower struct{ who, channel string }

// reception is what a follower has got.
type reception struct {
	since time.Duration // when it subscribed first
	last  int           // with how many earlier publications it began
	got   []Event       // in order
	lost  []gap

	again    []int // how many had come when its connection ended, or it subscribed, each time
	away     int   // how many had come when its connection ended last, or it subscribed last
	answered int   // how many gaps had been told when it subscribed last
}

// hasHistory reports whether a channel keeps what is published.
func hasHistory(channel string) bool { return strings.HasPrefix(channel, "history.") }

// before reports whether a publication was stored before another one, as far as is known.
func (r *record) before(other *record) bool {
	if none := (Position{}); r.position != none && other.position != none && r.position.Epoch == other.position.Epoch {
		return r.position.Seq < other.position.Seq
	}
	return r.end < other.begun
}

// records returns all publications.
func records(events []Event) map[publication]*record {
	all := make(map[publication]*record)
	for _, e := range events {
		switch e.Kind {
		case Acked, Unsure:
			p := publication{e.Who, e.N}
			r := all[p]
			if r == nil {
				r = &record{channel: e.Channel, begun: e.At - e.Took}
				all[p] = r
			}
			r.end, r.acked = e.At, r.acked || e.Kind == Acked
		}
	}
	return all
}

func judgeHistory(v *Verdict, events []Event, n nodes) {
	all := records(events)
	receptions := make(map[follower]*reception)
	var followers []follower
	reception1 := func(e Event) *reception {
		f := follower{e.Who, e.Channel}
		r := receptions[f]
		if r == nil {
			r = &reception{since: e.At}
			receptions[f] = r
			followers = append(followers, f)
		}
		return r
	}
	for _, e := range events {
		switch e.Kind {
		case Subscribed:
			reception1(e).subscribed(e)
		case Ended:
			for f, r := range receptions {
				if f.who == e.Who {
					r.ended()
				}
			}
		case Lost:
			reception1(e).told(e)
		case Got:
			r := reception1(e)
			r.got = append(r.got, e)
		}
		if e.Position == "" {
			continue
		}
		key := publication{e.Publisher, e.N}
		switch e.Kind {
		case Acked:
			key = publication{e.Who, e.N}
		case Got, Stored:
		default:
			continue
		}
		at, ok := ParsePosition(e.Position)
		r := all[key]
		switch {
		case !ok:
			v.add(OrderRule, e.At, "%s %d has %q on %s as a position", key.publisher, key.n, e.Position, e.Channel)
		case r == nil: // under way when the run ended
		case r.position == Position{}:
			r.position = at
		case r.position != at:
			v.add(TwiceRule, e.At, "%s %d is stored twice on %s: at %v and %v", key.publisher, key.n, e.Channel, r.position, at)
		}
	}
	stored := make(map[string][]*record) // by channel
	for _, r := range all {
		stored[r.channel] = append(stored[r.channel], r)
	}
	owed := make(map[string][]publication) // by channel
	for p, r := range all {
		if r.acked && hasHistory(r.channel) {
			owed[r.channel] = append(owed[r.channel], p)
			v.Figures.Acknowledged++
		} else if hasHistory(r.channel) {
			v.Figures.Unsure++
		}
	}
	for _, list := range owed {
		slices.SortFunc(list, func(a, b publication) int { return cmp.Compare(all[a].begun, all[b].begun) })
	}
	for _, f := range followers {
		r := receptions[f]
		judgeOrder(v, f, r, all)
		if hasHistory(f.channel) {
			if r.last >= len(stored[f.channel]) {
				r.since = 0 // it began with all there is
			}
			judgeLost(v, f, r, owed[f.channel], all)
			judgeGaps(v, f, r, stored[f.channel], all)
		}
	}
	if v.Figures.Acknowledged == 0 || v.Figures.Delivered == 0 {
		v.add(NothingRule, 0, "nothing was acknowledged, or nothing came")
	}
}

// judgeOrder looks at what came to one follower. A plain channel has no positions: who comes to
// another node, which was stopped or cut off, may get there what it has got elsewhere.
func judgeOrder(v *Verdict, f follower, r *reception, all map[publication]*record) {
	seen := make(map[publication]bool)
	last := make(map[string]int) // by publisher
	var at Position
	again := r.again
	for i, e := range r.got {
		for ; len(again) > 0 && again[0] <= i; again = again[1:] {
			if !hasHistory(f.channel) {
				clear(seen)
				clear(last)
			}
		}
		p := publication{e.Publisher, e.N}
		v.Figures.Delivered++
		if seen[p] {
			v.add(TwiceRule, e.At, "%s got %s %d on %s twice", f.who, p.publisher, p.n, f.channel)
			continue
		}
		seen[p] = true
		if now, ok := ParsePosition(e.Position); ok {
			if !now.Newer(at) {
				v.add(OrderRule, e.At, "%s got position %d of %s after %d", f.who, now.Seq, f.channel, at.Seq)
			}
			at = now
		}
		// What nobody acknowledged may be stored later than what the publisher sent next.
		if known := all[p]; known == nil || !known.acked {
			continue
		}
		if p.n < last[p.publisher] {
			v.add(OrderRule, e.At, "%s got %s %d on %s after %d", f.who, p.publisher, p.n, f.channel, last[p.publisher])
		}
		last[p.publisher] = max(last[p.publisher], p.n)
	}
}

// judgeLost looks for what a follower did not get.
func judgeLost(v *Verdict, f follower, r *reception, owed []publication, all map[publication]*record) {
	got := make(map[publication]bool, len(r.got))
	for _, e := range r.got {
		got[publication{e.Publisher, e.N}] = true
	}
	for _, p := range owed {
		known := all[p]
		if got[p] || known.begun < r.since {
			continue
		}
		if slices.ContainsFunc(r.lost, func(g gap) bool { return g.covers(known, r, all) }) {
			v.Figures.Told++
			continue
		}
		v.add(LostRule, known.end, "%s did not get %s %d on %s, acknowledged at %v", f.who, p.publisher, p.n, f.channel, known.end)
	}
}

// judgeLate looks at when followers that were connected all the time got what was
// acknowledged. The time does not count before their node was disturbed last, and while it was.
func judgeLate(v *Verdict, events []Event, n nodes, limits Limits) {
	all := records(events)
	stalls := findStalls(events)
	since := make(map[follower]time.Duration)
	for _, e := range events {
		switch e.Kind {
		case Subscribed:
			since[follower{e.Who, e.Channel}] = e.At
		case Ended:
			for f := range since {
				if f.who == e.Who {
					delete(since, f)
				}
			}
		case Got:
			r := all[publication{e.Publisher, e.N}]
			begun, ok := since[follower{e.Who, e.Channel}]
			if !ok || e.Node == "" || r == nil || !r.acked || r.begun < begun || !hasHistory(e.Channel) {
				continue
			}
			up := n.upSince(e.Node, r.end, e.At)
			if up >= e.At {
				continue
			}
			late := e.At - up
			if late > v.Figures.Filled {
				v.Figures.Filled, v.Figures.FilledWhere = late, e
			}
			if IsSteady(e.Channel) {
				v.Figures.FilledLed = max(v.Figures.FilledLed, late-stalls.within(e.Channel, up, e.At))
			}
			if limits.Patience > 0 && late > limits.Patience {
				v.add(LateRule, e.At, "%s got %s %d on %s after %v", e.Who, e.Publisher, e.N, e.Channel, late)
			}
		}
	}
}

// minStall is the shortest pause between acknowledgements on a steady channel that is taken
// for a time without a leader.
const minStall = time.Second

// stalls are the pauses of each steady channel, in order: when they began and ended.
type stalls map[string][][2]time.Duration

// findStalls returns the times in which nobody could publish on steady channels. After the last
// acknowledgement, nobody knows: that counts as one, too.
func findStalls(events []Event) stalls {
	all, last := make(stalls), make(map[string]time.Duration)
	for _, e := range events {
		if e.Kind != Acked || !IsSteady(e.Channel) {
			continue
		}
		if before, ok := last[e.Channel]; ok && e.At-before >= minStall {
			all[e.Channel] = append(all[e.Channel], [2]time.Duration{before, e.At})
		}
		last[e.Channel] = e.At
	}
	for channel, at := range last {
		all[channel] = append(all[channel], [2]time.Duration{at, math.MaxInt64})
	}
	return all
}

// within returns how long nobody could publish on a channel between two times.
func (s stalls) within(channel string, from, to time.Duration) (sum time.Duration) {
	for _, x := range s[channel] {
		sum += max(0, min(x[1], to)-max(x[0], from))
	}
	return sum
}
