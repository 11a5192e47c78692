package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/socketcluster-go/socketcluster/cluster"
)

// historyKey is the array of tables that says which channels keep what is published.
const historyKey = "history"

// historyKeys are the keys of one of its tables. Each needs the first neededHistoryKeys.
var historyKeys = []string{"channel", "size", "age", "copies"}

const neededHistoryKeys = 3

// parseHistory reads the rules of histories.
func (p *configParser) parseHistory(place string, value any) ([]cluster.HistoryRule, error) {
	list, ok := value.([]any)
	if !ok || len(list) == 0 || slices.ContainsFunc(list, func(rule any) bool { _, ok := rule.(map[string]any); return !ok }) {
		return nil, fmt.Errorf("%s: %q must be an array of tables: [[history]]", place, historyKey)
	}
	all := make([]cluster.HistoryRule, len(list))
	for i, element := range list {
		rule := element.(map[string]any)
		if i > 0 && len(rule) > 0 {
			place = "" // that of its first key
		}
		for _, key := range slices.Sorted(maps.Keys(rule)) {
			at := p.next(historyKey+"."+key, key)
			if place == "" {
				place = at
			}
			if err := setHistory(&all[i], key, rule[key]); err != nil {
				return nil, fmt.Errorf("%s: %w", at, err)
			}
		}
		for _, key := range historyKeys[:neededHistoryKeys] {
			if _, ok := rule[key]; !ok {
				return nil, fmt.Errorf("%s: rule %d of %q has no %s", place, i, historyKey, key)
			}
		}
	}
	return all, nil
}

// setHistory sets what a key of a rule says. The rest of what is checked is valid.
func setHistory(r *cluster.HistoryRule, key string, value any) error {
	check, name := cluster.HistoryRule{Channel: "a", Size: 1, Age: time.Hour}, historyKey+"."+key
	switch key {
	case "channel":
		text, ok := value.(string)
		if !ok {
			return fmt.Errorf("%q must be a text in quotes", name)
		}
		r.Channel, check.Channel = text, text
	case "size", "copies":
		n, ok := value.(int64)
		if !ok {
			return fmt.Errorf("%q must be a whole number", name)
		}
		number := int(max(min(n, 1<<30), -1)) // on all systems
		if key == "size" {
			r.Size, check.Size = number, number
			break
		}
		r.Copies, check.Copies = number, number
	case "age":
		text, _ := value.(string)
		age, err := time.ParseDuration(text)
		if err != nil {
			return fmt.Errorf(`%q must be a time such as "24h"`, name)
		}
		r.Age, check.Age = age, age
	default:
		return fmt.Errorf("%q is nothing that a history has; that is %s", name, strings.Join(historyKeys, ", "))
	}
	if err := check.Check(); err != nil {
		return fmt.Errorf("%q: %w", name, err)
	}
	return nil
}
