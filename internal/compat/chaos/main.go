package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/socketcluster-go/socketcluster/internal/compat/chaos/judge"
	"github.com/socketcluster-go/socketcluster/internal/compat/proc"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "chaos:", err)
		os.Exit(1)
	}
}

// maxRound is the longest round: the judge holds all of it in memory.
const maxRound = 5 * time.Minute

// errBroken is the error of a run in which a promise was not kept.
var errBroken = errors.New("promises were broken")

// run parses args, runs rounds, and prints what they have shown to out. Progress goes
// to log.
func run(ctx context.Context, args []string, out, log io.Writer) error {
	flags := flag.NewFlagSet("chaos", flag.ContinueOnError)
	flags.SetOutput(log)
	duration := flags.Duration("for", maxRound, "length of the run; a longer one has rounds of 5 minutes with seeds of their own")
	seed := flags.Uint64("seed", 0, "seed of the schedule of the first round; 0: a random one")
	binary := flags.String("contract", "", "the contract server to check; default: it is built")
	keep := flags.String("keep", "", "write the logs of all rounds into this directory")
	patience := flags.Duration("patience", 30*time.Second, "the longest time for which nobody can publish on a channel, or a publication is late")
	only := flags.String("only", "", "bring about these faults only, separated by commas: "+strings.Join(faultNames(), ", "))
	again := flags.String("judge", "", "judge this log of a round again, and do nothing else")
	if err := flags.Parse(args); err != nil {
		return err
	}
	limits := judge.Limits{Patience: *patience}
	if *again != "" {
		events, err := read(*again)
		if err != nil {
			return err
		}
		v := judge.Judge(events, limits)
		report(out, v, nil)
		if len(v.Violations) > 0 {
			return errBroken
		}
		return nil
	}
	if *duration <= 0 || flags.NArg() > 0 {
		return errors.New("-for must be positive, and there are no other arguments")
	}
	chosen, err := chooseFaults(*only)
	if err != nil {
		return err
	}
	if *seed == 0 {
		*seed = rand.Uint64N(1 << 32)
	}
	if *binary == "" {
		built, err := proc.Build(ctx, "./contract")
		if err != nil {
			return err
		}
		*binary = built
	}
	broken := 0
	for left := *duration; left > 0 && ctx.Err() == nil; left -= maxRound {
		length := min(left, maxRound)
		fmt.Fprintf(out, "round of %v with seed %d\n", length, *seed)
		events, nodes, err := runRound(ctx, *seed, length, chosen, *binary, log)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		v := judge.Judge(events, limits)
		report(out, v, err)
		if err != nil || len(v.Violations) > 0 {
			broken++
		}
		if err := keepLogs(*keep, *seed, events, nodes); err != nil {
			return err
		}
		*seed++
	}
	if broken > 0 {
		return fmt.Errorf("%w in %d rounds", errBroken, broken)
	}
	return nil
}

// keepLogs writes the log of a round, and those of the nodes, into a directory.
func keepLogs(dir string, seed uint64, events []judge.Event, nodes []*node) error {
	if dir == "" {
		return nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, n := range nodes {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%d-%s.log", seed, n.name)), []byte(n.logs()), 0o644); err != nil {
			return err
		}
	}
	return write(filepath.Join(dir, fmt.Sprintf("%d.jsonl", seed)), events)
}
