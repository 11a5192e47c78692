//go:build linux

package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/socketcluster-go/socketcluster/internal/compat/proc"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// run parses args, measures and writes the report to out. Progress goes to log.
func run(ctx context.Context, args []string, out, log io.Writer) error {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(log)
	duration := flags.Duration("duration", 5*time.Second, "length of each measured window")
	connections := flags.Int("connections", 10_000, "number of idle connections; half of them where they are pinged or return")
	rounds := flags.Int("rounds", 3, "rounds over the servers; the median counts")
	only := flags.String("only", "", "measure these servers only, separated by commas: go, centrifuge, js")
	filter := flags.String("run", "", "measure only the scenarios whose name matches this regular expression")
	curvesDir := flags.String("curves", "", "draw cost curves into this directory instead; -run and the others select as ever")
	clustered := flags.Bool("cluster", false, "measure three nodes as a cluster instead; -run and the others select as ever")
	command := flags.Bool("command", false, "measure by the bench of the shipped command instead; -duration and -only select as ever")
	gated := flags.Bool("gate", false, "only check that no operation costs more than it should, for CI")
	asJSON := flags.Bool("json", false, "report as JSON instead of a markdown table")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *duration <= 0 || *connections < 1 || *rounds < 1 {
		return fmt.Errorf("-duration, -connections and -rounds must be positive")
	}
	re, err := regexp.Compile(*filter)
	if err != nil {
		return err
	}
	targets, err := selectTargets(*only)
	if err != nil {
		return err
	}
	l := defaultLoad(*duration, *connections)
	const otherFiles = 200
	files := l.connections
	if *curvesDir != "" {
		files = mostConnections
	}
	if *clustered {
		files = defaultClusterLoad(l).members
	}
	if err := raiseFileLimit(uint64(files + otherFiles)); err != nil {
		return err
	}
	if *gated {
		return gate(ctx, out, log)
	}
	if *command {
		return runCommand(ctx, targets, l, out)
	}
	if *clustered {
		return runCluster(ctx, re, targets, defaultClusterLoad(l), *rounds, *asJSON, out, log)
	}
	if *curvesDir != "" {
		return runCurves(ctx, *curvesDir, re, targets, l, *rounds, out, log)
	}
	selected, err := matching(re, scenarios, func(s scenario) string { return s.name })
	if err != nil {
		return err
	}
	rep := report{Machine: describeMachine(ctx), Rounds: *rounds}
	for _, s := range selected {
		r, err := measure(ctx, s, targets, l, *rounds, log)
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		rep.Results = append(rep.Results, r)
	}
	if *asJSON {
		return writeJSON(out, rep)
	}
	return rep.writeMarkdown(out)
}

// target is a server program to measure.
type target struct {
	name    string
	proto   protocol
	command func(ctx context.Context, env ...string) (*exec.Cmd, error)
	cluster func(ctx context.Context, l clusterLoad, env ...string) (*nodes, error) // nil if it has none
}

// allTargets has the targets in the order of the columns of the report.
var allTargets = []target{
	{"go", scProtocol{}, goProgram("./contract"), startNodes},
	{"centrifuge", centrifugeProtocol{}, goProgram("./bench/centrifuge"), nil},
	{"js", scProtocol{}, func(ctx context.Context, env ...string) (*exec.Cmd, error) {
		return proc.NodeCommand(ctx, "bench/js/server.js", env...)
	}, startWorkers},
}

func goProgram(pkg string) func(ctx context.Context, env ...string) (*exec.Cmd, error) {
	return func(ctx context.Context, env ...string) (*exec.Cmd, error) {
		binary, err := proc.Build(ctx, pkg)
		if err != nil {
			return nil, err
		}
		return proc.Binary(binary, env...), nil
	}
}

// selectTargets returns the targets that only names, or all if it is empty.
func selectTargets(only string) ([]target, error) {
	if only == "" {
		return allTargets, nil
	}
	var selected []target
	for _, name := range strings.Split(only, ",") {
		i := slices.IndexFunc(allTargets, func(t target) bool { return t.name == name })
		if i < 0 {
			return nil, fmt.Errorf("-only %q: there is no server %q", only, name)
		}
		selected = append(selected, allTargets[i])
	}
	return selected, nil
}

// matching returns those of all whose name matches, which must be one at least.
func matching[T any](re *regexp.Regexp, all []T, name func(T) string) (selected []T, err error) {
	for _, v := range all {
		if re.MatchString(name(v)) {
			selected = append(selected, v)
		}
	}
	if len(selected) == 0 {
		return nil, fmt.Errorf("nothing to measure matches %q", re)
	}
	return selected, nil
}

// measure runs one scenario for the servers in turn.
func measure(ctx context.Context, s scenario, targets []target, l load, rounds int, log io.Writer) (result, error) {
	r := result{Name: s.name, Title: s.title(l), Unit: s.unit, Rounds: make(map[string][]sample)}
	for round := range rounds {
		for _, t := range targets {
			fmt.Fprintf(log, "%s, round %d of %d, %s\n", s.name, round+1, rounds, t.name)
			one, err := measureOnce(ctx, s, t, l)
			if err != nil {
				return result{}, fmt.Errorf("%s server: %w", t.name, err)
			}
			r.Rounds[t.name] = append(r.Rounds[t.name], one)
		}
	}
	r.summarize()
	return r, nil
}

func measureOnce(ctx context.Context, s scenario, t target, l load) (sample, error) {
	var env []string
	if s.env != nil {
		env = s.env(l)
	}
	var result sample
	err := withServer(ctx, t, env, func(p *proc.Process) (err error) {
		result, err = s.run(ctx, server{p, endpoint{addr: p.Addr(), proto: t.proto, tls: s.tls, deflate: s.deflate}}, l)
		return err
	})
	return result, err
}

// withServer calls f with a server that runs, and ends it.
func withServer(ctx context.Context, t target, env []string, f func(p *proc.Process) error) error {
	cmd, err := t.command(ctx, append([]string{"PORT=0", "AUTH_KEY=" + authKey, "PUBLISH_RATE=" + strconv.Itoa(publishRate)}, env...)...)
	if err != nil {
		return err
	}
	p, err := proc.Launch(ctx, cmd)
	if err != nil {
		return err
	}
	err = f(p)
	stopErr := p.Stop()
	if err == nil {
		err = stopErr
	}
	if err != nil {
		return fmt.Errorf("%w\noutput of the server:\n%s", err, p.Logs())
	}
	return nil
}

// publishRate is more than a client can publish: the limit would slow down the
// only publisher of a scenario, and the other servers have none.
const publishRate = 10_000_000

func describeMachine(ctx context.Context) machine {
	m := machine{CPUs: runtime.NumCPU(), Go: runtime.Version(), Node: "not installed"}
	if out, err := exec.CommandContext(ctx, "node", "--version").Output(); err == nil {
		m.Node = strings.TrimSpace(string(out))
	}
	return m
}
