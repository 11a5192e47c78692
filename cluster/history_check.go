package cluster

import "errors"

// Check returns the error that Start would give because of the rule, nil if there is
// none.
func (r HistoryRule) Check() error {
	_, err := newHistoryRules([]HistoryRule{r})
	return errors.Unwrap(err) // without its place in Options.History
}
