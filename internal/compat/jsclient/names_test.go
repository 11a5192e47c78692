package jsclient

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/socketcluster-go/socketcluster/internal/compat/proc"
)

// porting is the table of names.
const porting = "../../../docs/PORTING.md"

var (
	word    = regexp.MustCompile(`[A-Za-z_$]+`)
	family  = regexp.MustCompile(`[a-z]+…[A-Za-z]*`)
	span    = regexp.MustCompile("`([^`]*)`")
	foreign = regexp.MustCompile(`\b(http|iter|json|slog)\.\S*`)
	public  = regexp.MustCompile(`\b[A-Z]\w*…?`)
)

// nameRows returns the rows of the tables of names: the JavaScript side, and
// the Go side in the last cell. In the table of clients, that is the second: the last
// has the browser's module.
func nameRows(t *testing.T) (js string, goCells []string) {
	t.Helper()
	text, err := os.ReadFile(porting)
	if err != nil {
		t.Fatal(err)
	}
	_, names, ok := strings.Cut(string(text), "\n## Every name\n")
	if !ok {
		t.Fatalf("%s has no names", porting)
	}
	names, _, _ = strings.Cut(names, "\n## ")
	names, clients, ok := strings.Cut(names, "\n### Client\n")
	if !ok {
		t.Fatalf("%s has no names of clients", porting)
	}
	for line := range strings.Lines(clients) {
		if cells := strings.Split(strings.Trim(line, "|\n"), " | "); len(cells) == 3 {
			goCells = append(goCells, cells[1])
		}
	}
	for line := range strings.Lines(names) {
		cells := strings.Split(strings.Trim(line, "|\n"), " | ")
		if len(cells) < 2 {
			continue
		}
		js += strings.Join(cells[:len(cells)-1], " ") + "\n"
		goCells = append(goCells, cells[len(cells)-1])
	}
	return js, goCells
}

// API-1, API-2, API-3, API-4, API-6: each public name of the npm packages has
// a row in the document that maps them, or belongs to a family there such as
// close….
func TestEveryNameIsMapped(t *testing.T) {
	out, err := proc.Node(t, "jsclient/js/names.mjs").Output()
	if err != nil {
		t.Fatal(err)
	}
	var classes map[string][]string
	if err := json.Unmarshal(out, &classes); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	js, _ := nameRows(t)
	mapped := make(map[string]bool)
	for _, w := range word.FindAllString(js, -1) {
		mapped[w] = true
	}
	var families []string
	for _, f := range family.FindAllString(js, -1) {
		families = append(families, strings.ReplaceAll(f, "…", `\w*`))
	}
	inFamily := regexp.MustCompile(`(?i)^(channel)?(` + strings.Join(families, "|") + `)$`)
	if len(classes) < 11 || len(mapped) < 200 || len(families) < 5 {
		t.Fatalf("%d classes, %d names and %d families are mapped", len(classes), len(mapped), len(families))
	}
	for class, names := range classes {
		if len(names) < 2 {
			t.Errorf("%s has the names %q", class, names)
		}
		for _, name := range names {
			if !mapped[name] && !inFamily.MatchString(name) {
				t.Errorf("%s has %s, which %s does not map", class, name, porting)
			}
		}
	}
}

// What the document gives as a Go name exists.
func TestMappedNamesExist(t *testing.T) {
	exported := exportedNames(t)
	_, cells := nameRows(t)
	n := 0
	for _, cell := range cells {
		for _, m := range span.FindAllStringSubmatch(cell, -1) {
			for _, name := range public.FindAllString(foreign.ReplaceAllString(m[1], ""), -1) {
				n++
				if prefix, ok := strings.CutSuffix(name, "…"); ok && !hasPrefix(exported, prefix) || !ok && !exported[name] && name != "T" {
					t.Errorf("%s names %s, which does not exist, in %s", porting, name, cell)
				}
			}
		}
	}
	if n < 150 {
		t.Errorf("only %d names", n)
	}
}

func hasPrefix(names map[string]bool, prefix string) bool {
	for name := range names {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

// exportedNames returns what the public packages export, with the names of
// fields and methods.
func exportedNames(t *testing.T) map[string]bool {
	t.Helper()
	names := make(map[string]bool)
	for _, dir := range []string{"", "wire", "wire/*", "auth", "auth/*", "broker", "broker/*", "client", "rules", "cluster"} {
		files, err := filepath.Glob(filepath.Join("../../..", dir, "*.go"))
		if err != nil || len(files) == 0 {
			t.Fatalf("no files in %s: %v", dir, err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(parsed, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.FuncDecl:
					names[n.Name.Name] = true
					return false
				case *ast.TypeSpec:
					names[n.Name.Name] = true
				case *ast.Field:
					for _, name := range n.Names {
						names[name.Name] = true
					}
				case *ast.ValueSpec:
					for _, name := range n.Names {
						names[name.Name] = true
					}
				}
				return true
			})
		}
	}
	return names
}
