package main

import (
	"time"

	"github.com/socketcluster-go/socketcluster"
)

// options are the settings of the demo.
type options struct {
	settings
	addr         string
	db           string
	clientJS     string
	metricsAddr  string
	tokenExpiry  time.Duration
	tokenRenewal time.Duration
	stopDelay    time.Duration
	quiet        bool
	cluster      clusterSettings
	server       socketcluster.Config // the other fields that can be set
}

// Tokens are short-lived, because the demo renews them.
const (
	defaultTokenExpiry  = 30 * time.Minute
	defaultTokenRenewal = 5 * time.Minute
)

const addrSetting = "addr"

// groups returns the flags of serve, which set o.
func (o *options) groups() []flagGroup {
	demo, tokens := newFlags("The demo"), newFlags("Tokens")
	o.defineConfig(demo)
	demo.StringVar(&o.addr, addrSetting, ":8000", "`address` to listen on")
	demo.StringVar(&o.db, "db", "", "`file` of the users, for one process at a time; in memory if empty")
	demo.StringVar(&o.rulesFile, rulesSetting, "", "JSON `file` with the channel rules, in place of the demo's")
	demo.StringVar(&o.clientJS, "client-js", "", "`file` to serve as client.js in place of the module's own client: socketcluster-client.min.js of the npm package socketcluster-client")
	demo.StringVar(&o.metricsAddr, metricsAddrSetting, "", "`address` for operators, such as 127.0.0.1:9100: /metrics for Prometheus, /healthz and /readyz; none if empty")
	demo.DurationVar(&o.stopDelay, "shutdown-delay", 0, "time that load balancers have to notice by /readyz that the server stops, before its clients are asked to leave")
	demo.BoolVar(&o.quiet, "quiet", false, "print only warnings and errors")
	o.defineKeyFile(tokens)
	tokens.StringVar(&o.authKey, authKeySetting, "", "`key` that signs tokens, at least 32 bytes; others see it in the list of processes, so that --auth-key-file or $"+variable(authKeySetting)+" is better; without any of them, a random key is made")
	tokens.DurationVar(&o.tokenExpiry, expirySetting, defaultTokenExpiry, "time that a token lives")
	tokens.DurationVar(&o.tokenRenewal, renewalSetting, defaultTokenRenewal, "time after which a connected client gets a new token; 0 for never")
	return []flagGroup{
		demo,
		tokens.server(&o.server, tokenSettings),
		newFlags("Connections").server(&o.server, connectionSettings),
		o.cluster.define(),
		newFlags("Limits").server(&o.server, limitSettings),
	}
}
