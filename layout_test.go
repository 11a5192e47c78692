package socketcluster_test

import (
	"go/build"
	"os/exec"
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
		for _, banned := range []string{"nats-io", "prometheus", "opentelemetry", "database/sql", "modernc.org", "go-sql-driver", "go-toml"} {
			if strings.Contains(dep, banned) {
				t.Errorf("the core imports %s", dep)
			}
		}
	}
}

// What it takes to talk to an identity provider is in one package, which only
// those import who do.
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
