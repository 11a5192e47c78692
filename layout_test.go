package socketcluster_test

import (
	"go/ast"
	"go/build"
	"go/doc"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Heavy libraries stay out of the core: those who use it should not have to
// build a database or a metrics system.
func TestCoreImportsNothingHeavy(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", ".", "./wire", "./auth/...", "./broker/...", "./browser", "./rules", "./login").Output()
	if err != nil {
		t.Fatal(err)
	}
	deps := strings.Fields(string(out))
	if len(deps) < 50 {
		t.Fatalf("only %d dependencies listed", len(deps))
	}
	for _, dep := range deps {
		for _, banned := range []string{"nats-io", "prometheus", "opentelemetry", "database/sql", "modernc.org", "go-sql-driver", "go.etcd.io", "spf13", "go-toml"} {
			if strings.Contains(dep, banned) {
				t.Errorf("the core imports %s", dep)
			}
		}
	}
}

// The code for identity providers is in one package, which only programs that
// use one import.
func TestOnlyOIDCImportsItsLibraries(t *testing.T) {
	out, err := exec.Command("go", "list", "-f", "{{.ImportPath}} {{.Imports}}", "./...").Output()
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for line := range strings.Lines(string(out)) {
		for _, library := range []string{"go-oidc", "golang.org/x/oauth2", "go-jose", "socketcluster/auth/oidc"} {
			name, imports, _ := strings.Cut(line, " ")
			switch {
			case !strings.Contains(imports, library):
			case strings.HasSuffix(name, "/auth/oidc"):
				found++
			default:
				t.Errorf("%s imports %s", name, library)
			}
		}
	}
	if found != 2 {
		t.Errorf("auth/oidc imports %d of its libraries", found)
	}
}

// The core builds without a C compiler.
func TestCoreHasNoCgo(t *testing.T) {
	for _, dir := range []string{".", "wire", "auth", "broker", "internal/ws", "internal/hub", "internal/lane", "internal/outbox", "internal/wheel"} {
		p, err := build.ImportDir(dir, 0)
		if err != nil {
			t.Fatal(err)
		}
		if len(p.CgoFiles) > 0 {
			t.Errorf("%s uses cgo: %v", dir, p.CgoFiles)
		}
	}
}

// The inventory of rooms has each package of this module, each file of the root, and
// nothing else.
func TestInventoryIsComplete(t *testing.T) {
	text, err := os.ReadFile("docs/ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	_, inventory, _ := strings.Cut(string(text), "\n## Rooms\n")
	inventory, _, _ = strings.Cut(inventory, "\n## ")
	listed := make(map[string]bool)
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z0-9/]+)` \\|").FindAllStringSubmatch(inventory, -1) {
		if listed[m[1]] = true; strings.HasSuffix(m[1], "/") {
			delete(listed, m[1]) // another module
		}
	}
	for name := range packages(t) {
		if !listed[name] && name != "." {
			t.Errorf("the inventory lacks %s", name)
		}
		delete(listed, name)
	}
	for name := range listed {
		t.Errorf("the inventory has %s, which is no package", name)
	}

	// And each file of the root.
	files := make(map[string]bool)
	for _, m := range regexp.MustCompile("`([a-z0-9_]+\\.go)`").FindAllStringSubmatch(inventory, -1) {
		if files[m[1]] {
			t.Errorf("the inventory has %s twice", m[1])
		}
		files[m[1]] = true
	}
	here, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range here {
		if !files[name] && !strings.HasSuffix(name, "_test.go") {
			t.Errorf("the inventory lacks %s", name)
		}
		delete(files, name)
	}
	for name := range files {
		t.Errorf("the inventory has %s, which is no file of the root", name)
	}
}

// Rule ids are for those who work on the protocol. The documentation that users
// read explains itself.
func TestPublicDocsNameNoRules(t *testing.T) {
	rule := regexp.MustCompile(`\b(CV|TR|HS|PP|RPC|AUTH|JWT|PS|MW|ST|CL|ERR|MB|SCC|API|DOC|QK|GT|CF)-[0-9]+\b`)
	seen := 0
	for name, p := range packages(t) {
		if strings.HasPrefix(name, "internal/") || strings.HasPrefix(name, "cmd/") {
			continue
		}
		texts := []string{p.Doc}
		add := func(text string, decl ast.Decl) {
			texts = append(texts, text)
			ast.Inspect(decl, func(n ast.Node) bool {
				if c, ok := n.(*ast.Comment); ok {
					texts = append(texts, c.Text)
				}
				return true
			})
		}
		values := append(p.Consts, p.Vars...)
		funcs := p.Funcs
		for _, typ := range p.Types {
			add(typ.Doc, typ.Decl)
			values = append(append(values, typ.Consts...), typ.Vars...)
			funcs = append(append(funcs, typ.Funcs...), typ.Methods...)
		}
		for _, v := range values {
			add(v.Doc, v.Decl)
		}
		for _, f := range funcs {
			add(f.Doc, &ast.FuncDecl{Name: f.Decl.Name, Type: f.Decl.Type})
		}
		seen += len(texts)
		for _, text := range texts {
			if id := rule.FindString(text); id != "" {
				t.Errorf("the documentation of %s names %s:\n%s", name, id, text)
			}
		}
	}
	if seen < 1000 {
		t.Errorf("only %d comments were read", seen)
	}
}

// packages returns the documentation of each package of this module, by its
// folder.
func packages(t *testing.T) map[string]*doc.Package {
	t.Helper()
	out, err := exec.Command("go", "list", "-f", "{{.Dir}}", "./...").Output()
	if err != nil {
		t.Fatal(err)
	}
	root, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string]*doc.Package)
	for _, dir := range strings.Fields(string(out)) {
		p, err := build.ImportDir(dir, 0)
		if err != nil {
			t.Fatal(err)
		}
		fset := token.NewFileSet()
		var files []*ast.File
		for _, name := range p.GoFiles {
			f, err := parser.ParseFile(fset, filepath.Join(dir, name), nil, parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			files = append(files, f)
		}
		name, err := filepath.Rel(root, dir)
		if err != nil {
			t.Fatal(err)
		}
		if all[filepath.ToSlash(name)], err = doc.NewFromFiles(fset, files, p.Name); err != nil {
			t.Fatal(err)
		}
	}
	return all
}
