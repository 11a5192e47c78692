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
	part     = "go test ./wall -wall.write" // where the table is in the document
)

var write = flag.Bool("wall.write", false, "write the table into "+document)

// Each client passes the steps that are not listed as failing, and no others,
// and the document says so.
func TestWall(t *testing.T) {
	rows := make([]row, len(clients))
	t.Run("clients", func(t *testing.T) {
		for i, c := range clients {
			t.Run(c.name+" "+c.version+c.with, func(t *testing.T) {
				t.Parallel() // most of it is waiting
				rows[i] = c.run(t)
			})
		}
	})
	if t.Failed() {
		return // so that no table says what is not so
	}
	table := render(rows)
	if *write {
		if err := section.Write(document, part, table); err != nil {
			t.Fatal(err)
		}
		return
	}
	text, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	written, err := section.Read(string(text), part)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(table, "\n"), strings.Split(written, "\n")); diff != "" {
		t.Errorf("The table is old. Run in internal/compat: %s\n%s", part, diff)
	}
}
