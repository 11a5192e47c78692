package rules

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// A Set is a list of rules, ready to decide.
type Set struct {
	rules  []rule
	claims []string // the claims that the rules use; slots are indexes
}

// rule is a Rule that has been checked.
type rule struct {
	pattern
	from  Rule
	label string // for reasons: "rule 2 (room/* in rooms)"
	in    int    // the slot of the claim for *, or -1
	inAs  string // its name
	who   [numOps]Who
}

// An Error reports which rule cannot be used, and why.
type Error struct {
	Rule   int    // its index, from 0
	Field  string // its field as in JSON, "" for the whole rule
	Reason string
}

// Error implements error.
func (e *Error) Error() string {
	if e.Field == "" {
		return fmt.Sprintf("rules: rule %d %s", e.Rule, e.Reason)
	}
	return fmt.Sprintf("rules: rule %d: %s %s", e.Rule, e.Field, e.Reason)
}

// New makes a set of rules. Its error is an *[Error].
func New(list ...Rule) (*Set, error) {
	s := &Set{rules: make([]rule, len(list))}
	for i, r := range list {
		if err := s.rules[i].prepare(r, s.slot); err != nil {
			err.Rule = i
			return nil, err
		}
		s.rules[i].label = "rule " + strconv.Itoa(i) + " (" + r.String() + ")"
	}
	if err := disputed(s.rules); err != nil {
		return nil, err
	}
	return s, nil
}

// MustNew is [New] for rules that are part of the program. It panics if one of
// them cannot be used.
func MustNew(list ...Rule) *Set {
	s, err := New(list...)
	if err != nil {
		panic(err)
	}
	return s
}

// Parse makes a set from a JSON array of rules:
//
//	[{"channel": "chat", "subscribe": "anyone"}, {"in": "channels"}]
//
// Unknown and repeated members are errors.
func Parse(text []byte) (*Set, error) {
	var raw []jsontext.Value
	if err := json.Unmarshal(text, &raw); err != nil {
		return nil, fmt.Errorf("rules: not a JSON array of rules: %w", err)
	}
	list := make([]Rule, len(raw))
	for i, value := range raw {
		if value.Kind() != jsontext.KindBeginObject {
			return nil, &Error{Rule: i, Reason: "is not a JSON object"}
		}
		if err := json.Unmarshal(value, &list[i], json.RejectUnknownMembers(true)); err != nil {
			return nil, &Error{Rule: i, Reason: "cannot be read: " + err.Error()}
		}
	}
	return New(list...)
}

// Rules returns the rules as they were given, in their order: that of
// [Decision].Rule and [Grant].Rule.
func (s *Set) Rules() []Rule {
	list := make([]Rule, len(s.rules))
	for i := range s.rules {
		list[i] = s.rules[i].from
	}
	return list
}

// slot returns the place of a claim among those of the set.
func (s *Set) slot(name string) int {
	if i := slices.Index(s.claims, name); i >= 0 {
		return i
	}
	s.claims = append(s.claims, name)
	return len(s.claims) - 1
}

// prepare checks a rule.
func (r *rule) prepare(from Rule, slot func(name string) int) *Error {
	channel := from.Channel
	if channel == "" {
		if from.In == "" {
			return &Error{Reason: "has neither channel nor in"}
		}
		channel = "*"
	}
	p, err := parsePattern(channel)
	if err != nil {
		return &Error{Field: "channel", Reason: fmt.Sprintf("%q %v", channel, err)}
	}
	r.pattern, r.from, r.in, r.inAs = p, from, -1, from.In
	claim := from.In
	for i := range r.parts {
		if part := &r.parts[i]; part.kind == placeholder {
			part.slot = slot(part.text)
			claim = part.text
		}
	}
	if from.In != "" {
		if r.star == len(r.parts) {
			return &Error{Field: "in", Reason: fmt.Sprintf("is %q, but channel %q has no * for it", from.In, channel)}
		}
		r.in = slot(from.In)
	}
	return r.grant(from, claim)
}

// grant sets who may do what. claim is a claim that the rule needs, if any.
func (r *rule) grant(from Rule, claim string) *Error {
	r.who = [numOps]Who{Subscribe: from.Subscribe, Publish: from.Publish, Presence: from.Presence}
	if r.who == [numOps]Who{} {
		r.who = [numOps]Who{Authenticated, Authenticated, Authenticated}
	}
	for op, who := range r.who {
		field := Op(op).String()
		switch {
		case who == "" || who == Authenticated:
		case who != Anyone:
			return &Error{Field: field, Reason: fmt.Sprintf("is %q; it must be %q or %q", who, Anyone, Authenticated)}
		case claim != "":
			return &Error{Field: field, Reason: fmt.Sprintf("is %q, but only a token has the claim %q", who, claim)}
		}
	}
	return nil
}
