package demo_test

import (
	"bufio"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/socketcluster-go/socketcluster/internal/compat/browsertest"
	"github.com/socketcluster-go/socketcluster/internal/compat/proc"
)

// authKey signs the tokens of the demo, and those that tests make themselves.
const authKey = "a key of these tests, 32 bytes or more"

func TestMain(m *testing.M) { browsertest.Main(m) }

// demo is a demo server.
type demo struct {
	t     *testing.T
	flags []string
	kind  string // of the client of its page, if that matters
	url   string
	users map[string]string // passwords by name
	cmd   *exec.Cmd         // nil while it is stopped
}

// announced is the line with the address of the demo.
var announced = regexp.MustCompile(`^SocketCluster for Go: (\S+)`)

// start runs the demo with more flags than it needs by itself, and stops it
// with the test.
func start(t *testing.T, flags ...string) *demo {
	t.Helper()
	d := &demo{t: t, flags: flags}
	t.Cleanup(d.stop)
	d.run("127.0.0.1:0")
	return d
}

// run starts the process at an address.
func (d *demo) run(addr string) {
	t := d.t
	t.Helper()
	cmd := proc.Binary(proc.GoBuild(t, "../../cmd/socketcluster"))
	cmd.Args = append(cmd.Args, "--addr", addr, "--auth-key", authKey)
	cmd.Args = append(cmd.Args, d.flags...)
	cmd.Stderr = os.Stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	d.cmd, d.url = cmd, ""
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		if m := announced.FindStringSubmatch(lines.Text()); m != nil {
			d.url = m[1]
			break
		}
	}
	if d.url == "" {
		t.Fatal("the demo did not start")
	}
	go func() {
		for lines.Scan() { // the pipe must not fill up
		}
	}()
	d.readUsers()
}

// stop ends the process, as an operator does.
func (d *demo) stop() {
	if d.cmd == nil {
		return
	}
	d.cmd.Process.Signal(syscall.SIGCONT) // if a test has failed in between
	d.cmd.Process.Signal(syscall.SIGTERM)
	killer := time.AfterFunc(20*time.Second, func() { d.cmd.Process.Kill() })
	defer killer.Stop()
	if err := d.cmd.Wait(); err != nil {
		d.t.Errorf("the demo did not end well: %v", err)
	}
	d.cmd = nil
}

// pause and resume make a server that does not answer for a while.
func (d *demo) pause()  { d.signal(syscall.SIGSTOP) }
func (d *demo) resume() { d.signal(syscall.SIGCONT) }

func (d *demo) signal(s syscall.Signal) {
	d.t.Helper()
	if err := d.cmd.Process.Signal(s); err != nil {
		d.t.Fatal(err)
	}
}

// restart runs a stopped demo again, at the address where it was.
func (d *demo) restart() {
	d.t.Helper()
	d.run(strings.TrimSuffix(strings.TrimPrefix(d.url, "http://"), "/"))
}

// readUsers asks the demo for what it offers to the page.
func (d *demo) readUsers() {
	resp, err := http.Get(d.url + "config.json")
	if err != nil {
		d.t.Fatal(err)
	}
	defer resp.Body.Close()
	var config struct {
		Users []struct{ Username, Password string }
	}
	if err := json.NewDecoder(resp.Body).Decode(&config); err != nil {
		d.t.Fatal(err)
	}
	d.users = make(map[string]string)
	for _, u := range config.Users {
		d.users[u.Username] = u.Password
	}
	if len(d.users) < 2 {
		d.t.Fatalf("demo users: %v", config.Users)
	}
}
