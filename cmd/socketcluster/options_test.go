package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestOptions(t *testing.T) {
	clearSettings(t)
	defaults := options{addr: ":8000", tokenExpiry: 30 * time.Minute, tokenRenewal: 5 * time.Minute, shutdownTimeout: 8 * time.Second}
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
		{"-addr 127.0.0.1:0 -quiet", with(func(o *options) { o.addr, o.quiet = "127.0.0.1:0", true })},
		{"-db x.db -client-js y.js", with(func(o *options) { o.db, o.clientJS = "x.db", "y.js" })},
		{"-auth-key k", with(func(o *options) { o.authKey = "k" })},
		{"-auth-key-file k.pem -rules r.json", with(func(o *options) { o.authKeyFile, o.rulesFile = "k.pem", "r.json" })},
		{"-trusted-proxies 10.0.0.0/8,::1", with(func(o *options) {
			o.trustedProxies = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("::1/128")}
		})},
		{"-token-expiry 10s -token-renewal 0", with(func(o *options) { o.tokenExpiry, o.tokenRenewal = 10*time.Second, 0 })},
		{"-shutdown-timeout 25s", with(func(o *options) { o.shutdownTimeout = 25 * time.Second })},
	} {
		var output bytes.Buffer
		got, err := parseOptions(strings.Fields(c.args), &output)
		if err != nil || output.Len() > 0 {
			t.Errorf("%q: %v, output %q", c.args, err, &output)
		}
		if diff := cmp.Diff(c.want, got, cmp.AllowUnexported(options{}, settings{}), cmpopts.EquateComparable(netip.Prefix{})); diff != "" {
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
	for _, s := range fileSettings {
		t.Setenv(variable(s.name), "")
	}
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
		"addr": "a", "db": "d", "client-js": "c", "auth-key-file": "k", "token-expiry": "1h0m0s", "token-renewal": "1m0s", "quiet": "true",
		"trusted-proxies": "10.0.0.0/8,::1/128", "shutdown-timeout": "25s",
	}
	other := map[string]string{
		"addr": "a2", "db": "d2", "client-js": "c2", "auth-key-file": "k2", "token-expiry": "2h0m0s", "token-renewal": "2m0s", "quiet": "false",
		"trusted-proxies": "192.0.2.7/32", "shutdown-timeout": "50s",
	}
	got := func(o options) map[string]string {
		return map[string]string{
			"addr": o.addr, "db": o.db, "client-js": o.clientJS, "auth-key-file": o.authKeyFile,
			"token-expiry": o.tokenExpiry.String(), "token-renewal": o.tokenRenewal.String(), "quiet": strconv.FormatBool(o.quiet),
			"trusted-proxies":  strings.Trim(strings.ReplaceAll(fmt.Sprint(o.trustedProxies), " ", ","), "[]"),
			"shutdown-timeout": o.shutdownTimeout.String(),
		}
	}
	for _, s := range fileSettings {
		if all[s.name] == "" {
			t.Errorf("the test leaves %s out", s.name)
		}
	}
	text := func(values map[string]string) string {
		var b strings.Builder
		for name, value := range values {
			fmt.Fprintf(&b, "%s = %q\n", name, value)
		}
		return b.String()
	}
	parse := func(args ...string) options {
		t.Helper()
		var output bytes.Buffer
		o, err := parseOptions(args, &output)
		if err != nil || output.Len() > 0 {
			t.Fatalf("%q: %v, output %q", args, err, &output)
		}
		return o
	}
	clearSettings(t)
	file := writeFile(t, "all.toml", text(all))
	if diff := cmp.Diff(all, got(parse("-config", file))); diff != "" {
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
		flags = append(flags, "-"+name+"="+value)
	}
	if diff := cmp.Diff(all, got(parse(flags...))); diff != "" {
		t.Errorf("arguments: %s", diff)
	}
}

// The key and its file are one setting.
func TestPrecedenceOfKeys(t *testing.T) {
	file := "-config=" + writeFile(t, "c.toml", `auth-key-file = "config"`)
	for _, c := range []struct{ args, key, keyFile, wantKey, wantFile string }{
		{file, "", "", "", "config"},
		{file, "text", "", "text", ""},
		{file, "", "file", "", "file"},
		{file + " -auth-key=flag", "text", "", "flag", ""},
		{file + " -auth-key=flag", "", "file", "flag", ""},
		{file + " -auth-key-file=flag", "text", "file", "", "flag"},
		{"", "", "", "", ""},
	} {
		clearSettings(t)
		t.Setenv("SOCKETCLUSTER_AUTH_KEY", c.key)
		t.Setenv("SOCKETCLUSTER_AUTH_KEY_FILE", c.keyFile)
		var output bytes.Buffer
		o, err := parseOptions(strings.Fields(c.args), &output)
		if err != nil || o.authKey != c.wantKey || o.authKeyFile != c.wantFile {
			t.Errorf("%+v: key %q, file %q, %v", c, o.authKey, o.authKeyFile, err)
		}
	}
	for _, c := range []struct{ args, key, keyFile, want string }{
		{"-auth-key=a -auth-key-file=b", "", "", "set -auth-key or -auth-key-file, not both"},
		{"", "a", "b", "set $SOCKETCLUSTER_AUTH_KEY or $SOCKETCLUSTER_AUTH_KEY_FILE, not both"},
	} {
		clearSettings(t)
		t.Setenv("SOCKETCLUSTER_AUTH_KEY", c.key)
		t.Setenv("SOCKETCLUSTER_AUTH_KEY_FILE", c.keyFile)
		if _, err := parseOptions(strings.Fields(c.args), io.Discard); err == nil || err.Error() != c.want {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

// What is wrong is told with its place, its name and what it must be.
func TestBadSettings(t *testing.T) {
	clearSettings(t)
	for _, c := range []struct{ name, value, form string }{
		{"token-expiry", "soon", `a time of 1s or more, such as "5m"`},
		{"token-expiry", "5", `a time of 1s or more, such as "5m"`},
		{"token-expiry", "10ms", `a time of 1s or more, such as "5m"`},
		{"token-renewal", "5", `a time such as "5m", or "0" for never`},
		{"token-renewal", "-1s", `a time such as "5m", or "0" for never`},
		{"shutdown-timeout", "0", `a time of 1s or more, such as "25s"`},
		{"quiet", "yes", `true or false`},
		{"trusted-proxies", "proxy", `addresses or networks, such as "10.0.0.0/8, ::1"`},
		{"trusted-proxies", "::1,", `addresses or networks, such as "10.0.0.0/8, ::1"`},
		{"trusted-proxies", "10.0.0.0/33", `addresses or networks, such as "10.0.0.0/8, ::1"`},
		{"trusted-proxies", "fe80::1%eth0", `addresses or networks, such as "10.0.0.0/8, ::1"`},
		{"trusted-proxies", "::ffff:10.0.0.0/104", `addresses or networks, such as "10.0.0.0/8, ::1"`},
	} {
		file := writeFile(t, "c.toml", fmt.Sprintf("addr = ':1'\n%s = %q", c.name, c.value))
		want := fmt.Sprintf("%s:2: %s is %q: it must be %s", file, c.name, c.value, c.form)
		if _, err := parseOptions([]string{"-config", file}, io.Discard); err == nil || err.Error() != want {
			t.Errorf("file: %v\nwant %s", err, want)
		}
		t.Setenv(variable(c.name), c.value)
		want = fmt.Sprintf("$%s is %q: it must be %s", variable(c.name), c.value, c.form)
		if _, err := parseOptions(nil, io.Discard); err == nil || err.Error() != want {
			t.Errorf("environment: %v\nwant %s", err, want)
		}
		t.Setenv(variable(c.name), "")
		var output bytes.Buffer
		if _, err := parseOptions([]string{"-" + c.name + "=" + c.value}, &output); !errors.As(err, new(usageError)) || !strings.Contains(output.String(), "-"+c.name) {
			t.Errorf("argument: %v, output\n%s", err, &output)
		}
	}
}

// The demo knows its clients behind the proxies that are named, and no others.
func TestTrustedProxies(t *testing.T) {
	for arg, want := range map[string]string{
		"-quiet":                                 "192.0.2.1",
		"-trusted-proxies=198.51.100.1":          "192.0.2.1",
		"-trusted-proxies=10.0.0.0/8, 192.0.2.1": "203.0.113.9",
		"-trusted-proxies=192.0.2.0/24":          "203.0.113.9",
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
	for args, want := range map[string]string{"": "from the environment", "-auth-key=flag": "flag"} {
		var output bytes.Buffer
		o, err := parseOptions(strings.Fields(args), &output)
		if err != nil || o.authKey != want {
			t.Errorf("%q: key %q, %v", args, o.authKey, err)
		}
	}
	// The help shows defaults, but not this one.
	var output bytes.Buffer
	if _, err := parseOptions([]string{"-help"}, &output); !errors.Is(err, flag.ErrHelp) {
		t.Errorf("-help: %v", err)
	}
	if help := output.String(); !strings.Contains(help, "-auth-key") || strings.Contains(help, "from the environment") {
		t.Errorf("help:\n%s", help)
	}
}

func TestBadOptions(t *testing.T) {
	for args, want := range map[string]string{
		"-nonsense":          "-nonsense",
		"serve":              `unexpected argument: "serve"`,
		"-token-expiry 0":    "-token-expiry",
		"-token-expiry 10ms": "-token-expiry",
		"-token-renewal -1s": "-token-renewal",
	} {
		var output bytes.Buffer
		_, err := parseOptions(strings.Fields(args), &output)
		if !errors.As(err, new(usageError)) || errors.Is(err, flag.ErrHelp) {
			t.Errorf("%q: error %v", args, err)
		}
		if text := output.String(); strings.Count(text, want) == 0 || !strings.Contains(text, "Usage of socketcluster") {
			t.Errorf("%q: output\n%s", args, text)
		}
	}
}
