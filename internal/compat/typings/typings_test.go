// Package typings has the types of the browser client checked by the
// TypeScript compiler.
package typings

import (
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/socketcluster-go/socketcluster/internal/compat/npm"
)

func TestTypesOfTheBrowserClient(t *testing.T) {
	compiler := filepath.Join(npm.Dir(t), "node_modules", "typescript", "bin", "tsc")
	out, err := exec.CommandContext(t.Context(), "node", compiler, "--noEmit", "--strict",
		"--target", "es2022", "--module", "nodenext", "--lib", "es2022,dom", filepath.Join("testdata", "page.ts")).CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
