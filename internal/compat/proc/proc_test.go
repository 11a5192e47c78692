package proc_test

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/socketcluster-go/socketcluster/internal/compat/proc"
)

const childPackage = "./proc/testdata/child"

func child(t *testing.T, mode string) *exec.Cmd {
	return proc.Binary(proc.GoBuild(t, childPackage), "MODE="+mode)
}

func TestStartWaitsForTheAnnouncement(t *testing.T) {
	p := proc.Start(t, child(t, "good"))
	if p.Addr() != "127.0.0.1:1234" {
		t.Errorf("Addr is %q", p.Addr())
	}
	if p.Pid() <= 0 {
		t.Errorf("Pid is %d", p.Pid())
	}
	if err := p.Stop(); err != nil {
		t.Errorf("Stop: %v", err)
	}
	if err := p.Stop(); err != nil {
		t.Errorf("second Stop: %v", err)
	}
	logs := p.Logs()
	if !strings.Contains(logs, "child in mode good") || !strings.Contains(logs, "listening on") {
		t.Errorf("Logs miss stderr or stdout: %q", logs)
	}
}

func TestLaunchReportsAChildThatNeverListens(t *testing.T) {
	for mode, want := range map[string]string{"silent": "exit status 0", "badstart": "exit status 3"} {
		_, err := proc.Launch(t.Context(), child(t, mode))
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "child in mode "+mode) {
			t.Errorf("%s: got %v, want %q and the output of the child", mode, err, want)
		}
	}
	if _, err := proc.Launch(t.Context(), exec.Command("/nonexistent/binary")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing binary: got %v", err)
	}
}

func TestStopReportsABadEnd(t *testing.T) {
	p, err := proc.Launch(t.Context(), child(t, "badstop"))
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Stop(); err == nil || !strings.Contains(err.Error(), "exit status 5") {
		t.Errorf("badstop: got %v", err)
	}
	p, err = proc.Launch(t.Context(), child(t, "crash"))
	if err != nil {
		t.Fatal(err)
	}
	<-p.Exited()
	if err := p.Stop(); err == nil || !strings.Contains(err.Error(), "ended by itself: exit status 4") {
		t.Errorf("crash: got %v", err)
	}
}

func TestGoBuildBuildsOnce(t *testing.T) {
	first := proc.GoBuild(t, childPackage)
	before, err := os.Stat(first)
	if err != nil {
		t.Fatal(err)
	}
	second := proc.GoBuild(t, childPackage)
	after, err := os.Stat(second)
	if err != nil {
		t.Fatal(err)
	}
	if first != second || !os.SameFile(before, after) {
		t.Errorf("built twice: %s, %s", first, second)
	}
}

func TestBuildReportsCompilerErrors(t *testing.T) {
	if _, err := proc.Build(t.Context(), "./nonexistent"); err == nil || !strings.Contains(err.Error(), "nonexistent") {
		t.Errorf("got %v", err)
	}
}

func TestNodeServer(t *testing.T) {
	p := proc.Start(t, proc.Node(t, "bench/js/server.js", "PORT=0"))
	if !strings.HasPrefix(p.Addr(), "127.0.0.1:") {
		t.Errorf("Addr is %q", p.Addr())
	}
}
