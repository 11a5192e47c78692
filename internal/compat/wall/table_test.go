package wall

import (
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/socketcluster-go/socketcluster/internal/section"
)

const (
	document = "../../../docs/COMPATIBILITY.md"
	command  = "go test ./wall -wall.write"
)

var write = flag.Bool("wall.write", false, "write the tables into "+document)

// table is one of the tables of the document.
type table struct {
	part  string   // where it is in the document
	about []string // the columns that say what a program is
	steps []step
}

// step is something that a program has to do, with its column.
type step struct{ name, column string }

// row is what has been seen of a program.
type row struct {
	about []string
	works map[string]bool   // by the name of the step
	fails map[string]string // why the others do not
}

// check compares what has been seen with the document, or writes it there.
func (tab table) check(t *testing.T, rows []row) {
	t.Helper()
	if t.Failed() {
		return // so that no table says what is not so
	}
	lines := tab.render(rows)
	if *write {
		if err := section.Write(document, tab.part, lines); err != nil {
			t.Fatal(err)
		}
		return
	}
	text, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	written, err := section.Read(string(text), tab.part)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(lines, "\n"), strings.Split(written, "\n")); diff != "" {
		t.Errorf("The table is old. Run in internal/compat: %s\n%s", command, diff)
	}
}

// render returns the table in Markdown.
func (tab table) render(rows []row) string {
	var b strings.Builder
	line := func(cells ...string) { b.WriteString("| " + strings.Join(cells, " | ") + " |\n") }
	head := append([]string(nil), tab.about...)
	for _, s := range tab.steps {
		head = append(head, s.column)
	}
	line(append(head, "What fails")...)
	b.WriteString("|" + strings.Repeat("---|", len(tab.about)) + strings.Repeat(":-:|", len(tab.steps)) + "---|\n")
	for _, r := range rows {
		cells := append([]string(nil), r.about...)
		var reasons []string
		for _, s := range tab.steps {
			mark := "✓"
			if !r.works[s.name] {
				mark, reasons = "**no**", append(reasons, r.fails[s.name])
			}
			cells = append(cells, mark)
		}
		line(append(cells, strings.Join(reasons, " "))...)
	}
	return b.String()
}
