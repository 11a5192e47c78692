package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

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
		{"-addr 127.0.0.1:0 -quiet", with(func(o *options) { o.addr, o.quiet = "127.0.0.1:0", true })},
		{"-db x.db -client-js y.js", with(func(o *options) { o.db, o.clientJS = "x.db", "y.js" })},
		{"-auth-key k", with(func(o *options) { o.authKey = "k" })},
		{"-auth-key-file k.pem -rules r.json", with(func(o *options) { o.authKeyFile, o.rulesFile = "k.pem", "r.json" })},
		{"-token-expiry 10s -token-renewal 0", with(func(o *options) { o.tokenExpiry, o.tokenRenewal = 10*time.Second, 0 })},
	} {
		var output bytes.Buffer
		got, err := parseOptions(strings.Fields(c.args), &output)
		if err != nil || output.Len() > 0 {
			t.Errorf("%q: %v, output %q", c.args, err, &output)
		}
		if diff := cmp.Diff(c.want, got, cmp.AllowUnexported(options{}, settings{})); diff != "" {
			t.Errorf("%q: %s", c.args, diff)
		}
	}
}

// clearSettings keeps what is set on this machine out of a test.
func clearSettings(t *testing.T) {
	t.Helper()
	for _, name := range append([]string{configSetting, authKeySetting, rulesSetting}, fileSettings...) {
		t.Setenv(variable(name), "")
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
	}
	other := map[string]string{
		"addr": "a2", "db": "d2", "client-js": "c2", "auth-key-file": "k2", "token-expiry": "2h0m0s", "token-renewal": "2m0s", "quiet": "false",
	}
	got := func(o options) map[string]string {
		return map[string]string{
			"addr": o.addr, "db": o.db, "client-js": o.clientJS, "auth-key-file": o.authKeyFile,
			"token-expiry": o.tokenExpiry.String(), "token-renewal": o.tokenRenewal.String(), "quiet": strconv.FormatBool(o.quiet),
		}
	}
	for _, name := range fileSettings {
		if all[name] == "" {
			t.Errorf("the test leaves %s out", name)
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

// What is wrong is told with its place.
func TestBadSettings(t *testing.T) {
	clearSettings(t)
	file := writeFile(t, "c.toml", "quiet = true\ntoken-expiry = \"soon\"")
	if _, err := parseOptions([]string{"-config", file}, io.Discard); err == nil || !strings.Contains(err.Error(), file+`:2: token-expiry is "soon": `) {
		t.Errorf("file: %v", err)
	}
	t.Setenv("SOCKETCLUSTER_TOKEN_EXPIRY", "later")
	if _, err := parseOptions(nil, io.Discard); err == nil || !strings.Contains(err.Error(), `$SOCKETCLUSTER_TOKEN_EXPIRY is "later": `) {
		t.Errorf("environment: %v", err)
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
