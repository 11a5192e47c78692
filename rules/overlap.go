package rules

import (
	"fmt"
	"slices"
	"strings"
)

// piece is a character of a pattern, or a hole: a placeholder for a claim or *.
type piece struct {
	char  rune
	hole  bool
	owned bool // a claim determines the text in the hole
}

// pieces splits the pattern of a rule.
func (r *rule) pieces() []piece {
	var all []piece
	for _, p := range r.parts {
		switch p.kind {
		case placeholder:
			all = append(all, piece{hole: true, owned: true})
		case anything:
			all = append(all, piece{hole: true, owned: r.in >= 0})
		default:
			for _, c := range p.text {
				all = append(all, piece{char: c})
			}
		}
	}
	return all
}

// disputed returns an error if two rules give one name to the owners of
// different values: user/{username} gives user/bob-admin to bob-admin, and
// user/{username}-admin gives it to bob. A claim that lists whole names, as In
// without Channel, states their owners, and so never conflicts.
func disputed(rules []rule) *Error {
	for i := range rules {
		for j := range i {
			a, b := &rules[j], &rules[i]
			if !a.disputable() || !b.disputable() || !sameEdges(a, b) {
				continue
			}
			if name, ok := crossing(a, b); ok {
				return &Error{Rule: i, Field: "channel", Reason: fmt.Sprintf(
					"%q and that of rule %d, %q, give a name such as %q to different owners, as what claims stand for in it differs; separate claims from other text by a character such as /",
					b.source(), j, a.source(), name)}
			}
		}
	}
	return nil
}

// disputable reports whether claims stand for parts of the names of a rule.
func (r *rule) disputable() bool {
	if len(r.parts) == 1 && r.star == 0 {
		return false
	}
	return slices.ContainsFunc(r.parts, func(p part) bool { return p.kind == placeholder || p.kind == anything && r.in >= 0 })
}

// sameEdges reports whether a name can begin and end as both patterns do. It
// decides most pairs at once.
func sameEdges(a, b *rule) bool {
	aStart, aEnd := a.edges()
	bStart, bEnd := b.edges()
	return (strings.HasPrefix(aStart, bStart) || strings.HasPrefix(bStart, aStart)) &&
		(strings.HasSuffix(aEnd, bEnd) || strings.HasSuffix(bEnd, aEnd))
}

// edges returns the text with which all names of a pattern begin and end.
func (p *pattern) edges() (start, end string) {
	first, last := p.parts[0], p.parts[len(p.parts)-1]
	if first.kind == literal {
		start = first.text
	}
	if last.kind == literal {
		end = last.text
	}
	return start, end
}

// source is the pattern as it was written.
func (r *rule) source() string {
	var b strings.Builder
	for _, p := range r.parts {
		b.WriteString(p.source())
	}
	return b.String()
}

// place is how far a name has been matched with a pattern.
type place struct {
	next   int  // the next piece, or the hole in which the name is
	inside bool // of that hole, which already has a character
}

// move is a way to match one more character.
type move struct {
	to     place
	owned  bool // into a hole of a claim
	starts bool // it is the first character of the hole
}

// moves lists the ways to match a character at a place.
func (p *pattern) moves(all []piece, at place, c rune) []move {
	var list []move
	fits := p.fits(string(c))
	next := at.next
	if at.inside {
		if fits {
			list = append(list, move{at, all[at.next].owned, false})
		}
		next++
	}
	if next == len(all) {
		return list
	}
	switch piece := all[next]; {
	case piece.hole && fits:
		list = append(list, move{place{next, true}, piece.owned, true})
	case !piece.hole && piece.char == c:
		list = append(list, move{to: place{next + 1, false}})
	}
	return list
}

// atEnd reports whether a name may end at a place.
func atEnd(all []piece, at place) bool {
	return at.next == len(all) || at.inside && at.next == len(all)-1
}

// reading is a way to read the beginning of a name by two patterns.
type reading struct {
	a, b     place
	together bool // both are in holes of claims that began at the same character
	crossed  bool // holes of claims that do not stand for the same text have met
}

// crossing looks for a name that both rules match, and in which the text of a
// claim of one overlaps with the text of a claim of the other without being the
// same. It follows all readings of all names at once, one character at a time.
func crossing(a, b *rule) (name string, ok bool) {
	as, bs := a.pieces(), b.pieces()
	alphabet := []rune{'x'} // stands for all characters that neither pattern has
	for _, piece := range slices.Concat(as, bs) {
		if !piece.hole && !slices.Contains(alphabet, piece.char) {
			alphabet = append(alphabet, piece.char)
		}
	}
	names := map[reading]string{{}: ""} // a name that leads to each reading
	for queue := []reading{{}}; len(queue) > 0; queue = queue[1:] {
		at := queue[0]
		if at.crossed && atEnd(as, at.a) && atEnd(bs, at.b) {
			return names[at], true
		}
		for _, c := range alphabet {
			for _, ma := range a.moves(as, at.a, c) {
				for _, mb := range b.moves(bs, at.b, c) {
					to := at.after(ma, mb)
					if _, seen := names[to]; !seen {
						names[to] = names[at] + string(c)
						queue = append(queue, to)
					}
				}
			}
		}
	}
	return "", false
}

// after returns the reading to which two moves lead.
func (r reading) after(ma, mb move) reading {
	stayA, stayB := ma.owned && !ma.starts, mb.owned && !mb.starts
	to := reading{a: ma.to, b: mb.to, crossed: r.crossed}
	switch {
	case r.together && stayA != stayB:
		to.crossed = true // one of them ends here
	case r.together && stayA:
		to.together = true
	case ma.owned && mb.owned:
		to.together = ma.starts && mb.starts
		to.crossed = to.crossed || !to.together
	}
	return to
}
