package wall

import (
	"bufio"
	"bytes"
	"encoding/json"
	"maps"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/internal/compat/proc"
	"github.com/socketcluster-go/socketcluster/wire"
	"github.com/socketcluster-go/socketcluster/wire/minbin"
)

// hangLimit ends a program that does not end by itself, as it does after some
// time for each step.
const hangLimit = 5 * time.Minute

// client is a program of the wall.
type client struct {
	name, version, with, language string // with is what else it is run with
	protocol                      wire.Version
	path                          string // where it looks for the server, if not at the default path
	minbin                        bool   // speak with the codec of sc-codec-min-bin
	command                       func(t *testing.T, c client) *exec.Cmd
	fails                         map[string]string // why it does not pass steps, by their names
}

// npmClient returns a client of npm, by the name that its package has among the
// pinned ones.
func npmClient(alias string) func(*testing.T, client) *exec.Cmd {
	return func(t *testing.T, c client) *exec.Cmd {
		interfaces := map[wire.Version]string{wire.Version1: "clients14", wire.Version2: "clients"}
		cmd := proc.Node(t, "wall/js/client.mjs", "CLIENT="+alias, "STEPS="+interfaces[c.protocol])
		if c.minbin {
			cmd.Env = append(cmd.Env, "CODEC=sc-codec-min-bin")
		}
		return cmd
	}
}

// goClient returns a client that the program in goclients knows by a name. Its
// data races are its own.
func goClient(name string) func(*testing.T, client) *exec.Cmd {
	return func(t *testing.T, _ client) *exec.Cmd {
		cmd := proc.Binary(proc.GoBuild(t, "wall/goclients"), "GORACE=exitcode=0")
		cmd.Args = append(cmd.Args, name)
		return cmd
	}
}

// run runs the scenario, and fails the test where what is seen is not what is
// listed.
func (c client) run(t *testing.T) row {
	t.Helper()
	var codec wire.Codec
	if c.minbin {
		codec = minbin.Codec{}
	}
	s := start(t, socketcluster.Config{ProtocolVersion: c.protocol, Path: c.path, Codec: codec})
	cmd := c.command(t, c)
	failing := slices.Collect(maps.Keys(c.fails))
	cmd.Env = append(cmd.Environ(), "PORT="+s.port, "FAILING="+strings.Join(failing, ","))
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kill := time.AfterFunc(hangLimit, func() { cmd.Process.Kill() })
	defer kill.Stop()

	got := make(map[string]string) // errors by step, "" for success
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		var l struct{ Step, Error string }
		if err := json.Unmarshal(lines.Bytes(), &l); err != nil || l.Step == "" {
			continue // what the client itself prints
		}
		got[l.Step] = l.Error
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("%s: %v\n%s", cmd, err, &stderr)
	}
	r := row{
		about: []string{"`" + c.name + "`" + c.with, c.version, c.language, strconv.Itoa(int(c.protocol))},
		works: make(map[string]bool), fails: c.fails,
	}
	for _, step := range clientTable.steps {
		text, seen := got[step.name]
		r.works[step.name] = seen && text == ""
		switch why := c.fails[step.name]; {
		case !seen:
			t.Errorf("%s: the program has not reported it\n%s", step.name, &stderr)
		case text != "" && why == "":
			t.Errorf("%s fails: %s\n%s", step.name, text, &stderr)
		case text == "" && why != "":
			t.Errorf("%s works, although it is listed as failing: %s", step.name, why)
		}
	}
	return r
}
