package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// status is how a rule is decided.
type status int

const (
	undecided status = iota
	tested
	deviation // without a test
	goClient  // waits for the Go client
	other
)

func (s status) String() string {
	return [...]string{"undecided", "tested", "deviation", "Go client", "Other"}[s]
}

// entry is a rule with its decision.
type entry struct {
	rule
	status
	listed bool   // as a deviation
	class  string // its class in the document's table of rules without a test
	places []place
}

// report is the decision on every rule.
type report struct {
	entries []entry
	unknown []string // names that are not rules
}

// newReport compares rules with the tests that name them and with the document:
// its deviations, and its classes of rules without a test.
func newReport(rules []rule, tests named, deviations []string, untested map[string]string) report {
	var r report
	isRule := map[string]bool{}
	for _, rule := range rules {
		isRule[rule.id] = true
		e := entry{rule: rule, listed: slices.Contains(deviations, rule.id), class: untested[rule.id]}
		for _, p := range tests[rule.id] {
			if p.pins(rule.side) {
				e.places = append(e.places, p)
			}
		}
		switch {
		case len(e.places) > 0:
			e.status = tested
		case e.listed:
			e.status = deviation
		case rule.side == otherSide:
			e.status = other
		case rule.side == clientSide:
			e.status = goClient
		}
		r.entries = append(r.entries, e)
	}
	for id, places := range tests {
		if !isRule[id] {
			r.unknown = append(r.unknown, id+" in "+places[0].String())
		}
	}
	for _, id := range slices.Concat(deviations, slices.Collect(maps.Keys(untested))) {
		if !isRule[id] {
			r.unknown = append(r.unknown, id+" in "+document)
		}
	}
	slices.Sort(r.unknown)
	return r
}

// problems returns everything that is wrong.
func (r report) problems() []string {
	var all []string
	for _, u := range r.unknown {
		all = append(all, "no such rule: "+u)
	}
	for _, e := range r.entries {
		class := ""
		if e.status == goClient || e.status == other {
			class = e.status.String()
		}
		switch {
		case e.status == undecided:
			all = append(all, fmt.Sprintf("undecided: %s %s: no test names it, and %s does not list it", e.id, e.title, document))
		case e.class == class:
		case e.class == "":
			all = append(all, fmt.Sprintf("unexplained: %s %s: %s does not say why no test names it; its class is %q", e.id, e.title, document, class))
		default:
			all = append(all, fmt.Sprintf("wrong class: %s %s is %q in %s, and is %s", e.id, e.title, e.class, document, e.status))
		}
	}
	return all
}

// summary returns the count by chapter, as a table in Markdown.
func (r report) summary() string {
	var b strings.Builder
	b.WriteString("| Chapter | Ids | Tested | Deviation | Go client | Other | Undecided |\n|---|--:|--:|--:|--:|--:|--:|\n")
	row := func(name string, in func(entry) bool) {
		var n [5]int
		all := 0
		for _, e := range r.entries {
			if in(e) {
				n[e.status]++
				all++
			}
		}
		fmt.Fprintf(&b, "| %s | %d | %d | %d | %d | %d | %d |\n", name, all, n[tested], n[deviation], n[goClient], n[other], n[undecided])
	}
	for _, c := range chapters {
		row(c.letters+": "+c.about, func(e entry) bool { return e.chapter() == c.letters })
	}
	row("All", func(entry) bool { return true })
	return b.String()
}

// details lists every rule with its tests.
func (r report) details() string {
	var b strings.Builder
	for _, e := range r.entries {
		fmt.Fprintf(&b, "%s %s (%s): %s", e.id, e.title, e.side, e.status)
		if e.status == tested && e.listed {
			b.WriteString(", listed as a deviation")
		}
		b.WriteByte('\n')
		for _, p := range e.places {
			fmt.Fprintf(&b, "\t%s\n", p)
		}
	}
	return b.String()
}
