// Command socketcluster is the demo of this module, and the tools for a server:
//
//	socketcluster [serve]     a socket server, a page that uses it, and two users
//	socketcluster check       what the owner of a token may do by channel rules
//	socketcluster token       signs and verifies tokens
//	socketcluster client      a client in a terminal, or for scripts that test a server
//	socketcluster bench       measures any SocketCluster server under load
//	socketcluster cluster     the nodes of a cluster, who leads what, what is behind
//
// The demo needs only Go:
//
//	go run ./cmd/socketcluster
//
// serves it at http://localhost:8000/ and prints the users and their passwords.
// The flag --help lists what can be set. Each setting can be made in three
// places; the first one that has it counts: the flag --token-expiry, the
// variable SOCKETCLUSTER_TOKEN_EXPIRY, and token-expiry in the TOML file of
// --config. The commands completion and man print what shells and man need.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/socketcluster-go/socketcluster/cmd/socketcluster/printable"
)

// streams are the standard streams of the process, or those of a test.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

func main() {
	ctx, _ := withSignals(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], streams{os.Stdin, os.Stdout, os.Stderr})
	os.Exit(exit(err, os.Stderr))
}

// withSignals returns a context that the first one of these signals ends, with a
// signalError as its cause. A second signal ends the process at once. stop ends this.
func withSignals(ctx context.Context, which ...os.Signal) (_ context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, which...)
	go func() {
		defer signal.Stop(signals)
		select {
		case s := <-signals:
			cancel(signalError(s.(syscall.Signal)))
		case <-ctx.Done():
		}
	}()
	return ctx, func() { cancel(nil) }
}

// signalError is the cause with which a signal ends the context of a command.
type signalError syscall.Signal

// Error implements error.
func (s signalError) Error() string { return syscall.Signal(s).String() }

// signalStatus is the exit status of a command whose context has ended, as shells have it:
// 130 after an interrupt, and 143 after SIGTERM.
func signalStatus(ctx context.Context) int {
	s, ok := errors.AsType[signalError](context.Cause(ctx))
	if !ok {
		s = signalError(syscall.SIGINT)
	}
	return 128 + int(s)
}

// endedBySignal is the error of something that has ended with the context of a command.
func endedBySignal(ctx context.Context, what string) error {
	return statusError{fmt.Errorf("a signal has ended %s: %w", what, context.Cause(ctx)), signalStatus(ctx)}
}

// newRoot makes the command with all its commands.
func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use: "socketcluster", Short: "The demo of SocketCluster for Go, and tools for its servers",
		Long:          "The demo of SocketCluster for Go, and tools for its servers.\nWithout a command it serves the demo.",
		Version:       version(),
		SilenceErrors: true, SilenceUsage: true, // see exit
		DisableAutoGenTag: true, // of man pages
	}
	root.AddCommand(serveCommand(), checkCommand(), tokenCommand(), clientCommand(), benchCommand(), clusterCommand(), manCommand(), versionCommand())
	root.SetHelpCommand(helpCommand())
	root.SetFlagErrorFunc(unknownFlag)
	return root
}

// run runs the command that the arguments name.
func run(ctx context.Context, args []string, s streams) error {
	root := newRoot()
	root.SetIn(s.in)
	root.SetOut(s.out)
	root.SetErr(s.err)
	if len(args) == 0 || strings.HasPrefix(args[0], "-") && !slices.Contains([]string{"-h", "--help", "-v", "--version"}, args[0]) {
		args = append([]string{"serve"}, args...)
	}
	root.SetArgs(args)
	c, err := root.ExecuteContextC(ctx)
	if err != nil && !errors.As(err, new(statusError)) {
		return misused(c, err) // of cobra; commands give their errors a status
	}
	return err
}

// errDenied is the result of a check that has printed what is denied.
var errDenied = errors.New("something is denied")

// statusError is an error with the exit status of the process.
type statusError struct {
	error
	status int
}

// Unwrap lets errors.Is find errDenied.
func (e statusError) Unwrap() error { return e.error }

// withStatus gives an error a status, unless it has one.
func withStatus(err error, status int) error {
	if err == nil || errors.As(err, new(statusError)) {
		return err
	}
	return statusError{err, status}
}

// exit prints what went wrong, unless that was done before, and returns the
// exit status.
func exit(err error, stderr io.Writer) int {
	if err == nil {
		return 0
	}
	if !errors.Is(err, errDenied) {
		fmt.Fprintln(stderr, "socketcluster:", printable.Text(err.Error())) // which may be a server's
	}
	e, _ := errors.AsType[statusError](err) // run sees to it that it is one
	return e.status
}
