package main

import (
	"bytes"
	"errors"
	"flag"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestOptions(t *testing.T) {
	t.Setenv(authKeyVariable, "")
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
		{"-token-expiry 10s -token-renewal 0", with(func(o *options) { o.tokenExpiry, o.tokenRenewal = 10*time.Second, 0 })},
	} {
		var output bytes.Buffer
		got, err := parseOptions(strings.Fields(c.args), &output)
		if err != nil || output.Len() > 0 {
			t.Errorf("%q: %v, output %q", c.args, err, &output)
		}
		if diff := cmp.Diff(c.want, got, cmp.AllowUnexported(options{})); diff != "" {
			t.Errorf("%q: %s", c.args, diff)
		}
	}
}

func TestAuthKeyOfTheEnvironment(t *testing.T) {
	t.Setenv(authKeyVariable, "from the environment")
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
