package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/socketcluster-go/socketcluster/cmd/socketcluster/load"
)

// benchCommand measures a server under load.
func benchCommand() *cobra.Command {
	var n connection
	var o load.Options
	var loginData, callData, report string
	var quiet bool
	c := &cobra.Command{
		Use: "bench URL", Short: "Measures any SocketCluster server under load",
		Long: `Measures a server under load: clients connect, log in and subscribe; then they
call and publish at the given rates; and in a storm, all lose their connections
and come back. A latency counts from when a message was due, so that a server
that stalls shows it. The status is 1 if anything has failed. Ctrl-C ends the
test, prints what was measured until then, and gives the status 130.`,
		Example: `  socketcluster bench ws://localhost:8000 --connections 1000 --call echo --call-rate 2000
  socketcluster bench ws://localhost:8000 --channel news --publish-rate 100 --storm --report new.json
  socketcluster bench compare old.json new.json`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return errors.New("the URL of the server is missing, such as ws://localhost:8000")
			}
			return cobra.MaximumNArgs(1)(c, args)
		},
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(c *cobra.Command, args []string) (err error) {
			if o.Client, err = n.options(); err != nil {
				return err
			}
			if err := useless(c.Flags()); err != nil {
				return err
			}
			if err := positive(c.Flags(), "connections", "connect-rate", "call-rate", "publish-rate", "publish-size", "duration"); err != nil {
				return err
			}
			if o.LoginData, err = jsonFlag("login-data", loginData); err != nil {
				return err
			}
			switch all, err := jsonFlag("call-data", callData); {
			case err != nil:
				return err
			case len(all) > 1:
				return errors.New("--call-data is more than one JSON text")
			case len(all) == 1:
				o.CallData = all[0]
			}
			o.URL = args[0]
			if !quiet {
				o.Progress = c.ErrOrStderr()
			}
			result, err := load.Run(c.Context(), o)
			if err != nil {
				return withStatus(err, 2)
			}
			if err := result.Print(c.OutOrStdout()); err != nil {
				return withStatus(err, 2)
			}
			if report != "" { // after the table, which must not be lost with it
				if err := result.Write(report); err != nil {
					return withStatus(err, 2)
				}
			}
			switch {
			case result.Interrupted:
				return statusError{errDenied, signalStatus(c.Context())}
			case result.Failed() > 0:
				return statusError{errDenied, 1}
			}
			return nil
		},
	}
	f := newFlags("Load")
	f.IntVar(&o.Connections, "connections", 100, "number of clients")
	f.Float64Var(&o.ConnectRate, "connect-rate", 500, "connections per second")
	f.StringVar(&o.Login, "login", "", "procedure that logs in; it must set a token")
	f.StringVar(&loginData, "login-data", "", "its data, as JSON, or @file; of several texts, each client takes the next")
	f.StringVar(&o.Call, "call", "", "procedure that is called")
	f.StringVar(&callData, "call-data", "", "its data, as JSON, or @file")
	f.Float64Var(&o.CallRate, "call-rate", 100, "calls per second, of all clients together")
	f.StringVar(&o.Channel, "channel", "", "channel on which is published")
	f.IntVar(&o.Subscribers, "subscribers", 0, "number of clients that are subscribed to it; 0 means all, -1 none")
	f.Float64Var(&o.PublishRate, "publish-rate", 10, "publications per second, of all clients together")
	f.IntVar(&o.PublishSize, "publish-size", 128, "size of their data, about, in bytes")
	f.DurationVar(&o.Duration, "duration", 10e9, "time of calls and publications")
	f.BoolVar(&o.Storm, "storm", false, "ends all connections at once, and measures until they are back")
	f.StringVar(&report, "report", "", "file for the report, as JSON")
	f.BoolVar(&quiet, "quiet", false, "shows no progress")
	addFlags(c, f, n.define())
	c.AddCommand(compareCommand())
	return c
}

// useless refuses flags that do nothing without another one.
func useless(flags *pflag.FlagSet) error {
	for _, f := range []struct{ name, without string }{
		{"login-data", "login"}, {"call-data", "call"}, {"call-rate", "call"},
		{"subscribers", "channel"}, {"publish-rate", "channel"}, {"publish-size", "channel"},
	} {
		if flags.Changed(f.name) && !flags.Changed(f.without) {
			return fmt.Errorf("--%s does nothing without --%s", f.name, f.without)
		}
	}
	return nil
}

// positive refuses flags that are 0, which package load takes for the default.
func positive(flags *pflag.FlagSet, names ...string) error {
	for _, name := range names {
		if value := flags.Lookup(name).Value.String(); value == "0" || value == "-0" || value == "0s" {
			return fmt.Errorf("--%s must be more than 0", name)
		}
	}
	return nil
}

// jsonFlag returns the JSON texts of a flag, or nil if it is empty. @ and the name of a
// file stand for what is in the file.
func jsonFlag(name, text string) (all []json.RawMessage, err error) {
	if text == "" {
		return nil, nil
	}
	if path, ok := strings.CutPrefix(text, "@"); ok {
		content, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("--%s: %w", name, err)
		}
		text = string(content)
	}
	for d := json.NewDecoder(strings.NewReader(text)); ; {
		var one json.RawMessage
		switch err := d.Decode(&one); {
		case err == io.EOF && len(all) > 0:
			return all, nil
		case err != nil:
			return nil, fmt.Errorf(`--%s is not JSON; a text needs quotes: '"text"'`, name)
		}
		all = append(all, one)
	}
}

// compareCommand compares two reports.
func compareCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "compare A B", Short: "Compares two reports of bench", DisableFlagsInUseLine: true,
		Long:    "Compares two files that bench has written with --report.",
		Example: "  socketcluster bench compare old.json new.json",
		Args:    cobra.ExactArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			a, err := load.Read(args[0])
			if err != nil {
				return withStatus(err, 2)
			}
			b, err := load.Read(args[1])
			if err != nil {
				return withStatus(err, 2)
			}
			return withStatus(load.Compare(c.OutOrStdout(), a, b), 2)
		},
	}
	addFlags(c) // otherwise its help would show the flags of bench
	return c
}
