package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"time"
)

// authKeyVariable holds the key where flags would show it to everybody who
// can list the processes.
const authKeyVariable = "SOCKETCLUSTER_AUTH_KEY"

// options are the settings of the demo.
type options struct {
	addr         string
	db           string
	authKey      string
	clientJS     string
	tokenExpiry  time.Duration
	tokenRenewal time.Duration
	quiet        bool
}

// usageError is an error that the user has been told with the usage.
type usageError struct{ error }

// Unwrap lets errors.Is find flag.ErrHelp.
func (e usageError) Unwrap() error { return e.error }

// parseOptions reads the arguments. It writes what is wrong with them, or the
// help that was asked for, to output.
func parseOptions(args []string, output io.Writer) (options, error) {
	var o options
	f := flag.NewFlagSet("socketcluster", flag.ContinueOnError)
	f.SetOutput(output)
	f.StringVar(&o.addr, "addr", ":8000", "`address` to listen on")
	f.StringVar(&o.db, "db", "", "SQLite `file` of the users; in memory if empty")
	f.StringVar(&o.authKey, "auth-key", "", "`key` that signs tokens, at least 32 bytes; $"+authKeyVariable+" or a random one if empty")
	f.StringVar(&o.clientJS, "client-js", "", "`file` to serve as client.js in place of the module's own client:\nsocketcluster-client.min.js of the npm package socketcluster-client")
	f.DurationVar(&o.tokenExpiry, "token-expiry", 30*time.Minute, "life of a token")
	f.DurationVar(&o.tokenRenewal, "token-renewal", 5*time.Minute, "time after which a connected client gets a new token; 0 for never")
	f.BoolVar(&o.quiet, "quiet", false, "print only warnings and errors")
	if err := f.Parse(args); err != nil {
		return options{}, usageError{err}
	}
	if err := o.check(f.Args()); err != nil {
		fmt.Fprintln(output, err)
		f.Usage()
		return options{}, usageError{err}
	}
	if o.authKey == "" {
		o.authKey = os.Getenv(authKeyVariable)
	}
	return o, nil
}

func (o *options) check(rest []string) error {
	switch {
	case len(rest) > 0:
		return fmt.Errorf("unexpected argument: %q", rest[0])
	case o.tokenExpiry < time.Second:
		return fmt.Errorf("-token-expiry is %v: tokens live for whole seconds", o.tokenExpiry)
	case o.tokenRenewal < 0:
		return fmt.Errorf("-token-renewal is %v: it must not be negative", o.tokenRenewal)
	}
	return nil
}
