package demo_test

import (
	"fmt"
	"html"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/socketcluster-go/socketcluster/internal/compat/browsertest"
	"github.com/socketcluster-go/socketcluster/internal/compat/proc"
)

// terminal is a real terminal, played by tmux.
type terminal struct {
	t      *testing.T
	socket string
}

// openTerminal runs a command in a terminal of its own, until the test ends.
func openTerminal(t *testing.T, width, height int, env []string, command ...string) *terminal {
	t.Helper()
	term := &terminal{t, filepath.Join(t.TempDir(), "tmux")}
	args := []string{"-f", "/dev/null", "new-session", "-d", "-x", fmt.Sprint(width), "-y", fmt.Sprint(height)}
	for _, e := range env {
		args = append(args, "-e", e)
	}
	term.tmux(append(args, command...)...)
	t.Cleanup(func() { _ = exec.Command("tmux", "-S", term.socket, "kill-server").Run() }) // it may have ended
	return term
}

func (term *terminal) tmux(args ...string) string {
	term.t.Helper()
	out, err := exec.Command("tmux", append([]string{"-u", "-S", term.socket}, args...)...).CombinedOutput()
	if err != nil {
		term.t.Fatalf("tmux %v: %v: %s", args, err, out)
	}
	return string(out)
}

// keys presses keys by their names in tmux.
func (term *terminal) keys(names ...string) {
	term.t.Helper()
	term.tmux(append([]string{"send-keys"}, names...)...)
}

// enter types a line.
func (term *terminal) enter(line string) {
	term.t.Helper()
	term.tmux("send-keys", "-l", line)
	term.keys("Enter")
}

func (term *terminal) screen() string { return term.tmux("capture-pane", "-p") }

// await waits until the screen has a text.
func (term *terminal) await(text string) {
	term.t.Helper()
	for i := 0; !strings.Contains(term.screen(), text); i++ {
		if i == 1000 {
			term.t.Fatalf("the terminal does not show %q, but\n%s", text, term.screen())
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// The client in a terminal: what the server sends appears above the line that is
// being typed, keys complete and bring back lines, an interrupt ends a command,
// and no password is kept. With DEMO_SCREENSHOTS a picture is kept in that folder.
func TestTerminal(t *testing.T) {
	t.Parallel()
	d := start(t)
	state := t.TempDir()
	term := openTerminal(t, 96, 24, []string{"XDG_STATE_HOME=" + state},
		proc.Binary(proc.GoBuild(t, "../../cmd/socketcluster")).Path, "client", strings.Replace(d.url, "http", "ws", 1))
	term.await("connected to")
	term.await("●>")
	term.enter("subscribe chat wait-for-auth")
	term.await("●> subscribe chat wait-for-auth")
	term.enter(fmt.Sprintf(`login login {"username":"alice","password":"%s"}`, d.users["alice"]))
	term.await(`« subscribe {"channel":"chat"}`)
	term.await("● alice>")
	term.tmux("send-keys", "-l", "pub")
	term.keys("Tab")
	term.await("● alice> publish")
	term.tmux("send-keys", "-l", "ch")
	term.keys("Tab")
	term.await("● alice> publish chat")
	term.enter(`{"text":"Hello from a terminal"}`)
	term.await(`« publish chat {`)
	term.enter("invok login")
	term.await("is invoke meant?")
	term.enter("wait 1h")
	term.await("● alice> wait 1h")
	// The interrupt counts once the command runs.
	for i := 0; !strings.Contains(term.screen(), "interrupted"); i++ {
		if i == 100 {
			t.Fatal(term.screen())
		}
		term.keys("C-c")
		time.Sleep(50 * time.Millisecond)
	}
	term.keys("Up")
	term.await("● alice> wait 1h\n")
	term.keys("Up")
	term.await("● alice> invok login")
	term.keys("C-u")
	term.enter("expect publish chat")
	term.await("● alice> expect publish chat")
	term.picture(t, "console.png")
	history, err := os.ReadFile(filepath.Join(state, "socketcluster", "history"))
	if err != nil {
		t.Fatal(err)
	}
	if want := "subscribe chat wait-for-auth\npublish chat {\"text\":\"Hello from a terminal\"}\n"; !strings.HasPrefix(string(history), want) {
		t.Errorf("the history is %q, want %q and more", history, want)
	}
	term.enter("quit")
	for i := 0; ; i++ {
		if exec.Command("tmux", "-S", term.socket, "has-session").Run() != nil {
			break
		}
		if i == 1000 {
			t.Fatal("the client does not end")
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// colours are the control sequences that the client prints, and how a page shows
// them.
var colours = map[string]string{"31": "#f14c4c", "32": "#23d18b", "33": "#e5e510", "36": "#29b8db", "90": "#8a8a8a"}

var sequence = regexp.MustCompile("\x1b\\[([0-9;]*)m")

// picture draws the screen as a page, and keeps a picture of it.
func (term *terminal) picture(t *testing.T, file string) {
	t.Helper()
	dir := os.Getenv("DEMO_SCREENSHOTS")
	if dir == "" {
		dir = t.TempDir()
	}
	screen := strings.TrimRight(term.tmux("capture-pane", "-p", "-e"), "\n")
	var b strings.Builder
	b.WriteString(`<!DOCTYPE html><meta charset="utf-8"><style>body{margin:0;background:#1e1e1e;color:#ddd;font:14px/1.35 monospace;padding:12px;white-space:pre}</style><body><span>`)
	end := 0
	for _, m := range sequence.FindAllStringSubmatchIndex(screen, -1) {
		b.WriteString(html.EscapeString(screen[end:m[0]]))
		fmt.Fprintf(&b, `</span><span style="color:%s">`, colours[screen[m[2]:m[3]]])
		end = m[1]
	}
	b.WriteString(html.EscapeString(screen[end:]) + "</span>")
	page := filepath.Join(t.TempDir(), "screen.html")
	if err := os.WriteFile(page, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	tab := browsertest.Start(t).NewTab(t)
	tab.Resize(860, 24+19*(1+strings.Count(screen, "\n")))
	tab.Navigate("file://" + page)
	tab.Screenshot(filepath.Join(dir, file))
}
