package rules

import (
	"strings"

	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/internal/claimscan"
)

// A Grant is a channel that a rule gives to the owner of a token, or the reason
// why the rule gives none.
type Grant struct {
	Rule     int
	Channel  string // "" if there is none
	Wildcard int    // the index in Channel of a * that stands for any text; -1 if there is none
	Ops      []Op
	Reason   string // "" if there is a channel
}

// String shows a grant on one line.
func (g Grant) String() string {
	if g.Channel == "" {
		return "nothing: " + g.Reason
	}
	var b strings.Builder
	b.WriteString(g.Channel)
	for i, op := range g.Ops {
		b.WriteString([]string{": ", ", "}[min(i, 1)])
		b.WriteString(op.String())
	}
	if g.Wildcard >= 0 {
		b.WriteString(" (any text for *)")
	}
	return b.String()
}

// Check lists the permissions of the owner of a token, rule by rule: one grant
// for each channel that a rule gives, and one grant with a reason for each rule
// that gives nothing. The token must have been verified; nil stands for a
// client without one.
func (s *Set) Check(token *auth.Token) []Grant {
	var all []Grant
	c := claims{names: s.claims, token: token}
	for i := range s.rules {
		r := &s.rules[i]
		ops := r.opsOf(token)
		if len(ops) == 0 {
			all = append(all, Grant{Rule: i, Wildcard: -1, Reason: reason(noToken, 0, "")})
			continue
		}
		names, wildcard, why := r.channels(&c)
		if why != "" {
			all = append(all, Grant{Rule: i, Wildcard: -1, Reason: why})
		}
		for _, name := range names {
			all = append(all, Grant{Rule: i, Channel: name, Wildcard: wildcard, Ops: ops})
		}
	}
	return all
}

// opsOf lists the operations that a rule allows with or without a token.
func (r *rule) opsOf(token *auth.Token) []Op {
	var ops []Op
	for op := range numOps {
		if r.who[op] == Anyone || r.who[op] == Authenticated && token != nil {
			ops = append(ops, op)
		}
	}
	return ops
}

// channels lists the names to which a rule applies, or reports why there are
// none. If a wildcard in the name stands for any text, it also returns its
// index.
func (r *rule) channels(c *claims) (names []string, wildcard int, why string) {
	var before, after string
	for i := range r.parts {
		p, fromStart := r.inward(i)
		text := p.text
		switch p.kind {
		case anything:
			continue
		case placeholder:
			raw := c.get(p.slot)
			if raw == nil {
				return nil, -1, reason(noClaim, 0, p.text)
			}
			value, ok := claimscan.TextOf(raw)
			if text = string(value); !ok || !r.fits(text) {
				return nil, -1, reason(oddClaim, 0, p.text)
			}
		}
		if fromStart {
			before += text
		} else {
			after = text + after
		}
	}
	switch {
	case r.star == len(r.parts):
		return []string{before}, -1, ""
	case r.in < 0:
		return []string{before + "*" + after}, len(before), ""
	}
	raw := c.get(r.in)
	if raw == nil {
		return nil, -1, reason(noClaim, 0, r.inAs)
	}
	for _, value := range texts(raw) {
		if r.fits(value) {
			names = append(names, before+value+after)
		}
	}
	if len(names) == 0 {
		return nil, -1, "the claim " + r.inAs + " lists nothing that * can stand for"
	}
	return names, -1, ""
}

// texts returns the one text of a claim, or the texts that it lists.
func texts(raw []byte) []string {
	if value, ok := claimscan.TextOf(raw); ok {
		return []string{string(value)}
	}
	var list []string
	s := claimscan.Scan(raw)
	for element := range s.Elements() {
		if value, ok := claimscan.TextOf(element); ok {
			list = append(list, string(value))
		}
	}
	return list
}
