package console_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"testing"

	"github.com/socketcluster-go/socketcluster/cmd/socketcluster/console"
	"github.com/socketcluster-go/socketcluster/internal/ptytest"
)

// Somebody types in a terminal: lines, with the Tab key, and ctrl-C while a command
// runs. The console ends by quit, ctrl-D and ctrl-C. It runs in a process of its own,
// which runs this same test, as a terminal sends signals to processes.
func TestInteract(t *testing.T) {
	const key = "SOCKETCLUSTER_TEST_CONSOLE"
	if url := os.Getenv(key); url != "" {
		signal.Notify(make(chan os.Signal, 1), os.Interrupt) // as the command does
		err := console.Interact(context.Background(), console.Options{URL: url}, os.Stdin, os.Stdout, os.Getenv(key+"_HISTORY"))
		fmt.Fprintf(os.Stderr, "ended with %v", err)
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
			var errOut strings.Builder
			cmd.Stderr = &errOut // what a process writes to its terminal just before its end may be lost
			p := ptytest.Start(t, cmd)
			p.Await("connected to")
			p.Await("●> ")
			p.Enter("inv\t")
			p.Await("invoke ")
			p.Enter("echo {\"a\":1}\r")
			p.Await(`→ {"a":1}`)
			p.Await("●> ")
			p.Enter("login login {\"username\":\"alice\",\"password\":\"secret\"}\r")
			p.Await(`authenticated {"username":"alice"`)
			p.Await("● alice> ")
			p.Enter("wait 1h\r")
			p.AwaitSignals()
			p.Enter("\x03")
			p.Await("✗ interrupted")
			p.Await("● alice> ")
			p.Enter("invok\r")
			p.Await("is invoke meant?")
			p.Await("● alice> ")
			p.Enter("transmit go 1\r") // the server closes the connection while nothing is typed
			p.Await("« disconnect")
			p.Await("○ alice> ")
			p.Enter(end)
			if err := cmd.Wait(); err != nil || errOut.String() != "ended with <nil>" {
				t.Error(err, errOut.String())
			}
			kept, err := os.ReadFile(history)
			if want := "invoke echo {\"a\":1}\nwait 1h\ninvok\n"; err != nil || !strings.HasPrefix(string(kept), want) || strings.Contains(string(kept), "secret") {
				t.Errorf("the history is %q, %v", kept, err)
			}
		})
	}
}
