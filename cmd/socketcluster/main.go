// Command socketcluster is the demo of this module, and the tools for a server:
//
//	socketcluster [serve]     a socket server, a page that uses it, and two users
//	socketcluster check       what the owner of a token may do by channel rules
//	socketcluster token       signs and verifies tokens
//
// The demo needs nothing but Go:
//
//	go run ./cmd/socketcluster
//
// serves it at http://localhost:8000/ and prints the users and their
// passwords. The flag -help lists what can be set. Each setting has three
// places, of which the first that has it counts: the flag -token-expiry, the
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

// streams are those of the process, or of a test.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// command is what the first argument names.
type command struct {
	name string
	does string
	run  func(ctx context.Context, args []string, s streams) error
}

// commands lists them; the first one is meant if none is named.
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

// errDenied is the result of a check that has told what is denied.
var errDenied = errors.New("something is denied")

// refusedError reports that a token is no good.
type refusedError struct{ error }

// troubleError tells what kept a question from being answered, so that a script
// does not take it for a no.
type troubleError struct{ error }

// exit tells what went wrong, unless that was done, and returns the exit status.
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

// answer makes an error other than a no one of trouble.
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
