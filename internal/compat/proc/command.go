package proc

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/socketcluster-go/socketcluster/internal/compat/cachedir"
	"github.com/socketcluster-go/socketcluster/internal/compat/npm"
	"github.com/socketcluster-go/socketcluster/internal/filelock"
)

// Node returns a command that runs a script of this module with node, the
// pinned packages at hand. The script is named relative to the root of the
// module, such as "bench/js/server.js". env entries have the form KEY=value
// and are added to the environment of this process.
func Node(t testing.TB, script string, env ...string) *exec.Cmd {
	t.Helper()
	cmd, err := NodeCommand(t.Context(), script, env...)
	if err != nil {
		t.Fatal(err)
	}
	return cmd
}

// NodeCommand is Node for programs that are not tests. ctx bounds the
// installation of the packages, not the life of the process.
func NodeCommand(ctx context.Context, script string, env ...string) (*exec.Cmd, error) {
	dir, err := npm.Install(ctx)
	if err != nil {
		return nil, err
	}
	root, err := ModuleRoot()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command("node", filepath.Join(root, script))
	cmd.Env = append(cmd.Environ(), "NODE_PATH="+filepath.Join(dir, "node_modules"))
	cmd.Env = append(cmd.Env, env...)
	return cmd, nil
}

// Binary returns a command that runs path with env added to the environment
// of this process.
func Binary(path string, env ...string) *exec.Cmd {
	cmd := exec.Command(path)
	cmd.Env = append(cmd.Environ(), env...)
	return cmd
}

// GoBuild builds a main package, named by its folder relative to the root of
// this module, such as "./contract" or, of another module of the project,
// "../../examples/chat", and returns the path of the binary. It builds once per
// test process, and with the race detector when the test itself runs under it.
func GoBuild(t testing.TB, pkg string) string {
	t.Helper()
	path, err := Build(t.Context(), pkg)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

var builds struct {
	mu   sync.Mutex
	done map[string]string
}

// Build is GoBuild for programs that are not tests. Builds of one process run
// one after the other.
func Build(ctx context.Context, pkg string) (string, error) {
	builds.mu.Lock()
	defer builds.mu.Unlock()
	if path, ok := builds.done[pkg]; ok {
		return path, nil
	}
	path, err := build(ctx, pkg)
	if err != nil {
		return "", fmt.Errorf("build %s: %w", pkg, err)
	}
	if builds.done == nil {
		builds.done = make(map[string]string)
	}
	builds.done[pkg] = path
	return path, nil
}

// build writes the binary into the cache, where it outlives this process but
// does not pile up. Go links it only if it is not up to date, which takes seconds,
// so the processes of a test run share it and take turns. One that is running
// stays as it is: Go puts another file in its place. Each checkout has its own, as
// another one is another program.
func build(ctx context.Context, pkg string) (string, error) {
	root, err := ModuleRoot()
	if err != nil {
		return "", err
	}
	dir, err := cachedir.Make("bin")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, binaryName(root, pkg))
	args := []string{"build"}
	if raceEnabled {
		args = append(args, "-race")
		path += "-race"
	}
	unlock, err := filelock.Lock(path + ".lock")
	if err != nil {
		return "", err
	}
	defer unlock()
	cmd := exec.CommandContext(ctx, "go", append(args, "-o", path, ".")...)
	cmd.Dir = filepath.Join(root, pkg) // its go.mod applies
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	return path, nil
}

func binaryName(root, pkg string) string {
	sum := sha256.Sum256([]byte(root))
	return strings.ReplaceAll(filepath.ToSlash(filepath.Clean(pkg)), "/", "-") + "-" + hex.EncodeToString(sum[:4])
}

// ModuleRoot returns the directory of the module that the working directory
// belongs to. Tests run in the directory of their package and commands
// anywhere inside the module, so for both it is the compatibility module.
func ModuleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if mod, err := os.ReadFile(filepath.Join(dir, "go.mod")); err == nil {
			if !bytes.Contains(mod, []byte("socketcluster/internal/compat\n")) {
				return "", fmt.Errorf("%s is not the compatibility module: run from inside internal/compat", dir)
			}
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("no go.mod above the working directory: run from inside internal/compat")
		}
		dir = parent
	}
}
