//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// cpuTime returns the CPU time that all threads of a process have used,
// including those that have ended. The CPU clock of the process counts the same
// time as utime and stime in /proc/<pid>/stat, in nanoseconds instead of ticks
// of 10 ms, which would be too coarse for an idle server.
func cpuTime(pid int) (time.Duration, error) {
	// The id of the clock as clock_getcpuclockid(3) makes it: the inverted
	// process id and, in the low bits, the kind "time scheduled".
	const scheduled = 2
	clock := int32(^pid<<3 | scheduled)
	var ts unix.Timespec
	if err := unix.ClockGettime(clock, &ts); err != nil {
		return 0, fmt.Errorf("CPU clock of process %d: %w", pid, err)
	}
	return time.Duration(ts.Nano()), nil
}

// residentBytes returns VmRSS of a process.
func residentBytes(pid int) (int64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	return parseResident(status)
}

func parseResident(status []byte) (int64, error) {
	for line := range bytes.Lines(status) {
		if rest, ok := bytes.CutPrefix(line, []byte("VmRSS:")); ok {
			fields := bytes.Fields(rest)
			if len(fields) != 2 || string(fields[1]) != "kB" {
				break
			}
			kb, err := strconv.ParseInt(string(fields[0]), 10, 64)
			return kb << 10, err
		}
	}
	return 0, errors.New("no VmRSS in the status of the process")
}

// Memory counts as settled after settledReadings readings within settledSpread
// bytes of each other. A server that never settles gets settleLimit readings,
// and the last one counts.
const (
	settledReadings = 6
	settledSpread   = 64 << 10
	settleLimit     = 60
)

// settledResident reads VmRSS once per interval until it is stable.
func settledResident(ctx context.Context, pid int, interval time.Duration) (int64, error) {
	var low, high, last int64
	equal := 0
	for range settleLimit {
		rss, err := residentBytes(pid)
		if err != nil {
			return 0, err
		}
		low, high, last = min(low, rss), max(high, rss), rss
		if equal == 0 || high-low > settledSpread {
			low, high, equal = rss, rss, 0
		}
		if equal++; equal == settledReadings {
			break
		}
		if err := sleep(ctx, interval); err != nil {
			return 0, err
		}
	}
	return last, nil
}

// settledCPU waits until the process uses hardly any CPU time, but not longer
// than settleLimit intervals.
func settledCPU(ctx context.Context, pid int, interval time.Duration) error {
	last, err := cpuTime(pid)
	for range settleLimit {
		if err != nil {
			return err
		}
		if err := sleep(ctx, interval); err != nil {
			return err
		}
		before := last
		if last, err = cpuTime(pid); err == nil && last-before < interval/50 {
			return nil
		}
	}
	return err
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}

// raiseFileLimit makes sure that this process and the servers that it starts
// may open n files. Setting the limit, even to what it is, also makes the Go
// runtime hand it on to child processes.
func raiseFileLimit(n uint64) error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	want := syscall.Rlimit{Cur: max(n, limit.Cur), Max: max(n, limit.Max)}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &want); err != nil {
		return fmt.Errorf("need %d open files, the limit is %d (see ulimit -Hn): %w", n, limit.Max, err)
	}
	return nil
}
