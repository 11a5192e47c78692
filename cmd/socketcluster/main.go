// Command socketcluster is the demo of this module, and the tools for a server:
//
//	socketcluster [serve]     a socket server, a page that uses it, and two users
//	socketcluster check       what the owner of a token may do by channel rules
//	socketcluster token       signs and verifies tokens
//
// The demo needs only Go:
//
//	go run ./cmd/socketcluster
//
// serves it at http://localhost:8000/ and prints the users and their passwords.
// The flag -help lists what can be set. Each setting can be made in three
// places; the first one that has it counts: the flag -token-expiry, the
// variable SOCKETCLUSTER_TOKEN_EXPIRY, and token-expiry in the TOML file of
// -config.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

// streams are the standard streams of the process, or those of a test.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// command is a command that the first argument names.
type command struct {
	name string
	does string
	run  func(ctx context.Context, args []string, s streams) error
}

// commands lists the commands; the first one is the default.
func commands() []command {
	return []command{
		{"serve", "serves the demo; the default command", runServe},
		{"check", "reports what the owner of a token may do by channel rules", runCheck},
		{"token", "signs and verifies tokens", runToken},
	}
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	err := run(ctx, os.Args[1:], streams{os.Stdin, os.Stdout, os.Stderr})
	stop()
	os.Exit(exit(err, os.Stderr))
}

// errDenied is the result of a check that has printed what is denied.
var errDenied = errors.New("something is denied")

// refusedError reports that a token is not valid.
type refusedError struct{ error }

// troubleError is the reason why there is no result, so that a script does not
// take it for a denial.
type troubleError struct{ error }

// exit prints what went wrong, unless that was done before, and returns the
// exit status.
func exit(err error, stderr io.Writer) int {
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return 0
	case errors.Is(err, errDenied):
		return 1
	case errors.As(err, new(usageError)):
		return 2
	}
	fmt.Fprintln(stderr, "socketcluster:", err)
	if errors.As(err, new(troubleError)) {
		return 2
	}
	return 1
}

// answer turns every error that is not a denial or a refusal into a
// troubleError.
func answer(err error) error {
	if err == nil || errors.Is(err, errDenied) || errors.As(err, new(refusedError)) || errors.As(err, new(usageError)) {
		return err
	}
	return troubleError{err}
}

// run runs the command that the arguments name.
func run(ctx context.Context, args []string, s streams) error {
	name := commands()[0].name
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		name, args = args[0], args[1:]
	}
	for _, c := range commands() {
		if c.name == name {
			return c.run(ctx, args, s)
		}
	}
	err := fmt.Errorf("unknown command: %q", name)
	fmt.Fprintln(s.err, err)
	listCommands(s.err)
	return usageError{err}
}

func listCommands(w io.Writer) {
	fmt.Fprintln(w, "Commands of socketcluster; each has a flag -help:")
	for _, c := range commands() {
		fmt.Fprintf(w, "  %-8s%s\n", c.name, c.does)
	}
}
