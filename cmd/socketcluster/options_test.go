package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/auth"
)

// sameAuth compares what has keys in it.
var sameAuth = cmp.Comparer(func(a, b auth.Options) bool { return reflect.DeepEqual(a, b) })

func TestOptions(t *testing.T) {
	clearSettings(t)
	defaults := options{addr: ":8000", tokenExpiry: 30 * time.Minute, tokenRenewal: 5 * time.Minute}
	with := func(change func(o *options)) options {
		o := defaults
		change(&o)
		return o
	}
	for _, c := range []struct {
		args string
		want options
	}{
		{"", defaults},
		{"--addr 127.0.0.1:0 --quiet", with(func(o *options) { o.addr, o.quiet = "127.0.0.1:0", true })},
		{"--db x.db --client-js y.js", with(func(o *options) { o.db, o.clientJS = "x.db", "y.js" })},
		{"--auth-key k", with(func(o *options) { o.authKey = "k" })},
		{"--auth-key-file k.pem --rules r.json", with(func(o *options) { o.authKeyFile, o.rulesFile = "k.pem", "r.json" })},
		{"--trusted-proxies 10.0.0.0/8,::1", with(func(o *options) {
			o.server.TrustedProxies = []string{"10.0.0.0/8", "::1"}
		})},
		{"--origins a.com:443,*:80 --allow-missing-origin --protocol1-path /v1/", with(func(o *options) {
			o.server.Origins, o.server.AllowMissingOrigin, o.server.Protocol1Path = []string{"a.com:443", "*:80"}, true, "/v1/"
		})},
		{"--compression-level 9 --compression-threshold 1", with(func(o *options) {
			o.server.Compression = socketcluster.Compression{Level: 9, Threshold: 1}
		})},
		{"--handshake-timeout 1s --ping-interval 2s --ping-timeout 3s --close-timeout 4s", with(func(o *options) {
			o.server.Timeouts.Handshake, o.server.Timeouts.PingInterval, o.server.Timeouts.Ping, o.server.Timeouts.Close = time.Second, 2*time.Second, 3*time.Second, 4*time.Second
		})},
		{"--limits-connections-per-address 7 --limits-outbox-stall 1m", with(func(o *options) {
			o.server.Limits = socketcluster.Limits{ConnectionsPerAddress: 7, OutboxStall: time.Minute}
		})},
		{"--clock-tolerance 5s", with(func(o *options) { o.server.Auth.ClockTolerance = 5 * time.Second })},
		{"--token-expiry 10s --token-renewal 0", with(func(o *options) { o.tokenExpiry, o.tokenRenewal = 10*time.Second, 0 })},
		{"--shutdown-timeout 25s", with(func(o *options) { o.server.Timeouts.Shutdown = 25 * time.Second })},
	} {
		got, err := parseOptions(strings.Fields(c.args))
		if err != nil {
			t.Errorf("%q: %v", c.args, err)
		}
		got.places = nil
		if diff := cmp.Diff(c.want, got, cmp.AllowUnexported(options{}, settings{}, clusterSettings{}), sameAuth); diff != "" {
			t.Errorf("%q: %s", c.args, diff)
		}
	}
}

// clearSettings keeps what is set on this machine out of a test.
func clearSettings(t *testing.T) {
	t.Helper()
	for _, name := range []string{configSetting, authKeySetting, rulesSetting} {
		t.Setenv(variable(name), "")
	}
	fileFlags().VisitAll(func(f *pflag.Flag) { t.Setenv(variable(f.Name), "") })
}

func writeFile(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// Arguments count before the environment, and that before the config file.
func TestPrecedence(t *testing.T) {
	all := map[string]string{
		"addr": "a", "metrics-addr": "m", "db": "d", "client-js": "c", "auth-key-file": "k", "token-expiry": "1h0m0s", "token-renewal": "1m0s", "clock-tolerance": "1s", "quiet": "true",
		"trusted-proxies": "10.0.0.0/8,::1/128", "shutdown-timeout": "25s", "drain-rate": "9", "origins": "a.com:443,*:80", "allow-missing-origin": "true", "protocol1-path": "/v1/",
		"compression-level": "3", "compression-threshold": "4",
		"handshake-timeout": "5s", "ping-interval": "6s", "ping-timeout": "7s", "close-timeout": "8s", "reauthorize-timeout": "9s", "auth-max-age": "10h0m0s",
		"token-after-answer": "true",
		"cluster-listen":     "l", "cluster-routes": "a:1,b:1", "cluster-advertise": "v", "cluster-secret-file": "s", "cluster-node": "n", "cluster-name": "c", "cluster-nats": "u", "cluster-prefix": "x",
		"cluster-cert-file": "ct", "cluster-key-file": "ky", "cluster-ca-file": "ca", "cluster-store": "st", "cluster-sync-always": "true", "cluster-size": "3", "cluster-history-bytes": "100000000", "cluster-user-claim": "sub", "presence-channels": "p/*,q", "cluster-revocations": "true",
		"cluster-cut-off": "20s", "cluster-fail-closed": "true", "cluster-witness": "true", "shutdown-delay": "5s",
	}
	other := map[string]string{
		"addr": "a2", "metrics-addr": "m2", "db": "d2", "client-js": "c2", "auth-key-file": "k2", "token-expiry": "2h0m0s", "token-renewal": "2m0s", "clock-tolerance": "2s", "quiet": "false",
		"trusted-proxies": "192.0.2.7/32", "shutdown-timeout": "50s", "drain-rate": "19", "origins": "b.com:443", "allow-missing-origin": "false", "protocol1-path": "/v2/",
		"compression-level": "5", "compression-threshold": "6",
		"handshake-timeout": "15s", "ping-interval": "16s", "ping-timeout": "17s", "close-timeout": "18s", "reauthorize-timeout": "19s", "auth-max-age": "20h0m0s",
		"token-after-answer": "false",
		"cluster-listen":     "l2", "cluster-routes": "c:1", "cluster-advertise": "v2", "cluster-secret-file": "s2", "cluster-node": "n2", "cluster-name": "c2", "cluster-nats": "u2", "cluster-prefix": "x2",
		"cluster-cert-file": "ct2", "cluster-key-file": "ky2", "cluster-ca-file": "ca2", "cluster-store": "st2", "cluster-sync-always": "false", "cluster-size": "5", "cluster-history-bytes": "200000000", "cluster-user-claim": "uid", "presence-channels": "r", "cluster-revocations": "false",
		"cluster-cut-off": "-1ns", "cluster-fail-closed": "false", "cluster-witness": "false", "shutdown-delay": "6s",
	}
	limitFields := reflect.VisibleFields(reflect.TypeFor[socketcluster.Limits]())
	for i, field := range limitFields {
		if name := settingOf("Limits." + field.Name); field.Type == reflect.TypeFor[time.Duration]() {
			all[name], other[name] = "1m0s", "2m0s"
		} else {
			all[name], other[name] = fmt.Sprint(100+i), fmt.Sprint(200+i)
		}
	}
	got := func(o options) map[string]string {
		cfg := &o.server
		got := map[string]string{
			"addr": o.addr, "metrics-addr": o.metricsAddr, "db": o.db, "client-js": o.clientJS, "auth-key-file": o.authKeyFile,
			"token-expiry": o.tokenExpiry.String(), "token-renewal": o.tokenRenewal.String(), "clock-tolerance": cfg.Auth.ClockTolerance.String(), "quiet": strconv.FormatBool(o.quiet),
			"trusted-proxies": strings.Join(cfg.TrustedProxies, ","),
			"origins":         strings.Join(cfg.Origins, ","), "allow-missing-origin": strconv.FormatBool(cfg.AllowMissingOrigin), "protocol1-path": cfg.Protocol1Path,
			"compression-level": strconv.Itoa(cfg.Compression.Level), "compression-threshold": strconv.Itoa(cfg.Compression.Threshold),
			"handshake-timeout": cfg.Timeouts.Handshake.String(), "ping-interval": cfg.Timeouts.PingInterval.String(),
			"ping-timeout": cfg.Timeouts.Ping.String(), "close-timeout": cfg.Timeouts.Close.String(),
			"reauthorize-timeout": cfg.Timeouts.Reauthorize.String(), "auth-max-age": cfg.AuthMaxAge.String(),
			"token-after-answer": strconv.FormatBool(cfg.Compat.TokenAfterAnswer),
			"shutdown-timeout":   cfg.Timeouts.Shutdown.String(), "drain-rate": strconv.Itoa(cfg.DrainRate),
			"cluster-listen": o.cluster.listen, "cluster-routes": o.cluster.routes, "cluster-advertise": o.cluster.advertise,
			"cluster-secret-file": o.cluster.secretFile, "cluster-node": o.cluster.node, "cluster-name": o.cluster.name, "cluster-nats": o.cluster.nats, "cluster-prefix": o.cluster.prefix,
			"cluster-cert-file": o.cluster.certFile, "cluster-key-file": o.cluster.keyFile, "cluster-ca-file": o.cluster.caFile,
			"cluster-store": o.cluster.store, "cluster-sync-always": strconv.FormatBool(o.cluster.syncAlways), "cluster-user-claim": o.cluster.userClaim,
			"cluster-size": strconv.Itoa(o.cluster.size), "cluster-history-bytes": strconv.FormatInt(o.cluster.historyBytes, 10),
			"presence-channels": o.cluster.presence, "cluster-revocations": strconv.FormatBool(o.cluster.revocations),
			"cluster-cut-off": o.cluster.cutOff.String(), "cluster-fail-closed": strconv.FormatBool(o.cluster.failClosed),
			"cluster-witness": strconv.FormatBool(o.cluster.witness), "shutdown-delay": o.stopDelay.String(),
		}
		for _, field := range limitFields {
			got[settingOf("Limits."+field.Name)] = fmt.Sprint(reflect.ValueOf(cfg.Limits).FieldByIndex(field.Index))
		}
		return got
	}
	fileFlags().VisitAll(func(f *pflag.Flag) {
		if all[f.Name] == "" {
			t.Errorf("the test leaves %s out", f.Name)
		}
	})
	text := func(values map[string]string) string {
		var b strings.Builder
		for name, value := range values {
			fmt.Fprintf(&b, "%s = %q\n", name, value)
		}
		return b.String()
	}
	parse := func(args ...string) options {
		t.Helper()
		o, err := parseOptions(args)
		if err != nil {
			t.Fatalf("%q: %v", args, err)
		}
		return o
	}
	clearSettings(t)
	file := writeFile(t, "all.toml", text(all))
	if diff := cmp.Diff(all, got(parse("--config", file))); diff != "" {
		t.Errorf("file: %s", diff)
	}
	t.Setenv("SOCKETCLUSTER_CONFIG", file)
	if diff := cmp.Diff(all, got(parse())); diff != "" {
		t.Errorf("file of the environment: %s", diff)
	}
	for name, value := range other {
		t.Setenv(variable(name), value)
	}
	if diff := cmp.Diff(other, got(parse())); diff != "" {
		t.Errorf("environment: %s", diff)
	}
	var flags []string
	for name, value := range all {
		flags = append(flags, "--"+name+"="+value)
	}
	if diff := cmp.Diff(all, got(parse(flags...))); diff != "" {
		t.Errorf("arguments: %s", diff)
	}
}

// The key and its file are one setting.
func TestPrecedenceOfKeys(t *testing.T) {
	file := "--config=" + writeFile(t, "c.toml", `auth-key-file = "config"`)
	for _, c := range []struct{ args, key, keyFile, wantKey, wantFile string }{
		{file, "", "", "", "config"},
		{file, "text", "", "text", ""},
		{file, "", "file", "", "file"},
		{file + " --auth-key=flag", "text", "", "flag", ""},
		{file + " --auth-key=flag", "", "file", "flag", ""},
		{file + " --auth-key-file=flag", "text", "file", "", "flag"},
		{"", "", "", "", ""},
	} {
		clearSettings(t)
		t.Setenv("SOCKETCLUSTER_AUTH_KEY", c.key)
		t.Setenv("SOCKETCLUSTER_AUTH_KEY_FILE", c.keyFile)
		o, err := parseOptions(strings.Fields(c.args))
		if err != nil || o.authKey != c.wantKey || o.authKeyFile != c.wantFile {
			t.Errorf("%+v: key %q, file %q, %v", c, o.authKey, o.authKeyFile, err)
		}
	}
	for _, c := range []struct{ args, key, keyFile, want string }{
		{"--auth-key=a --auth-key-file=b", "", "", "set --auth-key or --auth-key-file, not both"},
		{"", "a", "b", "set $SOCKETCLUSTER_AUTH_KEY or $SOCKETCLUSTER_AUTH_KEY_FILE, not both"},
	} {
		clearSettings(t)
		t.Setenv("SOCKETCLUSTER_AUTH_KEY", c.key)
		t.Setenv("SOCKETCLUSTER_AUTH_KEY_FILE", c.keyFile)
		if _, err := parseOptions(strings.Fields(c.args)); err == nil || err.Error() != c.want {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

// Errors contain the place, the name and the valid values: those about the form
// of a value, and those that the server finds.
func TestBadSettings(t *testing.T) {
	clearSettings(t)
	const bad, wrong = `%[1]s: %[2]s is "%[3]s"; it must be `, `%[1]s: the setting %[2]s is %[3]s; `
	for _, c := range []struct{ name, value, format string }{
		{"token-expiry", "soon", bad + `a time such as "10s"`},
		{"token-expiry", "5", bad + `a time such as "10s"`},
		{"token-expiry", "10ms", wrong + "tokens live for whole seconds"},
		{"token-renewal", "5", bad + `a time such as "10s"`},
		{"token-renewal", "-1s", wrong + "it must not be negative"},
		{"shutdown-timeout", "-1s", wrong + "it must not be negative"},
		{"quiet", "yes", bad + `true or false`},
		{"allow-missing-origin", "maybe", bad + `true or false`},
		{"compression-level", "10", wrong},
		{"compression-level", "-1", wrong},
		{"compression-threshold", "1k", bad + `a whole number`},
		{"ping-interval", "1m0s", wrong + "it must be less than Timeouts.Ping"},
		{"limits-message-size", "-1", wrong + "it must not be negative"},
		{"limits-message-size", "1.5", bad + `a whole number`},
		{"limits-outbox-stall", "10", bad + `a time such as "10s"`},
	} {
		start := func(args ...string) error {
			o, err := parseOptions(args)
			if err == nil {
				var d *demo
				if d, err = newDemo(t.Context(), o, slog.New(slog.DiscardHandler)); err == nil {
					err = errors.Join(d.sockets.Close(), d.close())
				}
			}
			return err
		}
		file := writeFile(t, "c.toml", fmt.Sprintf("addr = ':1'\n%s = %q", c.name, c.value))
		want := fmt.Sprintf(c.format, file+":2", c.name, c.value)
		if err := start("--config", file); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("file: %v\nwant %s", err, want)
		}
		t.Setenv(variable(c.name), c.value)
		want = fmt.Sprintf(c.format, "$"+variable(c.name), c.name, c.value)
		if err := start(); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("environment: %v\nwant %s", err, want)
		}
		t.Setenv(variable(c.name), "")
		if err := start("--" + c.name + "=" + c.value); err == nil || !strings.Contains(err.Error(), c.name) {
			t.Errorf("argument: %v", err)
		}
	}
}

// The demo knows its clients behind the proxies that are named, and no others.
func TestTrustedProxies(t *testing.T) {
	for arg, want := range map[string]string{
		"--quiet":                                 "192.0.2.1",
		"--trusted-proxies=198.51.100.1":          "192.0.2.1",
		"--trusted-proxies=10.0.0.0/8, 192.0.2.1": "203.0.113.9",
		"--trusted-proxies=192.0.2.0/24":          "203.0.113.9",
	} {
		clearSettings(t)
		inBubble(t, []string{arg}, func(t *testing.T, w *world) {
			r := &http.Request{RemoteAddr: "192.0.2.1:1000", Header: http.Header{"X-Forwarded-For": {"203.0.113.9"}}}
			if got := w.demo.sockets.ClientAddr(r).String(); got != want {
				t.Errorf("%s: the client is %s, want %s", arg, got, want)
			}
		})
	}
}

func TestAuthKeyOfTheEnvironment(t *testing.T) {
	clearSettings(t)
	t.Setenv("SOCKETCLUSTER_AUTH_KEY", "from the environment")
	for args, want := range map[string]string{"": "from the environment", "--auth-key=flag": "flag"} {
		o, err := parseOptions(strings.Fields(args))
		if err != nil || o.authKey != want {
			t.Errorf("%q: key %q, %v", args, o.authKey, err)
		}
	}
	// The help shows defaults, but not this one.
	if o := runWith(t, "", "serve", "--help"); !strings.Contains(o.out, "--auth-key ") || strings.Contains(o.out, "from the environment") {
		t.Errorf("help: %+v", o)
	}
}
