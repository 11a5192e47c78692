package judge

import "time"

// right is the end of a right of a user.
type right struct {
	e      Event
	begun  time.Duration // of the call
	atOnce bool          // all nodes that can be reached have confirmed it
}

// confirmTime is the time for which a revocation waits for nodes that do not confirm it.
const confirmTime = time.Second

// tick is how late a timer may be on a busy machine.
const tick = time.Second

// enforced returns since when a node enforces the end of a right.
func (r right) enforced(n nodes, node string) time.Duration {
	grace := Grace
	if r.e.Kind == Kicked {
		// It concerns the nodes that the one that was asked can reach meanwhile. The
		// others are not told later.
		for _, name := range []string{node, r.e.Node} {
			if n.disturbed(name, r.begun-grace, r.e.At) {
				return forever
			}
		}
		return r.e.At
	}
	at := r.e.At
	switch {
	case r.e.Kind == Expires:
		at += tick
	case !r.atOnce:
		at += grace
	}
	return n.upAfter(node, at, grace+Election)
}

// private names what a user may lose: everything that needs a token, or a channel.
type private struct{ user, channel string }

func judgeRights(v *Verdict, events []Event, n nodes) {
	all := records(events)
	ends := make(map[private]right)
	for _, e := range events {
		switch e.Kind {
		case Revoked, Expires:
			ends[private{user: e.User}] = right{e, e.At - e.Took, e.Took < confirmTime}
			v.Figures.Rights++
		case Kicked:
			ends[private{e.User, e.Channel}] = right{e, e.At - e.Took, true}
			v.Figures.Rights++
		}
	}
	for _, e := range events {
		switch e.Kind {
		case Got:
			if e.User == "" {
				continue
			}
			p := all[publication{e.Publisher, e.N}]
			if p == nil {
				continue
			}
			for _, key := range []private{{user: e.User}, {e.User, e.Channel}} {
				r, ok := ends[key]
				if !ok {
					v.Figures.Private++
					continue
				}
				if at := r.enforced(n, e.Node); p.begun > at {
					v.add(RightRule, e.At, "%s got %s %d on %s from node %s, published at %v; %s at %v", e.Who, e.Publisher, e.N, e.Channel, e.Node, p.begun, r.e.Kind, r.e.At)
				}
			}
		case Accepted:
			r, ok := ends[private{user: e.User}]
			if !ok {
				continue
			}
			begun, limit := e.At-e.Took, r.enforced(n, e.Node)
			if r.e.Kind == Revoked {
				limit = min(limit, r.e.At+MaxCutOff+time.Second)
			}
			if begun > limit {
				v.add(RightRule, e.At, "node %s took the token of %s at %v; %s at %v", e.Node, e.User, begun, r.e.Kind, r.e.At)
			}
		case Refused:
			v.Figures.Refused++
		}
	}
}
