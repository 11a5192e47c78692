package main

import (
	"compress/flate"
	"flag"
	"fmt"
	"io"
	"time"

	"github.com/socketcluster-go/socketcluster"
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
	server       socketcluster.Config // the other fields that can be set
}

// Tokens are short-lived, because the demo renews them.
const (
	defaultTokenExpiry  = 30 * time.Minute
	defaultTokenRenewal = 5 * time.Minute
)

// parseOptions reads the arguments of serve. It writes errors, or the requested
// help, to output.
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
	f.StringVar(&o.db, "db", "", "`file` of the users, for one process at a time; in memory if empty")
	f.StringVar(&o.authKey, authKeySetting, "", "`key` that signs tokens, at least 32 bytes. Others see it in the list of\nprocesses: -auth-key-file or $"+variable(authKeySetting)+" is better.\nWithout any of them, a random key is made")
	f.StringVar(&o.rulesFile, rulesSetting, "", "JSON `file` with the channel rules, in place of the demo's")
	f.StringVar(&o.clientJS, "client-js", "", "`file` to serve as client.js in place of the module's own client:\nsocketcluster-client.min.js of the npm package socketcluster-client")
	durationVar(f, &o.tokenExpiry, expirySetting, defaultTokenExpiry, time.Second, "life of a token, a `time` such as 5m")
	durationVar(f, &o.tokenRenewal, renewalSetting, defaultTokenRenewal, 0, "`time` after which a connected client gets a new token; 0 for never")
	o.defineServer(f)
	f.BoolVar(&o.quiet, "quiet", false, "print only warnings and errors")
	if err := o.settings.parse(f, args); err != nil {
		return options{}, err
	}
	if f.NArg() > 0 {
		return options{}, badUsage(f, fmt.Errorf("unexpected argument: %q", f.Arg(0)))
	}
	return o, nil
}

// defineServer adds the flags for fields of [socketcluster.Config].
func (o *options) defineServer(f *flag.FlagSet) {
	cfg := &o.server
	f.Func(proxiesSetting, "`addresses` or networks of your proxies, such as 10.0.0.0/8,::1. Their header\nX-Forwarded-For is believed; behind a proxy that is not named, all clients\nshare the limits of one address. unix stands for a proxy that connects over a\nUnix socket", func(text string) error {
		cfg.TrustedProxies = parseList(text)
		return nil
	})
	f.Func("origins", "`origins` of pages that may connect, such as https://example.com, or hosts with\nports, in which either part may be *. Without it, all may; with it, clients that\nare not browsers need -allow-missing-origin", func(text string) error {
		cfg.Origins = parseList(text)
		return nil
	})
	durationVar(f, &cfg.Auth.ClockTolerance, "clock-tolerance", 0, 0, "`time` by which the clocks of others that sign tokens may differ, at most 1m")
	f.BoolVar(&cfg.AllowMissingOrigin, "allow-missing-origin", false, "admit clients that send no Origin header, although -origins is set")
	f.StringVar(&cfg.Protocol1Path, "protocol1-path", "", "second `path`, for clients up to v14")
	intVar(f, &cfg.Compression.Level, "compression-level", flate.BestCompression, "`level` of compression for clients that offer it, from 1, the fastest, to 9;\n0 for none")
	intVar(f, &cfg.Compression.Threshold, "compression-threshold", noMax, "`bytes` of the smallest message that is compressed; 0 for 1024")
	durationVar(f, &cfg.Timeouts.Handshake, "handshake-timeout", socketcluster.DefaultHandshakeTimeout, time.Millisecond, "`time` from the upgrade to the end of the handshake")
	durationVar(f, &cfg.Timeouts.PingInterval, "ping-interval", socketcluster.DefaultPingInterval, time.Millisecond, "`time` between two pings to a client")
	durationVar(f, &cfg.Timeouts.Ping, "ping-timeout", socketcluster.DefaultPingTimeout, time.Millisecond, "`time` that a client may be silent")
	durationVar(f, &cfg.Timeouts.Shutdown, "shutdown-timeout", socketcluster.DefaultShutdownTimeout, time.Second, "`time` that clients have to leave when the server stops, such as 25s; less\nthan the time after which it is killed. Many clients are closed in batches")
	intVar(f, &cfg.DrainRate, "drain-rate", noMax, "`clients` that are closed in each second when the server stops; 0 for 1000")
	durationVar(f, &cfg.Timeouts.Close, "close-timeout", socketcluster.DefaultCloseTimeout, time.Millisecond, "`time` that a client may take to close its connection")
	durationVar(f, &cfg.Timeouts.Reauthorize, "reauthorize-timeout", socketcluster.DefaultReauthorizeTimeout, time.Millisecond, "`time` in which the rules must approve subscriptions again after the token\nhas changed")
	durationVar(f, &cfg.AuthMaxAge, "auth-max-age", 0, 0, "`time` after a login in which its token may be renewed; 0 for no limit")
	f.BoolVar(&cfg.Compat.TokenAfterAnswer, "token-after-answer", false, "send the token of a login after the answer to it, for pages that wait for the\ntoken after the call")
	limitVars(f, &cfg.Limits)
}
