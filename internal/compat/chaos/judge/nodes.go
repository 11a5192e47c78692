package judge

import (
	"sort"
	"time"
)

// span is a time in which a node was in one state.
type span struct {
	from, to time.Duration
	state    Kind
}

// nodes knows the states of all nodes over time.
type nodes map[string][]span

// forever is after the end of each run.
const forever = time.Duration(1<<63 - 1)

func newNodes(events []Event) nodes {
	all := make(nodes)
	for _, e := range events {
		switch e.Kind {
		case Up, Down, Stopping, Paused, CutOff, Full:
			list := all[e.Node]
			if n := len(list); n > 0 {
				list[n-1].to = e.At
			}
			all[e.Node] = append(list, span{e.At, forever, e.Kind})
		case Still:
			for node := range all {
				all.pause(node, e.At-e.Took, e.At)
			}
		}
	}
	return all
}

// pause makes a node be paused for a time that has just passed.
func (n nodes) pause(node string, from, to time.Duration) {
	list := n[node]
	last := &list[len(list)-1]
	last.to = max(last.from, from)
	n[node] = append(list, span{last.to, to, Paused}, span{to, forever, last.state})
}

// steady returns the state that a node was in all the time.
func (n nodes) steady(node string, from, to time.Duration) (state Kind, ok bool) {
	list := n[node]
	i := sort.Search(len(list), func(i int) bool { return list[i].to > from })
	if i == len(list) || list[i].from > from || list[i].to <= to {
		return "", false
	}
	return list[i].state, true
}

// states returns the states of all nodes, if they were the same all the time.
func (n nodes) states(from, to time.Duration) (states map[string]Kind, ok bool) {
	states = make(map[string]Kind)
	for node := range n {
		if states[node], ok = n.steady(node, from, to); !ok {
			return nil, false
		}
	}
	return states, true
}

// disturbed reports whether a node was not up at some time.
func (n nodes) disturbed(node string, from, to time.Duration) bool {
	state, ok := n.steady(node, from, to)
	return !ok || state != Up
}

// upAfter returns the first moment, at or after one, at which a node has been up for grace.
func (n nodes) upAfter(node string, at, grace time.Duration) time.Duration {
	for i, s := range n[node] {
		if s.state != Up {
			continue
		}
		begin := s.from + grace
		if i == 0 {
			begin = s.from // the run begins with nodes that are up
		}
		if t := max(at, begin); t < s.to {
			return t
		}
	}
	return forever
}

// upSince returns since when, at or after one moment, a node had been up at another one, or was
// up last before.
func (n nodes) upSince(node string, from, at time.Duration) time.Duration {
	since := from
	for _, s := range n[node] {
		if s.state == Up && s.from < at {
			since = max(since, s.from)
		}
	}
	return since
}

// reaches reports whether two nodes in these states reach each other.
func reaches(a, b Kind) bool { return talks(a) && talks(b) }

func talks(state Kind) bool { return state == Up || state == Full }
