package judge

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// The bounds of docs/CLUSTER.md.
const (
	// Settle is the time within which presence is exact after a change: 3 seconds,
	// a debounce of 2, and one for a busy machine.
	Settle = 6 * time.Second

	// Grace is the time within which a node that was out of reach has what it missed.
	Grace = 3 * time.Second

	// Election is how long an election takes, during which a node that has come back does
	// not hear what was revoked.
	Election = 8 * time.Second

	// MaxCutOff is the time after which a node that is cut off takes no token.
	MaxCutOff = 15 * time.Second

	// HistorySize is how many publications a channel keeps.
	HistorySize = 1000
)

// Limits are what may differ between machines.
type Limits struct {
	// Patience is the longest time for which nobody can publish on a channel, and after
	// which a publication comes to a subscriber whose node is up. 0: any.
	Patience time.Duration
}

// Violation is a promise that was not kept.
type Violation struct {
	Rule Rule
	At   time.Duration // when it was seen, since the beginning of the run
	Text string
}

// Rule names a promise.
type Rule string

// The rules.
const (
	LostRule     Rule = "lost"     // an acknowledged publication did not come
	TwiceRule    Rule = "twice"    // a publication came twice, or is stored twice
	OrderRule    Rule = "order"    // publications came in another order
	GapRule      Rule = "gap"      // a gap was told that is none
	RightRule    Rule = "right"    // somebody got what he has no right to
	PresenceRule Rule = "presence" // a user was missing, or a ghost
	StallRule    Rule = "stall"    // a channel waited too long
	LateRule     Rule = "late"     // a publication came too late
	NothingRule  Rule = "nothing"  // the run shows nothing, as nothing happened
)

// Verdict is the result of a run.
type Verdict struct {
	Violations []Violation // sorted by time
	Figures    Figures
}

func (v *Verdict) add(rule Rule, at time.Duration, format string, args ...any) {
	v.Violations = append(v.Violations, Violation{rule, at, fmt.Sprintf(format, args...)})
}

// Count returns how often a rule was violated.
func (v *Verdict) Count(rule Rule) (n int) {
	for _, x := range v.Violations {
		if x.Rule == rule {
			n++
		}
	}
	return n
}

// Judge judges a run. It sorts the events by time; those of one moment keep their order.
func Judge(events []Event, limits Limits) *Verdict {
	slices.SortStableFunc(events, func(a, b Event) int { return cmp.Compare(a.At, b.At) })
	v := &Verdict{}
	n := newNodes(events)
	judgeHistory(v, events, n)
	judgeRights(v, events, n)
	judgePresence(v, events, n)
	measure(v, events, n, limits)
	slices.SortStableFunc(v.Violations, func(a, b Violation) int { return cmp.Compare(a.At, b.At) })
	return v
}
