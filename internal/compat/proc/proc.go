package proc

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Limits chosen for a loaded CI machine; a healthy process needs a fraction.
const (
	// StartTimeout is the time within which a process must announce its
	// address.
	StartTimeout = 30 * time.Second
	// StopTimeout is the time after SIGTERM after which a process is killed.
	StopTimeout = 10 * time.Second
	// MaxLogs is the maximum size of the output that is kept, in bytes.
	MaxLogs = 1 << 20
)

const announcement = "listening on "

// Process is a running child process.
type Process struct {
	cmd  *exec.Cmd
	addr string
	logs tail

	exited  chan struct{}
	exitErr error // valid once exited is closed

	stopOnce sync.Once
	stopErr  error
}

// Start launches cmd for the duration of a test. The test fails when the
// process does not announce itself, or does not end with exit code 0 when the
// test is over. The output of the process is logged when the test failed.
func Start(t testing.TB, cmd *exec.Cmd) *Process {
	t.Helper()
	p, err := Launch(t.Context(), cmd)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Stop(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("output of %s:\n%s", cmd, p.Logs())
		}
	})
	return p
}

// Launch starts cmd, whose Stdout and Stderr must be nil, and waits for its
// announcement. ctx bounds the start only. The caller must call Stop.
func Launch(ctx context.Context, cmd *exec.Cmd) (*Process, error) {
	p := &Process{cmd: cmd, exited: make(chan struct{})}
	stdout, stdoutWriter := io.Pipe()
	cmd.Stdout, cmd.Stderr = stdoutWriter, &p.logs
	cmd.WaitDelay = StopTimeout // a grandchild may hold the output open
	dieWithParent(cmd)

	started := make(chan error, 1)
	announced := make(chan string, 1)
	go func() {
		// The kernel ties "die with parent" to the thread that started the
		// child, so this goroutine keeps that thread until the child is gone.
		lockThread()
		err := cmd.Start()
		started <- err
		if err != nil {
			return
		}
		drained := make(chan struct{})
		go func() {
			defer close(drained)
			readAnnouncement(io.TeeReader(stdout, &p.logs), announced)
		}()
		p.exitErr = cmd.Wait()
		stdoutWriter.Close()
		<-drained
		close(p.exited)
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", cmd, err)
	}

	ctx, cancel := context.WithTimeout(ctx, StartTimeout)
	defer cancel()
	select {
	case p.addr = <-announced:
		return p, nil
	case <-p.exited:
	case <-ctx.Done():
		cmd.Process.Kill()
		<-p.exited
		return nil, fmt.Errorf("%s did not print %q: %w\n%s", cmd, announcement, ctx.Err(), p.Logs())
	}
	select {
	case p.addr = <-announced: // it listened, if only for a moment
		return p, nil
	default:
		return nil, fmt.Errorf("%s ended before it listened: %w\n%s", cmd, exitReason(p.exitErr), p.Logs())
	}
}

// readAnnouncement reads r to its end and sends the address of the first
// announcement in it.
func readAnnouncement(r io.Reader, announced chan<- string) {
	lines := bufio.NewReader(r)
	for seen := false; ; {
		line, err := lines.ReadString('\n')
		if addr, ok := strings.CutPrefix(line, announcement); ok && err == nil && !seen {
			seen = true
			announced <- strings.TrimSpace(addr)
		}
		if err != nil {
			return
		}
	}
}

// Addr returns the host:port that the process announced.
func (p *Process) Addr() string { return p.addr }

// Pid returns the id of the process.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Logs returns what the process has printed so far.
func (p *Process) Logs() string { return p.logs.String() }

// Exited is closed when the process has ended, for whatever reason.
func (p *Process) Exited() <-chan struct{} { return p.exited }

// Stop sends SIGTERM and waits. It returns an error unless the process was
// still running and ended with exit code 0. Later calls return the same.
func (p *Process) Stop() error {
	p.stopOnce.Do(func() { p.stopErr = p.stop() })
	return p.stopErr
}

func (p *Process) stop() error {
	select {
	case <-p.exited:
		return fmt.Errorf("%s ended by itself: %w", p.cmd, exitReason(p.exitErr))
	default:
	}
	p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.exited:
	case <-time.After(StopTimeout):
		p.cmd.Process.Kill()
		<-p.exited
		return fmt.Errorf("%s ignored SIGTERM for %v", p.cmd, StopTimeout)
	}
	if p.exitErr != nil {
		return fmt.Errorf("%s ended badly on SIGTERM: %w", p.cmd, p.exitErr)
	}
	return nil
}

func exitReason(err error) error {
	if err == nil {
		return errors.New("exit status 0")
	}
	return err
}

// tail keeps the last MaxLogs bytes written to it.
type tail struct {
	mu  sync.Mutex
	buf []byte
}

func (l *tail) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.buf = append(l.buf, b...)
	if over := len(l.buf) - MaxLogs; over > 0 {
		l.buf = append(l.buf[:0], l.buf[over:]...)
	}
	return len(b), nil
}

func (l *tail) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.buf)
}
