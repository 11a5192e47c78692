package cluster

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/socketcluster-go/socketcluster/rules"
)

// HistoryRule gives channels a history.
type HistoryRule struct {
	// Channel is the pattern of the channels' names, as in package rules, without
	// claims: chat, chat/*.
	Channel string

	// Size is how many publications of a channel are kept, 1 to 10,000.
	Size int

	// Age is for how long a publication is kept, a second to a year. Parts of a
	// second are rounded up.
	Age time.Duration
}

// The limits of a HistoryRule.
const (
	maxHistorySize = 10_000
	minHistoryAge  = time.Second
	maxHistoryAge  = 365 * 24 * time.Hour
)

// historyRule is a rule that has been checked.
type historyRule struct {
	HistoryRule
	match *rules.Set
	ttl   string // as NATS has it
}

func newHistoryRules(list []HistoryRule) ([]historyRule, error) {
	all := make([]historyRule, len(list))
	for i, r := range list {
		match, err := rules.New(rules.Rule{Channel: r.Channel, Subscribe: rules.Anyone})
		switch {
		case strings.Contains(r.Channel, "{"):
			err = fmt.Errorf("the pattern %q has a {; claims mean nothing here", r.Channel)
		case err != nil:
		case r.Size < 1 || r.Size > maxHistorySize:
			err = fmt.Errorf("the size is %d; it must be 1 to %d", r.Size, maxHistorySize)
		case r.Age < minHistoryAge || r.Age > maxHistoryAge:
			err = fmt.Errorf("the age is %v; it must be %v to %v", r.Age, minHistoryAge, maxHistoryAge)
		}
		if err != nil {
			return nil, fmt.Errorf("cluster: Options.History[%d]: %w", i, err)
		}
		r.Age = (r.Age + time.Second - 1).Truncate(time.Second)
		all[i] = historyRule{r, match, fmt.Sprintf("%ds", r.Age/time.Second)}
	}
	return all, nil
}

// Check returns the error that Start would give because of the rule, nil if there is
// none.
func (r HistoryRule) Check() error {
	_, err := newHistoryRules([]HistoryRule{r})
	return errors.Unwrap(err) // without its place in Options.History
}

// rule returns the first rule for a channel, nil if it has no history.
func (h *history) rule(channel string) *historyRule {
	if h == nil {
		return nil
	}
	for i := range h.rules {
		if r := &h.rules[i]; r.match.Decide(rules.Subscribe, channel, nil).Allowed {
			return r
		}
	}
	return nil
}
