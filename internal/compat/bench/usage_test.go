//go:build linux

package main

import (
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/socketcluster-go/socketcluster/internal/compat/proc"
)

// The CPU clock of a process must count what getrusage counts.
func TestCPUTimeAgreesWithGetrusage(t *testing.T) {
	usage := func() time.Duration {
		var r syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
			t.Fatal(err)
		}
		return time.Duration(r.Utime.Nano() + r.Stime.Nano())
	}
	for sum, start := 0, usage(); usage()-start < 50*time.Millisecond; {
		sum++
	}
	before := usage()
	got, err := cpuTime(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	after := usage()
	// getrusage is scaled from scheduler ticks, hence a margin.
	const margin = 20 * time.Millisecond
	if got < before-margin || got > after+margin {
		t.Errorf("CPU clock is %v, getrusage says %v to %v", got, before, after)
	}
}

func TestCPUTimeOfAMissingProcess(t *testing.T) {
	cmd := exec.Command("true")
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	if _, err := cpuTime(cmd.Process.Pid); err == nil {
		t.Error("no error for a process that has ended")
	}
}

func TestParseResident(t *testing.T) {
	got, err := parseResident([]byte("Name:\tserver\nVmHWM:\t 99 kB\nVmRSS:\t    2048 kB\nThreads:\t4\n"))
	if err != nil || got != 2<<20 {
		t.Errorf("got %d, %v", got, err)
	}
	for _, status := range []string{"", "VmRSS:\n", "VmRSS: 12 MB\n", "VmRSS: many kB\n"} {
		if _, err := parseResident([]byte(status)); err == nil {
			t.Errorf("no error for %q", status)
		}
	}
}

func TestResidentBytesOfAServer(t *testing.T) {
	p := proc.Start(t, proc.Node(t, "bench/js/server.js"))
	got, err := settledResident(t.Context(), p.Pid(), time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	if got < 10<<20 || got > 1<<30 {
		t.Errorf("a node process has %d bytes", got)
	}
}
