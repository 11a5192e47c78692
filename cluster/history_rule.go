package cluster

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
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

	// Copies is how many nodes store a publication, 1 to 5, if there are so many. Channels
	// whose rules differ in it are in streams of their own, eight for each number: each
	// costs all nodes some memory and CPU. With 1 the history waits while the node that
	// has it is away, and is lost with its disk. A channel that gets another number begins
	// anew. Default: 3.
	Copies int
}

// The limits of a HistoryRule.
const (
	maxHistorySize = 10_000
	minHistoryAge  = time.Second
	maxHistoryAge  = 365 * 24 * time.Hour
	maxCopies      = 5 // of NATS
)

// historyRule is a rule that has been checked.
type historyRule struct {
	HistoryRule
	match  *rules.Set
	ttl    string   // as NATS has it
	shards []*shard // numShards of them
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
		case r.Copies < 0 || r.Copies > maxCopies:
			err = fmt.Errorf("there are %d copies; it must be 1 to %d", r.Copies, maxCopies)
		}
		if err != nil {
			return nil, fmt.Errorf("cluster: Options.History[%d]: %w", i, err)
		}
		r.Age = (r.Age + time.Second - 1).Truncate(time.Second)
		r.Copies = cmp.Or(r.Copies, defaultCopies)
		all[i] = historyRule{HistoryRule: r, match: match, ttl: fmt.Sprintf("%ds", r.Age/time.Second)}
	}
	return all, nil
}

// digestOf returns what tells lists of rules apart.
func digestOf(list []historyRule) string {
	h := sha256.New()
	for _, r := range list {
		fmt.Fprintf(h, "%q %d %s %d\n", r.Channel, r.Size, r.ttl, r.Copies)
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
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
