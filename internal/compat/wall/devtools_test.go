package wall

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/socketcluster-go/socketcluster/internal/compat/browsertest"
	"github.com/socketcluster-go/socketcluster/internal/compat/npm"
	"github.com/socketcluster-go/socketcluster/internal/compat/proc"
)

// devToolsTable has the packages by which applications are monitored. The
// monitor is always the same one, which cannot be run without any of them.
var devToolsTable = table{
	part:  "Redux DevTools, by " + command,
	about: []string{"Package", "Version", "Protocol"},
	steps: []step{
		{"appear", "Appears"},
		{"action", "Actions"},
		{"jump", "Jump"},
		{"dispatch", "Dispatch"},
		{"restart", "Restart"},
	},
}

// devTools is a package by which applications are monitored.
type devTools struct {
	name, version string
	protocol      int
}

var devToolsPackages = []devTools{
	{"@redux-devtools/remote", "1.0.0", 2},
	{"remote-redux-devtools", "0.5.16", 1},
	{"remotedev", "0.2.9", 1},
}

// Applications and the monitor, in Chromium, work with the example server, and
// with the one that takes its place.
func TestDevTools(t *testing.T) {
	modules := filepath.Join(npm.DevToolsDir(t), "node_modules")
	proc.GoBuild(t, "../../examples/redux-devtools") // not in the time of a step
	rows := make([]row, len(devToolsPackages))
	t.Run("run", func(t *testing.T) {
		for i, d := range devToolsPackages {
			t.Run(d.name, func(t *testing.T) {
				t.Parallel() // most of it is waiting
				rows[i] = d.run(t, modules)
			})
		}
	})
	devToolsTable.check(t, rows)
}

func (d devTools) run(t *testing.T, modules string) row {
	t.Helper()
	r := row{about: []string{"`" + d.name + "`", d.version, strconv.Itoa(d.protocol)}, works: make(map[string]bool)}
	server := startDevTools(t, modules)
	m := openMonitor(t, server)
	app := startApp(t, d.name, modules, server.port(t, d.protocol))

	m.wait(listed("@@INIT"))
	r.works["appear"] = true

	app.dispatch("BEFORE", 1)
	app.wantCount(1)
	m.wait(listed("BEFORE"))
	r.works["action"] = true

	m.Click(`[aria-label="Go back"]`)
	app.wantCount(0)
	m.Click(`[aria-label="Go forward"]`)
	app.wantCount(1)
	r.works["jump"] = true

	m.write("{type: 'DISPATCHED', by: 40}")
	m.clickDispatch()
	for tries := 1; app.nextCount() != 41; tries++ { // until the button knows the text
		if tries == 100 {
			t.Fatal("the action is not dispatched")
		}
		m.clickDispatch()
	}
	m.wait(listed("DISPATCHED"))
	r.works["dispatch"] = true

	m.hurry()
	server.stop(t)
	m.wait("!" + listed("@@INIT"))
	server.start(t)
	m.wait(listed("@@INIT")) // from the application, over the new server
	app.dispatch("AFTER", 100)
	app.wantCount(141)
	m.wait(listed("AFTER"))
	r.works["restart"] = true
	return r
}

// devToolsServer is the example server, at the same addresses whenever it runs.
type devToolsServer struct {
	addr, oldAddr, app string
	process            *proc.Process
}

func startDevTools(t *testing.T, modules string) *devToolsServer {
	t.Helper()
	s := &devToolsServer{addr: "127.0.0.1:0", oldAddr: "127.0.0.1:0", app: filepath.Join(modules, "@redux-devtools/app/build/web")}
	s.start(t)
	return s
}

func (s *devToolsServer) start(t *testing.T) {
	t.Helper()
	cmd := proc.Binary(proc.GoBuild(t, "../../examples/redux-devtools"))
	cmd.Args = append(cmd.Args, "-addr", s.addr, "-protocol1", s.oldAddr, "-app", s.app)
	s.process = proc.Start(t, cmd)
	s.addr = s.process.Addr()
	_, old, ok := strings.Cut(s.process.Logs(), "version 1 at ")
	if !ok {
		t.Fatal("the server does not name its address for version 1")
	}
	s.oldAddr, _, _ = strings.Cut(old, "\n")
}

func (s *devToolsServer) stop(t *testing.T) {
	t.Helper()
	if err := s.process.Stop(); err != nil {
		t.Fatal(err)
	}
}

// port returns the port for a version of the protocol.
func (s *devToolsServer) port(t *testing.T, protocol int) string {
	t.Helper()
	addr := s.addr
	if protocol == 1 {
		addr = s.oldAddr
	}
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// monitor is the page of @redux-devtools/app.
type monitor struct {
	*browsertest.Tab
	t *testing.T
}

// openMonitor opens the monitor and connects it as a user does.
func openMonitor(t *testing.T, server *devToolsServer) *monitor {
	t.Helper()
	m := &monitor{browsertest.Start(t).NewTab(t), t}
	m.Resize(1200, 800)
	port := server.port(t, 2)
	m.Navigate("http://localhost:" + port)
	m.wait(`document.querySelector('button[value=Settings]')`)
	m.Click(`button[value=Settings]`)
	m.Click(`#root_type-1`) // custom
	// The form reads the value that a user types, not the one that scripts set.
	m.Eval(fmt.Sprintf(`(() => {
		const field = document.querySelector('#root_port');
		Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, 'value').set.call(field, '%s');
		field.dispatchEvent(new Event('input', {bubbles: true}));
	})()`, port), nil)
	m.Click(`form button[type=submit]`)
	m.Click(`button[value=Actions]`)
	return m
}

// write writes an action into the monitor.
func (m *monitor) write(action string) {
	m.t.Helper()
	m.Click(`[aria-label="Show dispatcher"]`)
	m.wait(`document.querySelector('.cm-content')`)
	m.Eval(fmt.Sprintf(`(() => {
		document.querySelector('.cm-content').focus();
		document.execCommand('selectAll');
		document.execCommand('insertText', false, %q);
	})()`, action), nil)
}

// clickDispatch dispatches the action that the monitor has read last.
func (m *monitor) clickDispatch() {
	m.t.Helper()
	m.Eval(`[...document.querySelectorAll('button')].find(button => button.textContent === 'Dispatch').click()`, nil)
}

// hurry makes the monitor connect again soon.
func (m *monitor) hurry() {
	m.t.Helper()
	script, err := os.ReadFile("js/hurry.js")
	if err != nil {
		m.t.Fatal(err)
	}
	m.Eval(string(script), nil)
}

// listed returns a condition for wait: that the monitor lists an action.
func listed(action string) string {
	return fmt.Sprintf(`document.querySelector('[data-testid="actionListRows"]')?.textContent.includes(%q)`, action)
}

// wait waits until a JavaScript expression is true in the page. WaitText would
// lose its poll when the page replaces its frames, which are for its layout.
func (m *monitor) wait(condition string) {
	m.t.Helper()
	m.Eval(fmt.Sprintf(`new Promise(done => {
		const look = () => (%s) ? done() : setTimeout(look, 25);
		look();
	})`, condition), nil)
}

// app is an application with a counter, in Node.js.
type app struct {
	t      *testing.T
	stdin  io.Writer
	counts chan int
}

// startApp runs the application that a package monitors.
func startApp(t *testing.T, client, modules, port string) *app {
	t.Helper()
	cmd := proc.Node(t, "wall/js/devtools.mjs", "CLIENT="+client, "MODULES="+modules, "PORT="+port)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	a := &app{t, stdin, make(chan int, 64)}
	read := make(chan struct{})
	go func() {
		defer close(read)
		for lines := bufio.NewScanner(stdout); lines.Scan(); {
			var state struct{ Count *int }
			if err := json.Unmarshal(lines.Bytes(), &state); err == nil && state.Count != nil {
				a.counts <- *state.Count
			}
		}
	}()
	t.Cleanup(func() {
		stdin.Close() // which ends it
		<-read
		if err := cmd.Wait(); err != nil {
			t.Errorf("%s: %v\n%s", cmd, err, &stderr)
		}
	})
	return a
}

// dispatch dispatches an action that counts further.
func (a *app) dispatch(name string, by int) {
	a.t.Helper()
	if _, err := fmt.Fprintf(a.stdin, `{"type":%q,"by":%d}`+"\n", name, by); err != nil {
		a.t.Fatal(err)
	}
}

// nextCount returns the count after the next action or jump.
func (a *app) nextCount() int {
	a.t.Helper()
	select {
	case count := <-a.counts:
		return count
	case <-time.After(browsertest.Timeout):
		a.t.Fatal("the application does nothing")
		return 0
	}
}

// wantCount waits until the application has come to a count.
func (a *app) wantCount(n int) {
	a.t.Helper()
	var seen []int
	for count := a.nextCount(); count != n; count = a.nextCount() {
		if seen = append(seen, count); len(seen) == cap(a.counts) {
			a.t.Fatalf("the counts are %d, want %d", seen, n)
		}
	}
}
