package judge

import "fmt"

// gap is a loss that a follower was told.
type gap struct {
	Event
	after int // so many publications had come before what is lost
}

// unknown reports whether the follower was not told what is lost.
func (g gap) unknown() bool { return g.From == 0 && g.To == 0 }

func (g gap) String() string {
	if g.unknown() {
		return "something unknown"
	}
	return fmt.Sprintf("%d to %d", g.From, g.To)
}

// told takes note of a gap. It is where the follower is, unless a subscription is answered:
// see subscribed.
func (r *reception) told(e Event) { r.lost = append(r.lost, gap{e, len(r.got)}) }

// subscribed takes note of the answer to a subscription. What was missed came before it, and
// before that is the gap that it tells.
func (r *reception) subscribed(e Event) {
	for i := r.answered; i < len(r.lost); i++ {
		r.lost[i].after = min(r.lost[i].after, r.away)
	}
	r.last = max(r.last, e.Last)
	r.ended()
}

// ended takes note of the end of the connection.
func (r *reception) ended() {
	r.away, r.answered = len(r.got), len(r.lost)
	r.again = append(r.again, r.away)
}

// orderSlack is how many publications before and after a gap may be logged on its other side
// by a client that does not log positions: what it reads at a time, it logs in any order.
const orderSlack = 20

// between returns the last publication that came before a gap, and the first one after it,
// nil if there is none.
func (g gap) between(r *reception, all map[publication]*record) (before, after *record) {
	at := func(i int) *record {
		if i < 0 || i >= len(r.got) {
			return nil
		}
		return all[publication{r.got[i].Publisher, r.got[i].N}]
	}
	first, last := g.after-1, g.after
	if first >= 0 && r.got[first].Position == "" {
		first, last = first-orderSlack, last+orderSlack
	}
	return at(first), at(last)
}

// covers reports whether a publication is in a gap.
func (g gap) covers(p *record, r *reception, all map[publication]*record) bool {
	if !g.unknown() {
		return g.From <= p.position.Seq && p.position.Seq <= g.To
	}
	before, after := g.between(r, all)
	return p.begun < g.At && (before == nil || !p.before(before)) && (after == nil || !after.before(p))
}

// slackSize is how many publications of a full history nobody may have seen.
const slackSize = 50

// judgeGaps looks for gaps that were told although the history had everything: not so much
// had come by then as it keeps. A round is shorter than the age of histories.
func judgeGaps(v *Verdict, f follower, r *reception, stored []*record, all map[publication]*record) {
	for _, g := range r.lost {
		v.Figures.Gaps++
		before, after := g.between(r, all)
		if g.unknown() && g.renews(before, after) {
			continue
		}
		came := 0
		for _, p := range stored {
			if p.begun < g.At && g.since(p, before) {
				came++
			}
		}
		if came < HistorySize-slackSize {
			v.add(GapRule, g.At, "%s was told that %v of %s is lost, and only %d came since", f.who, g, f.channel, came)
		}
	}
}

// since reports whether a publication came after those before a gap.
func (g gap) since(p, before *record) bool {
	if g.unknown() {
		return before == nil || !p.before(before) && p != before
	}
	return p.position.Seq >= g.From
}

// renews reports whether the history of the channel is another one after a gap.
func (g gap) renews(before, after *record) bool {
	now, ok := ParsePosition(g.Position)
	if !ok && after != nil {
		now, ok = after.position, after.position != Position{}
	}
	return ok && before != nil && before.position != Position{} && before.position.Epoch != now.Epoch
}
