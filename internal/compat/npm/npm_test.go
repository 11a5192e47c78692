package npm

import (
	"encoding/json"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/socketcluster-go/socketcluster/internal/compat/cachedir"
)

// The lock file must not tie the project to one registry, and must pin
// everything by content.
func TestLockFileNamesNoRegistry(t *testing.T) {
	type lockFile struct {
		Packages map[string]struct {
			Version   string `json:"version"`
			Resolved  string `json:"resolved"`
			Integrity string `json:"integrity"`
		} `json:"packages"`
	}
	var lock lockFile
	for _, text := range [][]byte{devToolsLockJSON, sccLockJSON, lockJSON} {
		lock = lockFile{}
		if err := json.Unmarshal(text, &lock); err != nil {
			t.Fatal(err)
		}
		for name, p := range lock.Packages {
			if p.Resolved != "" {
				t.Errorf("%s has a resolved field: %s", name, p.Resolved)
			}
			if name != "" && p.Integrity == "" {
				t.Errorf("%s has no integrity hash", name)
			}
		}
	}
	for name, version := range map[string]string{
		"socketcluster-server":    "20.0.1",
		"socketcluster-server-14": "14.7.2",
		"socketcluster-client":    "20.0.2",
		"socketcluster-client-14": "14.3.2",
		"socketcluster-client-5":  "5.0.21",
		"socketcluster-client-3":  "3.1.1",
		"socketcluster-client-2":  "2.4.1",
		"jsonwebtoken":            "9.0.3",
	} {
		if got := lock.Packages["node_modules/"+name].Version; got != version {
			t.Errorf("%s is locked at %q, want %q", name, got, version)
		}
	}
	if got := lock.Packages["node_modules/ws"].Version; !strings.HasPrefix(got, "8.") {
		t.Errorf("ws is locked at %q, want version 8", got)
	}
}

func TestDirHoldsLoadablePackages(t *testing.T) {
	dir := Dir(t)
	cmd := exec.Command("node", "-e", `
		for (const name of ['socketcluster-server', 'socketcluster-server-14', 'socketcluster-client', 'socketcluster-client-14', 'socketcluster-client-5', 'socketcluster-client-3', 'socketcluster-client-2', 'jsonwebtoken', 'ws']) require(name);
		console.log(require('socketcluster-server/package.json').version);`)
	cmd.Env = append(cmd.Environ(), "NODE_PATH="+filepath.Join(dir, "node_modules"))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("node: %v\n%s", err, out)
	}
	if got := strings.TrimSpace(string(out)); got != "20.0.1" {
		t.Errorf("socketcluster-server is %s, want 20.0.1", got)
	}
	if again := Dir(t); again != dir {
		t.Errorf("second call returned %s, first %s", again, dir)
	}
}

func TestInstallNamesTheMissingTool(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	_, err := Install(t.Context())
	if err == nil || !strings.Contains(err.Error(), "node is not on PATH") || !strings.Contains(err.Error(), "install Node.js") {
		t.Errorf("got %v", err)
	}
}

// oneOf returns one of the stock packages, one without dependencies, as that is
// installed much sooner than all of them.
func oneOf(t *testing.T, name string) pinned {
	t.Helper()
	var lock struct {
		Packages map[string]json.RawMessage `json:"packages"`
	}
	if err := json.Unmarshal(lockJSON, &lock); err != nil {
		t.Fatal(err)
	}
	var version struct {
		Version string `json:"version"`
	}
	entry := lock.Packages["node_modules/"+name]
	if err := json.Unmarshal(entry, &version); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	top := map[string]any{"dependencies": map[string]string{name: version.Version}}
	encode := func(v any) []byte {
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	return pinned{encode(top), encode(map[string]any{
		"lockfileVersion": 3, "packages": map[string]any{"": top, "node_modules/" + name: entry},
	})}
}

// Whoever comes while the packages are being installed waits and gets the same
// directory. A second installation would fail, because it could not rename its
// result over the first one.
func TestInstallInParallel(t *testing.T) {
	t.Setenv(cachedir.EnvVar, t.TempDir())
	packages := oneOf(t, "ws")
	var (
		wg   sync.WaitGroup
		dirs [3]string
	)
	for i := range dirs {
		wg.Go(func() {
			dir, err := packages.install(t.Context())
			if err != nil {
				t.Error(err)
			}
			dirs[i] = dir
		})
	}
	wg.Wait()
	if dirs[0] == "" || dirs[1] != dirs[0] || dirs[2] != dirs[0] {
		t.Errorf("got %q", dirs)
	}
}

// An installation that fails leaves nothing behind that a later call would
// take for a complete one.
func TestFailedInstallLeavesNothing(t *testing.T) {
	t.Setenv(cachedir.EnvVar, t.TempDir())
	packages := pinned{packageJSON, []byte("{")}
	for range 2 {
		if _, err := packages.install(t.Context()); err == nil || !strings.Contains(err.Error(), "npm ci") {
			t.Fatalf("got %v, want a failure of npm ci", err)
		}
	}
	parent, err := cachedir.Make("npm")
	if err != nil {
		t.Fatal(err)
	}
	left, err := filepath.Glob(filepath.Join(parent, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range left {
		if filepath.Ext(name) != ".lock" {
			t.Errorf("left behind: %s", name)
		}
	}
}
