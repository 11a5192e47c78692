package judge

import (
	"slices"
	"time"
)

// seat is a socket in a channel, and what became of it.
type seat struct {
	who, user, channel string
	changes            []seatChange
}

type seatChange struct {
	at   time.Duration
	node string // where it is from now on; empty if it is away
}

// steady returns where a socket was all the time, empty for nowhere.
func (s *seat) steady(from, to time.Duration) (node string, ok bool) {
	for _, c := range slices.Backward(s.changes) {
		if c.at <= from {
			return c.node, true
		}
		if c.at <= to {
			return "", false
		}
	}
	return "", true
}

// seats returns all sockets, by channel and user.
func seats(events []Event) map[string]map[string][]*seat {
	all := make(map[string]map[string][]*seat)
	byWho := make(map[follower]*seat)
	for _, e := range events {
		if e.Kind != In && e.Kind != Out {
			continue
		}
		s := byWho[follower{e.Who, e.Channel}]
		if s == nil {
			s = &seat{who: e.Who, user: e.User, channel: e.Channel}
			byWho[follower{e.Who, e.Channel}] = s
			if all[e.Channel] == nil {
				all[e.Channel] = make(map[string][]*seat)
			}
			all[e.Channel][e.User] = append(all[e.Channel][e.User], s)
		}
		node := e.Node
		if e.Kind == Out {
			node = ""
		}
		s.changes = append(s.changes, seatChange{e.At, node})
	}
	return all
}

// expected returns whether a user should be there for a node, given the states that all
// nodes were in from one time to another. It is not decided if a socket that matters has
// moved meanwhile.
func expected(states map[string]Kind, sockets []*seat, observer string, from, to time.Duration) (there, decided bool) {
	decided = true
	for _, s := range sockets {
		node, ok := s.steady(from, to)
		switch {
		case !ok:
			decided = false
		case node == "":
		case node == observer, reaches(states[observer], states[node]):
			there = true
		}
	}
	return there, there || decided
}

func judgePresence(v *Verdict, events []Event, n nodes) {
	all := seats(events)
	for _, e := range events {
		if e.Kind != Online {
			continue
		}
		from := e.At - e.Took - Settle
		states, ok := n.states(from, e.At)
		if !ok {
			continue
		}
		for user, sockets := range all[e.Channel] {
			there, decided := expected(states, sockets, e.Node, from, e.At)
			if !decided {
				continue
			}
			v.Figures.Presence++
			switch named := slices.Contains(e.Users, user); {
			case there && !named:
				v.add(PresenceRule, e.At, "node %s does not name %s in %s", e.Node, user, e.Channel)
			case !there && named:
				v.add(PresenceRule, e.At, "node %s names %s in %s, who is a ghost", e.Node, user, e.Channel)
			}
		}
	}
}

// longestGhost returns the longest time after the kill of a node for which others named a
// user who was there only, and did not come back.
func longestGhost(events []Event) (longest time.Duration) {
	all := seats(events)
	for _, kill := range events {
		if kill.Kind != Fault || kill.What != Kill {
			continue
		}
		for _, e := range events {
			if e.Kind != Online || e.Node == kill.Node || e.At < kill.At || e.At > kill.At+2*Settle {
				continue
			}
			for user, sockets := range all[e.Channel] {
				was, is := false, false
				for _, s := range sockets {
					before, _ := s.steady(kill.At-Settle, kill.At-time.Millisecond)
					was = was || before == kill.Node
					now, ok := s.steady(kill.At+time.Second, e.At)
					is = is || !ok || now != ""
				}
				if was && !is && slices.Contains(e.Users, user) {
					longest = max(longest, e.At-e.Took-kill.At)
				}
			}
		}
	}
	return longest
}
