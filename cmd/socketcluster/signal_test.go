package main

import (
	"bufio"
	"io"
	"os"
	"os/exec"
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
