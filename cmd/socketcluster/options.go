package main

import (
	"fmt"
	"io"
	"time"
)

// options are the settings of the demo.
type options struct {
	settings
	addr         string
	db           string
	clientJS     string
	tokenExpiry  time.Duration
	tokenRenewal time.Duration
	quiet        bool
}

// Tokens are short-lived, as the demo renews them.
const (
	defaultTokenExpiry  = 30 * time.Minute
	defaultTokenRenewal = 5 * time.Minute
)

// parseOptions reads the arguments of serve. It writes what is wrong with them,
// or the help that was asked for, to output.
func parseOptions(args []string, output io.Writer) (options, error) {
	var o options
	f := newFlags("serve", "", output)
	usage := f.Usage
	f.Usage = func() {
		usage()
		listCommands(output)
	}
	o.settings.define(f)
	f.StringVar(&o.addr, "addr", ":8000", "`address` to listen on")
	f.StringVar(&o.db, "db", "", "SQLite `file` of the users; in memory if empty")
	f.StringVar(&o.authKey, authKeySetting, "", "`key` that signs tokens, at least 32 bytes. Others see it in the list of\nprocesses: -auth-key-file or $"+variable(authKeySetting)+" is better.\nWithout any of them, a random key is made")
	f.StringVar(&o.rulesFile, rulesSetting, "", "JSON `file` with the channel rules, in place of the demo's")
	f.StringVar(&o.clientJS, "client-js", "", "`file` to serve as client.js in place of the module's own client:\nsocketcluster-client.min.js of the npm package socketcluster-client")
	f.DurationVar(&o.tokenExpiry, "token-expiry", defaultTokenExpiry, "life of a token")
	f.DurationVar(&o.tokenRenewal, "token-renewal", defaultTokenRenewal, "time after which a connected client gets a new token; 0 for never")
	f.BoolVar(&o.quiet, "quiet", false, "print only warnings and errors")
	if err := o.settings.parse(f, args); err != nil {
		return options{}, err
	}
	if err := o.check(f.Args()); err != nil {
		return options{}, badUsage(f, err)
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
