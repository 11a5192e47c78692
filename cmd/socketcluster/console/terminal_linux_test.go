package console_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/socketcluster-go/socketcluster/cmd/socketcluster/console"
)

// pty is a pseudo terminal, with a process in it.
type pty struct {
	t      *testing.T
	keys   *os.File // what is typed, and what the process prints
	ended  chan struct{}
	mu     sync.Mutex
	screen string // what it has printed since the last await
}

// openPty runs a command in a pseudo terminal.
func openPty(t *testing.T, cmd *exec.Cmd) *pty {
	t.Helper()
	keys, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { keys.Close() })
	fd := int(keys.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 200}); err != nil {
		t.Fatal(err)
	}
	tty, err := os.OpenFile(fmt.Sprint("/dev/pts/", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer tty.Close()
	cmd.Stdin, cmd.Stdout, cmd.Stderr = tty, tty, tty
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true} // so that ctrl-C is a signal to it
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &pty{t: t, keys: keys, ended: make(chan struct{})}
	go func() {
		defer close(p.ended)
		for b := make([]byte, 1024); ; {
			n, err := keys.Read(b)
			p.mu.Lock()
			p.screen += string(b[:n])
			p.mu.Unlock()
			if err != nil {
				return // the process has ended
			}
		}
	}()
	return p
}

func (p *pty) enter(keys string) {
	p.t.Helper()
	if _, err := p.keys.WriteString(keys); err != nil {
		p.t.Fatal(err)
	}
}

// poll waits for a condition.
func (p *pty) poll(what string, condition func() bool) {
	p.t.Helper()
	for i := 0; !condition(); i++ {
		select {
		case <-p.ended:
			i = 60_000
		case <-time.After(time.Millisecond):
		}
		if i >= 60_000 && !condition() {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.t.Fatalf("no %s:\n%q", what, p.screen)
		}
	}
}

// await waits until the process has printed a text, after what was awaited before.
func (p *pty) await(text string) {
	p.t.Helper()
	p.poll(text, func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		_, after, ok := strings.Cut(p.screen, text)
		if ok {
			p.screen = after
		}
		return ok
	})
}

// awaitSignals waits until ctrl-C is a signal, and not a key.
func (p *pty) awaitSignals() {
	p.t.Helper()
	p.poll("command runs", func() bool {
		state, err := unix.IoctlGetTermios(int(p.keys.Fd()), unix.TCGETS)
		return err == nil && state.Lflag&unix.ISIG != 0
	})
}

// Somebody types in a terminal: lines, with the Tab key, and ctrl-C while a command
// runs. The console ends by quit, ctrl-D and ctrl-C. It runs in a process of its own,
// which runs this same test, as a terminal sends signals to processes.
func TestInteract(t *testing.T) {
	const key = "SOCKETCLUSTER_TEST_CONSOLE"
	if url := os.Getenv(key); url != "" {
		signal.Notify(make(chan os.Signal, 1), os.Interrupt) // as the command does
		err := console.Interact(context.Background(), console.Options{URL: url}, os.Stdin, os.Stdout, os.Getenv(key+"_HISTORY"))
		fmt.Printf("ended with %v\n", err)
		os.Exit(0)
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	url := serve(t)
	for name, end := range map[string]string{"quit": "quit\r", "ctrl-D": "\x04", "ctrl-C": "\x03"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			history := filepath.Join(t.TempDir(), "history")
			cmd := exec.Command(exe, "-test.run=^TestInteract$")
			cmd.Env = append(os.Environ(), key+"="+url, key+"_HISTORY="+history)
			p := openPty(t, cmd)
			p.await("connected to")
			p.await("●> ")
			p.enter("inv\t")
			p.await("invoke ")
			p.enter("echo {\"a\":1}\r")
			p.await(`→ {"a":1}`)
			p.await("●> ")
			p.enter("login login {\"username\":\"alice\",\"password\":\"secret\"}\r")
			p.await(`authenticated {"username":"alice"`)
			p.await("● alice> ")
			p.enter("wait 1h\r")
			p.awaitSignals()
			p.enter("\x03")
			p.await("✗ interrupted")
			p.await("● alice> ")
			p.enter("invok\r")
			p.await("is invoke meant?")
			p.await("● alice> ")
			p.enter(end)
			p.await("ended with <nil>")
			if err := cmd.Wait(); err != nil {
				t.Error(err)
			}
			kept, err := os.ReadFile(history)
			if want := "invoke echo {\"a\":1}\nwait 1h\ninvok\n"; err != nil || !strings.HasPrefix(string(kept), want) || strings.Contains(string(kept), "secret") {
				t.Errorf("the history is %q, %v", kept, err)
			}
		})
	}
}
