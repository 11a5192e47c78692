// Package processes runs an example in processes of its own, for its tests. The
// processes are the program of the test, whose TestMain calls [Main].
package processes

import (
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/socketcluster-go/socketcluster/internal/sctest"
)

// argsVar is the variable of the environment with the arguments of a process that is the
// example.
const argsVar = "EXAMPLE_ARGS"

// Main runs the example if the process is one of [Start], and the tests otherwise.
func Main(m *testing.M, example func()) {
	if args := os.Getenv(argsVar); args != "" {
		os.Args = append(os.Args[:1], strings.Split(args, "\n")...)
		example()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// Process is the example in a process of its own.
type Process struct {
	t         testing.TB
	env, args []string
	addr      string
	cmd       *exec.Cmd // nil while it does not run
}

// Start starts the example with arguments, of which -addr is added. env is variables as
// name=value. It ends with the test.
func Start(t testing.TB, env []string, args ...string) *Process {
	t.Helper()
	p := &Process{t: t, addr: sctest.FreeAddr(t), env: env}
	p.args = append([]string{"-addr", p.addr}, args...)
	p.Again()
	t.Cleanup(p.Kill)
	return p
}

// Again starts the process again after Kill.
func (p *Process) Again() {
	p.t.Helper()
	p.cmd = exec.Command(os.Args[0])
	p.cmd.Env = append(append(os.Environ(), p.env...), argsVar+"="+strings.Join(p.args, "\n"))
	p.cmd.Stderr = p.t.Output()
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
}

// Kill kills the process, and waits for its end.
func (p *Process) Kill() {
	if p.cmd != nil {
		_ = p.cmd.Process.Signal(syscall.SIGKILL)
		_ = p.cmd.Wait()
		p.cmd = nil
	}
}

// Get waits until the process answers to a request with 200.
func (p *Process) Get(path string) {
	p.t.Helper()
	for begun := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		resp, err := http.Get(p.URL() + path)
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return
			}
		}
		if time.Since(begun) > time.Minute {
			p.t.Fatalf("the process does not answer: %v", err)
		}
	}
}

// URL returns the address of the process, as of a page.
func (p *Process) URL() string { return "http://" + p.addr }

// Connect connects a client, which answers pings by itself, to the process.
func (p *Process) Connect(token string) *sctest.Client {
	p.t.Helper()
	return sctest.Connect(p.t, sctest.TCP(p.addr), token).Follow()
}
