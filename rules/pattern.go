package rules

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// kind is the meaning of a part of a pattern.
type kind uint8

const (
	literal     kind = iota // itself
	placeholder             // the value of a claim
	anything                // any text: the wildcard *
)

// part is a piece of a pattern.
type part struct {
	kind kind
	text string // of a literal; of a claim, its name
	slot int    // of a claim: where its value is, see claims
}

// source returns a part as it is written in a pattern.
func (p part) source() string {
	switch p.kind {
	case placeholder:
		return "{" + p.text + "}"
	case anything:
		return "*"
	}
	return p.text
}

// pattern is a parsed pattern. There is a separator between any two
// placeholders, so a name can be parsed in only one way.
type pattern struct {
	parts      []part
	star       int      // the index of the wildcard, or len(parts)
	separators []string // the characters that no placeholder contains
}

// parsePattern parses a pattern. Its errors report what is wrong with it.
func parsePattern(text string) (pattern, error) {
	var p pattern
	if !utf8.ValidString(text) {
		return p, errors.New("is not valid UTF-8")
	}
	for rest := text; rest != ""; {
		var next part
		switch end := strings.IndexAny(rest, "*{}"); {
		case end < 0:
			next, rest = part{kind: literal, text: rest}, ""
		case end > 0:
			next, rest = part{kind: literal, text: rest[:end]}, rest[end:]
		case rest[0] == '*':
			next, rest = part{kind: anything}, rest[1:]
		case rest[0] == '{':
			name, after, found := strings.Cut(rest[1:], "}")
			if !found || strings.Contains(name, "{") {
				return p, errors.New("has a { without a }")
			}
			if name == "" {
				return p, errors.New("has {} without the name of a claim")
			}
			next, rest = part{kind: placeholder, text: name}, after
		default:
			return p, errors.New("has a } without a {")
		}
		if n := len(p.parts); n > 0 && p.parts[n-1].kind != literal && next.kind != literal {
			return p, errors.New("has two placeholders without text between them")
		}
		p.parts = append(p.parts, next)
	}
	isWildcard := func(p part) bool { return p.kind == anything }
	p.star = slices.IndexFunc(p.parts, isWildcard)
	if p.star < 0 {
		p.star = len(p.parts)
	} else if slices.ContainsFunc(p.parts[p.star+1:], isWildcard) {
		return p, errors.New("has more than one *")
	}
	p.separators = separators(p.parts)
	return p, unseparated(p.parts)
}

// unseparated returns an error if there are two placeholders with only text
// between them that both may contain: {a}-{b} would make one name of a, b-c and
// of a-b, c.
func unseparated(parts []part) error {
	for i := 2; i < len(parts); i++ {
		between := parts[i-1 : i]
		if parts[i-2].kind == literal || parts[i].kind == literal || separators(between) != nil {
			continue
		}
		return fmt.Errorf("has only %q between %s and %s, whose values may contain it; separate them by another character, as in %q",
			between[0].text, parts[i-2].source(), parts[i].source(), separated(parts))
	}
	return nil
}

// separated returns a pattern with a / wherever a separator is missing.
func separated(parts []part) string {
	var b strings.Builder
	for i, p := range parts {
		text := p.source()
		if 0 < i && i < len(parts)-1 && p.kind == literal && separators(parts[i:i+1]) == nil {
			if text = strings.Trim(text, "-_"); text == "" {
				text = "/"
			} else {
				text = "/" + text + "/"
			}
		}
		b.WriteString(text)
	}
	return b.String()
}

// separators lists the characters that separate the parts of names. IDs often
// contain - and _, so these are not separators.
func separators(parts []part) []string {
	var all []string
	for _, part := range parts {
		if part.kind != literal {
			continue
		}
		for _, r := range part.text {
			word := unicode.In(r, unicode.L, unicode.M, unicode.N) || r == '-' || r == '_'
			if s := string(r); !word && !slices.Contains(all, s) {
				all = append(all, s)
			}
		}
	}
	return all
}

// fits reports whether a placeholder may stand for a text.
func (p *pattern) fits(text string) bool {
	if text == "" {
		return false
	}
	for _, s := range p.separators {
		if strings.Contains(text, s) {
			return false
		}
	}
	return true
}

// mayMatch compares the ends of a name, which needs no token.
func (p *pattern) mayMatch(channel string) bool {
	first, last := &p.parts[0], &p.parts[len(p.parts)-1]
	if len(p.parts) == 1 && first.kind == literal {
		return channel == first.text
	}
	return (first.kind != literal || strings.HasPrefix(channel, first.text)) &&
		(last.kind != literal || strings.HasSuffix(channel, last.text))
}

// inward returns the parts in the order in which they are compared: those
// before the wildcard from the start of a name, those after it from its end,
// and the wildcard last.
func (p *pattern) inward(i int) (part *part, fromStart bool) {
	if i < p.star {
		return &p.parts[i], true
	}
	return &p.parts[len(p.parts)-1-(i-p.star)], false
}
