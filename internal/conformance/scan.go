package main

import (
	"cmp"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// place is where a test names a rule.
type place struct {
	file string // from the root of the repository, with slashes
	what string // the declaration, and the string that has the ID
}

func (p place) String() string { return p.file + ": " + p.what }

// pins reports whether a test in this place can pin rules of that side: those of the
// clients are for the client side, all others for the server.
func (p place) pins(s side) bool {
	ofClient := strings.HasPrefix(p.file, "browser/test/") || strings.HasPrefix(p.file, "client/")
	return ofClient == (s == clientSide)
}

// named are the places of each ID that tests name.
type named map[string][]place

func (n named) add(id string, p place) {
	if !slices.Contains(n[id], p) {
		n[id] = append(n[id], p)
	}
}

// skipped are folders whose tests name IDs without pinning them: this package's
// own, and those of the bridge to the npm suites, which are about the bridge.
var skipped = []string{"internal/conformance", "internal/compat/bridgehost"}

// scanTests reads all tests under a directory.
func scanTests(root string) (named, error) {
	found := named{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(root, path)
		file := filepath.ToSlash(rel)
		if d.IsDir() {
			if name := d.Name(); slices.Contains(skipped, file) || name == "node_modules" || name == "testdata" || file != "." && strings.HasPrefix(name, ".") {
				return filepath.SkipDir
			}
			return nil
		}
		isGo := strings.HasSuffix(file, "_test.go")
		if !isGo && !strings.HasSuffix(file, ".test.mjs") {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if !isGo {
			scanJS(file, string(text), found)
			return nil
		}
		return scanGo(file, string(text), found)
	})
	for _, places := range found {
		slices.SortFunc(places, func(a, b place) int { return cmp.Compare(a.String(), b.String()) })
	}
	return found, err
}

// scanGo adds the IDs that the declarations of a file name.
func scanGo(file, text string, found named) error {
	files := token.NewFileSet()
	parsed, err := parser.ParseFile(files, file, text, parser.ParseComments)
	if err != nil {
		return err
	}
	for _, decl := range parsed.Decls {
		begin, name := decl.Pos(), ""
		switch d := decl.(type) {
		case *ast.FuncDecl:
			name = d.Name.Name
			if d.Doc != nil {
				begin = d.Doc.Pos()
			}
		case *ast.GenDecl:
			name = d.Tok.String()
			if d.Doc != nil {
				begin = d.Doc.Pos()
			}
		}
		if strings.HasPrefix(name, "Benchmark") {
			continue
		}
		// The end of the line belongs to it, with its comment.
		from, to := files.Position(begin).Offset, files.Position(decl.End()).Offset
		if end := strings.IndexByte(text[to:], '\n'); end >= 0 {
			to += end
		}
		mentions(text[from:to], func(id string, at int) {
			what := name
			if s := stringAt(decl, token.Pos(int(parsed.FileStart)+from+at)); s != "" {
				what += " " + strconv.Quote(s)
			}
			found.add(id, place{file, what})
		})
	}
	return nil
}

// stringAt returns the string literal at a position, or "".
func stringAt(decl ast.Decl, at token.Pos) (s string) {
	ast.Inspect(decl, func(n ast.Node) bool {
		if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING && lit.Pos() <= at && at < lit.End() {
			s, _ = strconv.Unquote(lit.Value)
		}
		return n == nil || n.Pos() <= at && at < n.End()
	})
	return s
}

var quoted = regexp.MustCompile("'[^']*'|`[^`]*`")

// scanJS adds what the lines of a file name.
func scanJS(file, text string, found named) {
	for _, line := range strings.Split(text, "\n") {
		mentions(line, func(id string, at int) {
			what := strings.TrimSpace(line)
			for _, q := range quoted.FindAllStringIndex(line, -1) {
				if q[0] <= at && at < q[1] {
					what = strconv.Quote(line[q[0]+1 : q[1]-1])
				}
			}
			found.add(id, place{file, what})
		})
	}
}

// rows calls yield with the cells of each row of the tables in a document whose
// first column has that heading.
func rows(text, heading string, yield func(cells []string)) {
	inTable := false
	for _, line := range strings.Split(text, "\n") {
		cells := strings.Split(line, "|")
		if len(cells) < 3 {
			inTable = false
			continue
		}
		cells = cells[1 : len(cells)-1]
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		if cells[0] == heading {
			inTable = true
		} else if inTable {
			yield(cells)
		}
	}
}

// scanDeviations returns the ids in the first columns of the tables of
// deviations. Letters alone become all rules of the chapter.
func scanDeviations(text string, rules []rule) []string {
	var ids []string
	rows(text, "Id", func(cells []string) {
		mentions(cells[0], func(id string, _ int) { ids = append(ids, id) })
		for _, letters := range strings.Split(cells[0], ", ") {
			if !known(letters) {
				continue
			}
			for _, r := range rules {
				if r.chapter() == letters {
					ids = append(ids, r.id)
				}
			}
		}
	})
	return ids
}

// scanUntested returns the class of each rule in the table of rules without a
// test. A row without a reason is none.
func scanUntested(text string) map[string]string {
	classes := map[string]string{}
	rows(text, "Rule", func(cells []string) {
		if len(cells) == 3 && cells[2] != "" {
			mentions(cells[0], func(id string, _ int) { classes[id] = cells[1] })
		}
	})
	return classes
}
