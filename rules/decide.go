package rules

import (
	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/internal/claimscan"
)

// A Decision states whether a client may do something.
type Decision struct {
	Allowed bool
	Rule    int // the index of the rule that allows it, -1 if none does

	// Reason is for the log, and names the rules on which the decision is
	// based. It contains nothing that the client sent.
	Reason string
}

// outcome is the result of one rule.
type outcome uint8

const (
	allowed      outcome = iota
	otherChannel         // the rule does not apply to the channel
	otherOps             // it allows this operation to nobody
	oddPart              // the text for * is empty, or contains a separator
	noToken
	noClaim
	oddClaim   // the value of the claim has another type, or contains a separator
	otherValue // the claim has another value
	otherText  // the text around the values of the claims is different
	notListed  // In does not list it
)

// Decide reports whether the owner of a token may do op on a channel. The token
// must have been verified; nil stands for a client without one. To subscribe to
// the joins and leaves of a channel ([socketcluster.PresenceChannel]) is to see
// its presence.
func (s *Set) Decide(op Op, channel string, token *auth.Token) Decision {
	if of, ok := socketcluster.PresenceOf(channel); ok && op == Subscribe {
		op, channel = Presence, of
	}
	c := claims{names: s.claims, token: token}
	for i := range s.rules {
		if result, _ := s.rules[i].decide(op, channel, &c); result == allowed {
			return Decision{true, i, s.rules[i].label}
		}
	}
	return Decision{false, -1, s.explain(op, channel, &c)}
}

// maxReasons is the maximum number of rules in the explanation of a denial.
const maxReasons = 5

// explain reports why each of the rules that may apply to a channel has not
// allowed an operation.
func (s *Set) explain(op Op, channel string, c *claims) string {
	text, count := "", 0
	for i := range s.rules {
		r := &s.rules[i]
		result, claim := r.decide(op, channel, c)
		if result == otherChannel {
			continue
		}
		if count++; count > maxReasons {
			return text + "; and more"
		}
		if text != "" {
			text += "; "
		}
		text += r.label + ": " + reason(result, op, claim)
	}
	if text == "" {
		return "no rule is for this channel"
	}
	return text
}

// reason reports why a rule does not allow something.
func reason(result outcome, op Op, claim string) string {
	switch result {
	case otherOps:
		return "it allows nobody to " + verb(op)
	case oddPart:
		return "what * would stand for is empty or has a separator in it"
	case noToken:
		return "there is no token"
	case noClaim:
		return "the token has no claim " + claim
	case oddClaim:
		return "the claim " + claim + " has a value that no name can have"
	case otherValue:
		return "the claim " + claim + " has another value"
	case otherText:
		return "the name does not fit the claims of the token"
	default:
		return "the claim " + claim + " does not list it"
	}
}

func verb(op Op) string {
	if op == Presence {
		return "see presence"
	}
	return op.String()
}

// decide applies one rule. It also returns the claim that the outcome is about.
func (r *rule) decide(op Op, channel string, c *claims) (result outcome, claim string) {
	if !r.mayMatch(channel) {
		return otherChannel, ""
	}
	if op >= numOps || r.who[op] == "" {
		return otherOps, ""
	}
	if r.who[op] == Authenticated && c.token == nil {
		return noToken, ""
	}
	// Compare from both ends towards the *: the rest is known text.
	rest, claim := channel, ""
	for i := range r.parts {
		p, fromStart := r.inward(i)
		if p.kind == anything {
			break
		}
		n, result := r.measure(p, rest, c, fromStart)
		if p.kind == placeholder {
			claim = p.text
		}
		if result == otherText && claim == "" {
			return otherChannel, ""
		}
		if result != allowed {
			return result, claim
		}
		if fromStart {
			rest = rest[n:]
		} else {
			rest = rest[:len(rest)-n]
		}
	}
	switch {
	case r.star == len(r.parts) && rest == "":
		return allowed, ""
	case r.star == len(r.parts):
		return otherValue, claim
	case !r.fits(rest):
		return oddPart, ""
	case r.in < 0:
		return allowed, ""
	}
	return listed(c.get(r.in), rest), r.inAs
}

// measure returns the number of bytes at the start or the end of rest for which
// a part stands.
func (r *rule) measure(p *part, rest string, c *claims, fromStart bool) (int, outcome) {
	if p.kind == literal {
		if n := len(p.text); n <= len(rest) && cut(rest, n, fromStart) == p.text {
			return n, allowed
		}
		return 0, otherText
	}
	raw := c.get(p.slot)
	if raw == nil {
		return 0, noClaim
	}
	value, ok := claimscan.TextOf(raw)
	if !ok {
		return 0, oddClaim
	}
	n := len(value)
	if n > len(rest) || cut(rest, n, fromStart) != string(value) {
		return 0, otherValue
	}
	if !r.fits(cut(rest, n, fromStart)) {
		return 0, oddClaim
	}
	return n, allowed
}

// cut returns the first or the last bytes of a text.
func cut(text string, n int, fromStart bool) string {
	if fromStart {
		return text[:n]
	}
	return text[len(text)-n:]
}

// listed reports whether a claim is a text or lists it.
func listed(raw []byte, text string) outcome {
	if raw == nil {
		return noClaim
	}
	if value, ok := claimscan.TextOf(raw); ok {
		if string(value) == text {
			return allowed
		}
		return notListed
	}
	if len(raw) == 0 || raw[0] != '[' {
		return oddClaim
	}
	s := claimscan.Scan(raw)
	for element := range s.Elements() {
		if value, ok := claimscan.TextOf(element); ok && string(value) == text {
			return allowed
		}
	}
	return notListed
}
