package copies

import (
	"bufio"
	"bytes"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// examples is the module of the examples.
const examples = "../.."

// No example imports what a copy would miss.
func TestNoInternalImports(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "go", "list", "-f", "{{.ImportPath}} {{.Name}} {{.Imports}}", "./...")
	cmd.Dir = examples
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	programs := 0
	for line := range strings.Lines(string(out)) {
		if path, imports, ok := strings.Cut(line, " main "); ok {
			programs++
			if strings.Contains(imports, "internal/") {
				t.Errorf("%s imports %s", path, imports)
			}
		}
	}
	if programs < 12 {
		t.Errorf("only %d programs:\n%s", programs, out)
	}
}

// Those that keep users in memory have the same file for it.
func TestUsersAreTheSame(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(examples, "*", "users.go"))
	if err != nil {
		t.Fatal(err)
	}
	var first []byte
	same := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Contains(text, []byte("in place of a database")) {
			continue
		}
		if same++; first == nil {
			first = text
		}
		if !bytes.Equal(text, first) {
			t.Errorf("%s is another one", file)
		}
	}
	if same != 4 {
		t.Errorf("%d examples keep users in memory", same)
	}
}

// copyApp copies the complete example into a module of its own, with this
// repository in place of a released version.
func copyApp(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join(examples, "app"))); err != nil {
		t.Fatal(err)
	}
	repository, err := filepath.Abs(filepath.Join(examples, ".."))
	if err != nil {
		t.Fatal(err)
	}
	// With the versions of the examples, so that no network is needed.
	module, err := os.ReadFile(filepath.Join(examples, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	text := strings.NewReplacer(
		"module github.com/socketcluster-go/socketcluster/examples\n", "module example.com/app\n",
		"=> ../\n", "=> "+repository+"\n",
	).Replace(string(module))
	sums, err := os.ReadFile(filepath.Join(examples, "go.sum"))
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{"go.mod": []byte(text), "go.sum": sums} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// A copy of the complete example builds, with its tests, and runs.
func TestCopyOfApp(t *testing.T) {
	dir := copyApp(t)
	command := func(name string, args ...string) *exec.Cmd {
		cmd := exec.CommandContext(t.Context(), name, args...)
		cmd.Dir = dir
		cmd.Env = append(cmd.Environ(), "GOWORK=off", "AUTH_KEY=a key of the test, with 32 bytes or more")
		return cmd
	}
	for _, cmd := range []*exec.Cmd{command("go", "build", "-o", "app", "."), command("go", "test", "-run", "^$", "."), command("./app", "adduser", "alice")} {
		cmd.Stdin = strings.NewReader("secret\n")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", cmd, err, out)
		}
	}

	serve := command("./app", "serve", "-addr", "127.0.0.1:0")
	var log bytes.Buffer
	serve.Stderr = &log
	stdout, err := serve.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := serve.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	address, ok := strings.CutPrefix(strings.TrimSpace(line), "listening on ")
	if err != nil || !ok {
		serve.Process.Kill()
		serve.Wait()
		t.Fatalf("%q, %v\n%s", line, err, &log)
	}
	resp, err := http.Post("http://"+address+"/login", "application/json", strings.NewReader(`{"username":"alice","password":"secret"}`))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("login: %s", resp.Status)
	}
	serve.Process.Signal(syscall.SIGTERM)
	if err := serve.Wait(); err != nil {
		t.Errorf("%v\n%s", err, &log)
	}
}
