package main

import (
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/socketcluster-go/socketcluster/internal/ptytest"
)

// SIGTERM ends a client in a terminal as it ends a script, also after an interrupt and
// while a command runs. It runs itself in a process of its own.
func TestSignalEndsTerminal(t *testing.T) {
	const key = "SOCKETCLUSTER_TEST_TERMINAL"
	if os.Getenv(key) != "" {
		os.Args = []string{"socketcluster", "client"}
		main()
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for name, wait := range map[string]bool{"prompt": false, "command": true} {
		t.Run(name, func(t *testing.T) {
			cmd := exec.Command(exe, "-test.run=^TestSignalEndsTerminal$")
			cmd.Env = append(os.Environ(), key+"=1", "NO_COLOR=1", "XDG_STATE_HOME="+t.TempDir())
			var errOut strings.Builder
			cmd.Stderr = &errOut // what a process writes to its terminal just before its end may be lost
			p := ptytest.Start(t, cmd)
			p.Await("> ")
			p.Enter("wait 1h\r")
			p.AwaitSignals()
			p.Enter("\x03")
			p.Await("✗ interrupted")
			p.Await("> ")
			if wait {
				p.Enter("wait 1h\r")
				p.AwaitSignals()
			}
			if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			err := cmd.Wait()
			const says = "socketcluster: a signal has ended the terminal: terminated\n"
			if status := cmd.ProcessState.ExitCode(); status != 143 || errOut.String() != says {
				t.Errorf("status %d, %v, %q; want 143, %q", status, err, &errOut, says)
			}
		})
	}
}
