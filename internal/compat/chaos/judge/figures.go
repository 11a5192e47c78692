package judge

import (
	"maps"
	"slices"
	"time"
)

// The faults. Their names are those of the log.
const (
	Kill    = "kill -9"
	KillAll = "kill -9 of all"
	Pause   = "SIGSTOP"
	Cut     = "cut"
	Flap    = "route flap"
	Restart = "rolling restart"
	Fill    = "disk full"
)

// Figures are what a run has shown.
type Figures struct {
	Length               time.Duration // from the first acknowledgement to the last
	Acknowledged, Unsure int           // publications on channels with history
	Delivered            int           // to all subscribers
	Told                 int           // deliveries that did not come, and were told
	Gaps                 int           // that were told
	Private              int           // deliveries to those who had the right
	Rights               int           // rights that ended
	Refused              int           // tokens that were refused
	Presence             int           // users whom answers had to name or not to name
	Still                int           // times that the machine stood still
	Filled               time.Duration // the longest until what was acknowledged came to a subscriber that was there
	FilledWhere          Event
	FilledLed            time.Duration // the same on steady channels, without the time in which nobody could publish
	Ghost                time.Duration // the longest after kill -9
	Healthy              time.Duration // the longest of a node that was started while others were up
	Revocation           time.Duration // the longest with all nodes up
	Faults               map[string]*FaultFigures
}

// FaultFigures are those of one kind of fault.
type FaultFigures struct {
	Count  int
	Stall  time.Duration // the longest without an acknowledgement on a channel with steady publications
	Ack    time.Duration // the longest acknowledgement by a node that was not disturbed
	Unsure int           // publications whose call failed
}

// none is the name of the time in which there is no fault.
const None = "none"

// period is a time with one fault, or none.
type period struct {
	from, to time.Duration
	what     string
}

func periods(events []Event) []period {
	list := []period{{0, forever, None}}
	next := func(at time.Duration, what string) {
		list[len(list)-1].to = at
		list = append(list, period{at, forever, what})
	}
	for _, e := range events {
		switch e.Kind {
		case Fault:
			next(e.At, e.What)
		case Over:
			next(e.At, None)
		}
	}
	return list
}

// at returns the period of a moment.
func at(list []period, t time.Duration) period {
	i, _ := slices.BinarySearchFunc(list, t, func(p period, t time.Duration) int {
		switch {
		case p.to <= t:
			return -1
		case p.from > t:
			return 1
		}
		return 0
	})
	return list[min(i, len(list)-1)]
}

func measure(v *Verdict, events []Event, n nodes, limits Limits) {
	f := &v.Figures
	f.Faults = map[string]*FaultFigures{None: {}}
	list := periods(events)
	of := func(t time.Duration) *FaultFigures { return f.Faults[at(list, t).what] }
	for _, p := range list {
		if f.Faults[p.what] == nil {
			f.Faults[p.what] = &FaultFigures{}
		}
		f.Faults[p.what].Count++
	}
	tried := lastTries(events)
	var first time.Duration
	last := make(map[string]time.Duration) // the last acknowledgement by channel
	for _, e := range events {
		switch e.Kind {
		case Unsure:
			if hasHistory(e.Channel) {
				of(e.At-e.Took).Unsure++
			}
		case Acked:
			if !hasHistory(e.Channel) {
				continue
			}
			if first == 0 {
				first = e.At
			}
			f.Length = e.At - first
			during := of(e.At - e.Took/2)
			if !n.disturbed(e.Node, e.At-e.Took, e.At) {
				during.Ack = max(during.Ack, e.Took)
			}
			if IsSteady(e.Channel) {
				if before, ok := last[e.Channel]; ok {
					stall := max(0, min(e.At, tried[e.Channel])-before)
					x := of(before + stall/2)
					x.Stall = max(x.Stall, stall)
					if limits.Patience > 0 && stall > limits.Patience {
						v.add(StallRule, e.At, "nobody could publish on %s for %v", e.Channel, stall)
					}
				}
				last[e.Channel] = e.At
			}
		case Still:
			f.Still++
		case Healthy:
			if at(list, e.At).what != KillAll { // after which all wait for each other
				f.Healthy = max(f.Healthy, e.Took)
			}
		case Revoked:
			if at(list, e.At-e.Took).what == None {
				f.Revocation = max(f.Revocation, e.Took)
			}
		}
	}
	judgeLate(v, events, n, limits)
	f.Ghost = longestGhost(events)
}

// lastTries returns when somebody last began to publish on each channel: at the end of a run,
// nobody does while the last answers are awaited.
func lastTries(events []Event) map[string]time.Duration {
	last := make(map[string]time.Duration)
	for _, e := range events {
		if e.Kind == Acked || e.Kind == Unsure {
			last[e.Channel] = max(last[e.Channel], e.At-e.Took)
		}
	}
	return last
}

// SteadyPrefix begins the names of the channels on which somebody publishes all the time.
const SteadyPrefix = "history.steady-"

// IsSteady reports whether a channel is one on which somebody publishes all the time.
func IsSteady(channel string) bool {
	return len(channel) > len(SteadyPrefix) && channel[:len(SteadyPrefix)] == SteadyPrefix
}

// Names returns the names of the faults that there were, sorted.
func (f *Figures) Names() []string { return slices.Sorted(maps.Keys(f.Faults)) }
