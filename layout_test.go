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
	out, err := exec.Command("go", "list", "-deps", ".", "./wire", "./auth/...", "./broker/...", "./browser", "./rules").Output()
	if err != nil {
		t.Fatal(err)
	}
	deps := strings.Fields(string(out))
	if len(deps) < 50 {
		t.Fatalf("only %d dependencies listed", len(deps))
	}
	for _, dep := range deps {
		for _, banned := range []string{"nats-io", "prometheus", "opentelemetry", "database/sql", "modernc.org", "go-sql-driver"} {
			if strings.Contains(dep, banned) {
				t.Errorf("the core imports %s", dep)
			}
		}
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
