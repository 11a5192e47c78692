package main

import (
	_ "embed"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// side is the party that a rule is about.
type side string

const (
	serverSide side = "server"
	clientSide side = "client"
	otherSide  side = "other"
)

// rule is a rule of the protocol.
type rule struct {
	id    string
	side  side
	title string
}

// chapter returns the letters of a rule's ID.
func (r rule) chapter() string {
	letters, _, _ := strings.Cut(r.id, "-")
	return letters
}

//go:embed rules.tsv
var table string

// chapters are the letters of the IDs, and the subjects of their rules.
var chapters = []struct{ letters, about string }{
	{"CV", "conventions"},
	{"TR", "transport, messages, batches, closing"},
	{"HS", "handshake"},
	{"PP", "pings and pongs"},
	{"RPC", "calls, errors on the wire"},
	{"AUTH", "tokens of a socket"},
	{"JWT", "form of tokens"},
	{"PS", "publish and subscribe"},
	{"MW", "middleware"},
	{"ST", "streams"},
	{"CL", "the client"},
	{"ERR", "names and texts of errors"},
	{"MB", "binary codec"},
	{"SCC", "cluster of the npm packages"},
	{"API", "names of the JavaScript API"},
	{"DOC", "what documents may say"},
	{"QK", "cases with more than one reading"},
	{"GT", "transcripts"},
	{"CF", "the npm suites"},
}

// readRules parses the table of rules.
func readRules(text string) ([]rule, error) {
	var rules []rule
	seen := map[string]bool{}
	for i, line := range strings.Split(strings.TrimSuffix(text, "\n"), "\n")[1:] {
		fields := strings.Split(line, "\t")
		if len(fields) != 3 {
			return nil, fmt.Errorf("rules.tsv:%d: %d fields, want 3", i+2, len(fields))
		}
		r := rule{fields[0], side(fields[1]), fields[2]}
		switch {
		case seen[r.id]:
			return nil, fmt.Errorf("rules.tsv:%d: %s occurs twice", i+2, r.id)
		case !known(r.chapter()):
			return nil, fmt.Errorf("rules.tsv:%d: %s belongs to no chapter", i+2, r.id)
		case !slices.Contains([]side{serverSide, clientSide, otherSide}, r.side):
			return nil, fmt.Errorf("rules.tsv:%d: no such side: %q", i+2, r.side)
		}
		seen[r.id] = true
		rules = append(rules, r)
	}
	return rules, nil
}

// known reports whether the letters are those of a chapter.
func known(letters string) bool {
	for _, c := range chapters {
		if c.letters == letters {
			return true
		}
	}
	return false
}

var mention = func() *regexp.Regexp {
	var letters []string
	for _, c := range chapters {
		letters = append(letters, c.letters)
	}
	return regexp.MustCompile(`\b(` + strings.Join(letters, "|") + `)-(\d+)\b(?: to (` + strings.Join(letters, "|") + `)-(\d+)\b)?`)
}()

// mentions calls yield for each ID in a text, with its place there. A range
// stands for all of its IDs.
func mentions(text string, yield func(id string, at int)) {
	for _, m := range mention.FindAllStringSubmatchIndex(text, -1) {
		letters := text[m[2]:m[3]]
		first, _ := strconv.Atoi(text[m[4]:m[5]])
		last := first
		if m[6] >= 0 && text[m[6]:m[7]] == letters {
			last, _ = strconv.Atoi(text[m[8]:m[9]])
		}
		for n := first; n <= last; n++ {
			yield(letters+"-"+strconv.Itoa(n), m[0])
		}
	}
}
