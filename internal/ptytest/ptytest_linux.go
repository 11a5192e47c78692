// Package ptytest runs commands in a terminal, for tests. It is for Linux.
package ptytest

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Terminal is a pseudo terminal, with a process in it.
type Terminal struct {
	t      *testing.T
	keys   *os.File // what is typed, and what the process prints
	ended  chan struct{}
	mu     sync.Mutex
	screen string // what it has printed since the last Await
}

// Start runs a command in a pseudo terminal, on all streams; that of errors only if the command has none.
func Start(t *testing.T, cmd *exec.Cmd) *Terminal {
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
	cmd.Stdin, cmd.Stdout = tty, tty
	if cmd.Stderr == nil {
		cmd.Stderr = tty
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true} // so that ctrl-C is a signal to it
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &Terminal{t: t, keys: keys, ended: make(chan struct{})}
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

// Enter types keys.
func (p *Terminal) Enter(keys string) {
	p.t.Helper()
	if _, err := p.keys.WriteString(keys); err != nil {
		p.t.Fatal(err)
	}
}

// poll waits for a condition.
func (p *Terminal) poll(what string, condition func() bool) {
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

// Await waits until the process has printed a text, after what was awaited before.
func (p *Terminal) Await(text string) {
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

// AwaitSignals waits until ctrl-C is a signal, and not a key.
func (p *Terminal) AwaitSignals() {
	p.t.Helper()
	p.poll("command runs", func() bool {
		state, err := unix.IoctlGetTermios(int(p.keys.Fd()), unix.TCGETS)
		return err == nil && state.Lflag&unix.ISIG != 0
	})
}
