//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"

	"github.com/socketcluster-go/socketcluster/internal/compat/proc"
)

// commandFlags is the load that runCommand puts on servers by the bench of the shipped
// command, except its duration.
var commandFlags = []string{
	"--connections", "1000", "--login", "login", "--login-data", `{"username":"bench"}`,
	"--call", "echo", "--call-data", `"0123456789"`, "--call-rate", "1000",
	"--channel", "news", "--subscribers", "100", "--publish-rate", "20",
	"--storm", "--quiet",
}

// runCommand measures the servers that speak SocketCluster by the bench of the shipped
// command, one after the other, and compares their reports. It writes the commands and
// what they print to out.
func runCommand(ctx context.Context, targets []target, l load, out io.Writer) error {
	binary, err := proc.Build(ctx, "../../cmd/socketcluster")
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	bench := func(args ...string) error {
		fmt.Fprintf(out, "$ socketcluster bench %s\n", strings.Join(args, " "))
		cmd := exec.CommandContext(ctx, binary, append([]string{"bench"}, args...)...)
		cmd.Dir, cmd.Stdout, cmd.Stderr = dir, out, out
		return cmd.Run()
	}
	reports := []string{"compare"}
	for _, t := range targets {
		if _, speaks := t.proto.(scProtocol); !speaks {
			continue
		}
		report := t.name + ".json"
		if err := withServer(ctx, t, nil, func(p *proc.Process) error {
			return bench(slices.Concat([]string{"ws://" + p.Addr()}, commandFlags, []string{"--duration", l.duration.String(), "--report", report})...)
		}); err != nil {
			return fmt.Errorf("%s: %w", t.name, err)
		}
		reports = append(reports, report)
	}
	if len(reports) != 3 {
		return errors.New("a comparison needs two servers that speak SocketCluster: go, js")
	}
	return bench(reports...)
}
