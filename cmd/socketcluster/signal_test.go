package main

import (
	"bufio"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/socketcluster-go/socketcluster/internal/sctest"
)

// A second signal does not wait for anybody. It runs itself in a process of its
// own.
func TestSecondSignal(t *testing.T) {
	const key = "SOCKETCLUSTER_TEST_SIGNAL"
	if os.Getenv(key) != "" {
		os.Args = []string{"socketcluster", "--addr", "127.0.0.1:0", "--shutdown-timeout", "25s"}
		main()
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe, "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), key+"=1")
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill()
	banner, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	// A client that does not answer the close frame delays the shutdown, once the
	// server knows it: an upgrade may be answered a moment before.
	addr := strings.Trim(strings.TrimPrefix(banner, "SocketCluster for Go: http://"), "/\n")
	sctest.Connect(t, sctest.TCP(addr), "")
	cmd.Process.Signal(syscall.SIGTERM)
	for log := bufio.NewScanner(stderr); log.Scan() && !strings.Contains(log.Text(), "shutting down"); {
	}
	ended := make(chan error, 1)
	go func() {
		io.Copy(io.Discard, stdout)
		ended <- cmd.Wait()
	}()
	for {
		cmd.Process.Signal(syscall.SIGTERM)
		select {
		case err := <-ended:
			if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || !status.Signaled() {
				t.Errorf("ended with %v, want the signal", err)
			}
			return
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// A signal ends a script with the status that shells give it, and says so. It runs itself
// in a process of its own.
func TestSignalEndsScript(t *testing.T) {
	const key = "SOCKETCLUSTER_TEST_SCRIPT"
	if file := os.Getenv(key); file != "" {
		os.Args = []string{"socketcluster", "client", "--file", file}
		main()
	}
	file := filepath.Join(t.TempDir(), "test.sc")
	if err := os.WriteFile(file, []byte("echo begun\nwait 1h\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		signal syscall.Signal
		status int
		says   string
	}{
		{syscall.SIGINT, 130, "socketcluster: a signal has ended the script: interrupt\n"},
		{syscall.SIGTERM, 143, "socketcluster: a signal has ended the script: terminated\n"},
	} {
		t.Run(test.signal.String(), func(t *testing.T) {
			cmd := exec.Command(exe, "-test.run=^TestSignalEndsScript$")
			cmd.Env = append(os.Environ(), key+"="+file)
			var errOut strings.Builder
			cmd.Stderr = &errOut
			stdout, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			defer cmd.Process.Kill()
			if line, err := bufio.NewReader(stdout).ReadString('\n'); line != "begun\n" {
				t.Fatal(line, err)
			}
			cmd.Process.Signal(test.signal)
			err = cmd.Wait()
			if status := cmd.ProcessState.ExitCode(); status != test.status || errOut.String() != test.says {
				t.Errorf("status %d, %v, %q; want %d, %q", status, err, &errOut, test.status, test.says)
			}
		})
	}
}

// A signal ends a command that reads the standard input.
func TestSignalEndsRead(t *testing.T) {
	t.Setenv("SOCKETCLUSTER_AUTH_KEY", "a key for the tests of signals, which is long enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(signalError(syscall.SIGTERM))
	for _, args := range [][]string{{"token", "sign"}, {"token", "verify"}, {"check"}, {"check", "--unverified"}} {
		in, typed := io.Pipe() // nobody types
		defer typed.Close()
		var errOut strings.Builder
		status := exit(run(ctx, args, streams{in, io.Discard, io.Discard}), &errOut)
		if want := "socketcluster: a signal has ended the read of the standard input: terminated\n"; status != 143 || errOut.String() != want {
			t.Errorf("%v: status %d, %q", args, status, &errOut)
		}
	}
}
