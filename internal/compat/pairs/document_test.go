package pairs

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	document   = "../../../docs/COMPATIBILITY.md"
	tableBegin = "<!-- pairs -->\n"
	tableEnd   = "<!-- end -->\n"
)

var write = flag.Bool("w", false, "write the table into docs/COMPATIBILITY.md")

// The document has the table of the cases. TestPairs makes it true.
func TestDocument(t *testing.T) {
	text, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(text), tableBegin)
	got, after, ok2 := strings.Cut(rest, tableEnd)
	if !ok || !ok2 {
		t.Fatalf("%q and %q do not mark a table", strings.TrimSpace(tableBegin), strings.TrimSpace(tableEnd))
	}
	want := "\n" + table(cases()) + "\n"
	if *write {
		if err := os.WriteFile(document, []byte(before+tableBegin+want+tableEnd+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(strings.Split(want, "\n"), strings.Split(got, "\n")); diff != "" {
		t.Errorf("The table is old. Run: cd internal/compat && go test ./pairs -run TestDocument -w\n%s", diff)
	}
}

// table returns the results as a table in Markdown.
func table(all []testCase) string {
	var b strings.Builder
	b.WriteString("| |")
	for p := range numPairings {
		fmt.Fprintf(&b, " %v |", p)
	}
	b.WriteString("\n|---|" + strings.Repeat("---|", int(numPairings)) + "\n")
	for _, c := range all {
		fmt.Fprintf(&b, "| %s |", c.name)
		for p := range numPairings {
			fmt.Fprintf(&b, " %s |", c.result(p))
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// result returns what the table says of a case in a pairing.
func (c testCase) result(p pairing) string {
	var reasons []string
	for _, s := range c.steps {
		for _, d := range slices.Concat(s.differs, s.omitted) {
			if slices.Contains(d.pairings, p) && !slices.Contains(reasons, d.reason) {
				reasons = append(reasons, d.reason)
			}
		}
	}
	if reasons == nil {
		return "✓"
	}
	return strings.Join(reasons, "; ")
}

// What the table says of a difference holds.
func TestDifferences(t *testing.T) {
	names := make(map[string]bool)
	for _, c := range cases() {
		if names[c.name] {
			t.Errorf("two cases are named %q", c.name)
		}
		names[c.name] = true
		for _, s := range c.steps {
			seen := make(map[pairing]bool)
			for _, d := range slices.Concat(s.differs, s.omitted) {
				for _, p := range d.pairings {
					if seen[p] || d.reason == "" || len(d.pairings) == int(numPairings) {
						t.Errorf("%s: %v: %v differs twice, or without a reason, or as all others do", c.name, s, p)
					}
					seen[p] = true
				}
			}
			for _, d := range s.differs {
				if d.end == s.end {
					t.Errorf("%s: %v: what differs is the same", c.name, s)
				}
			}
		}
	}
}
