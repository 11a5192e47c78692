package npm

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/socketcluster-go/socketcluster/internal/compat/cachedir"
	"github.com/socketcluster-go/socketcluster/internal/filelock"
)

// installHint is for someone who runs the tests for the first time, and names
// what is missing.
const installHint = "install Node.js 20 or later together with npm (Debian: apt-get install nodejs npm)"

var (
	//go:embed package.json
	packageJSON []byte
	//go:embed package-lock.json
	lockJSON []byte
	//go:embed devtools/package.json
	devToolsPackageJSON []byte
	//go:embed devtools/package-lock.json
	devToolsLockJSON []byte
	//go:embed scc/package.json
	sccPackageJSON []byte
	//go:embed scc/package-lock.json
	sccLockJSON []byte
)

// pinned are packages that are installed together.
type pinned struct{ packageJSON, lockJSON []byte }

// Dir returns the directory that holds node_modules with the pinned packages,
// installing them first if this machine has not done so yet. It ends the test
// when node or npm is missing or the installation fails.
func Dir(t testing.TB) string {
	t.Helper()
	dir, err := Install(t.Context())
	if err != nil {
		t.Fatalf("npm packages: %v", err)
	}
	return dir
}

// Install is Dir for programs that are not tests. It blocks while another
// process installs the same packages.
func Install(ctx context.Context) (string, error) {
	return pinned{packageJSON, lockJSON}.install(ctx)
}

// DevToolsDir is Dir for the packages of devtools/package.json, which are large
// and which few tests need.
func DevToolsDir(t testing.TB) string {
	t.Helper()
	dir, err := pinned{devToolsPackageJSON, devToolsLockJSON}.install(t.Context())
	if err != nil {
		t.Fatalf("npm packages: %v", err)
	}
	return dir
}

// InstallSCC is Install for the packages of scc/package.json, which one benchmark
// and one test need.
func InstallSCC(ctx context.Context) (string, error) {
	return pinned{sccPackageJSON, sccLockJSON}.install(ctx)
}

func (p pinned) install(ctx context.Context) (string, error) {
	for _, tool := range []string{"node", "npm"} {
		if _, err := exec.LookPath(tool); err != nil {
			return "", fmt.Errorf("%s is not on PATH: %s", tool, installHint)
		}
	}
	parent, err := cachedir.Make("npm")
	if err != nil {
		return "", err
	}
	dir := filepath.Join(parent, p.hash())
	if installed(dir) {
		return dir, nil
	}
	unlock, err := filelock.Lock(dir + ".lock")
	if err != nil {
		return "", err
	}
	defer unlock()
	if installed(dir) { // another process did it while this one waited
		return dir, nil
	}
	if err := p.build(ctx, parent, dir); err != nil {
		return "", err
	}
	return dir, nil
}

// build makes the directory under another name and renames it at the end,
// so that an interrupted npm never leaves something that looks complete.
func (p pinned) build(ctx context.Context, parent, dir string) error {
	tmp, err := os.MkdirTemp(parent, "tmp-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	for name, content := range map[string][]byte{"package.json": p.packageJSON, "package-lock.json": p.lockJSON} {
		if err := os.WriteFile(filepath.Join(tmp, name), content, 0o644); err != nil {
			return err
		}
	}
	cmd := exec.CommandContext(ctx, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline")
	cmd.Dir = tmp
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("npm ci: %w\n%s", err, out)
	}
	return os.Rename(tmp, dir)
}

func installed(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "node_modules"))
	return err == nil
}

func (p pinned) hash() string {
	h := sha256.New()
	h.Write(p.packageJSON)
	h.Write(p.lockJSON)
	return hex.EncodeToString(h.Sum(nil))[:16]
}
