package main

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
)

// A mistake in the arguments is told in three lines at most: what is wrong, the
// nearest name, and how to get help.
func TestMisuse(t *testing.T) {
	for args, want := range map[string]string{
		"srve":                        "unknown command \"srve\" for \"socketcluster\"\nDid you mean this? serve\n\"socketcluster --help\" tells more",
		"chekc --no-token":            "unknown command \"chekc\" for \"socketcluster\"\nDid you mean this? check\n\"socketcluster --help\" tells more",
		"nonsense --addr :1":          "unknown command \"nonsense\" for \"socketcluster\"\n\"socketcluster --help\" tells more",
		"token vefiry":                "invalid argument \"vefiry\" for \"socketcluster token\"\nDid you mean this? verify\n\"socketcluster token --help\" tells more",
		"token":                       "accepts 1 arg(s), received 0\n\"socketcluster token --help\" tells more",
		"help chekc":                  "unknown command \"chekc\" for \"socketcluster\"\nDid you mean this? check\n\"socketcluster --help\" tells more",
		"--adr :1":                    "unknown flag: --adr\nDid you mean this? --addr\n\"socketcluster serve --help\" tells more",
		"-addr=:1":                    "unknown flag: -addr\nDid you mean this? --addr\n\"socketcluster serve --help\" tells more",
		"-quite":                      "unknown flag: -quite\nDid you mean this? --quiet\n\"socketcluster serve --help\" tells more",
		"serve --limit-message-size=": "unknown flag: --limit-message-size\nDid you mean this? --limits-message-size\n\"socketcluster serve --help\" tells more",
		"serve --nonsense":            "unknown flag: --nonsense\n\"socketcluster serve --help\" tells more",
		"check --nonsense":            "unknown flag: --nonsense\n\"socketcluster check --help\" tells more",
		"serve --addr":                "flag needs an argument: --addr\n\"socketcluster serve --help\" tells more",
		"serve --token-expiry soon":   "invalid argument \"soon\" for \"--token-expiry\" flag: must be a duration like \"30s\" or \"5m\"\n\"socketcluster serve --help\" tells more",
		"serve serve":                 "unknown command \"serve\" for \"socketcluster serve\"\n\"socketcluster serve --help\" tells more",
		"--auth-key a extra":          "unknown command \"extra\" for \"socketcluster serve\"\n\"socketcluster serve --help\" tells more",
		"check --claims x --no-token": "a token, --claims and --no-token exclude each other\n\"socketcluster check --help\" tells more",
		"version 1":                   "unknown command \"1\" for \"socketcluster version\"\n\"socketcluster version --help\" tells more",
		"man":                         "accepts 1 arg(s), received 0\n\"socketcluster man --help\" tells more",
	} {
		clearSettings(t)
		if o := runWith(t, "", strings.Fields(args)...); o.status != 2 || o.out != "" || o.err != "socketcluster: "+want+"\n" {
			t.Errorf("%q: %+v\nwant %s", args, o, want)
		}
	}
}

// Help is on the standard output, and fits a terminal.
func TestHelp(t *testing.T) {
	for args, want := range map[string]string{
		"--help":            "  check       Reports",
		"-h":                "  serve       Serves",
		"help":              "  token       Signs",
		"serve --help":      "--limits-outbox",
		"help serve":        "--limits-outbox",
		"help check":        "Examples:\n  socketcluster check",
		"check --help":      "--auth-key-file",
		"token --help":      "  verify      Prints",
		"token sign --help": "--auth-key-file",
		"help token verify": "--auth-key-file",
		"completion --help": "bash",
		"--addr :1 --help":  "--limits-outbox",
	} {
		o := runWith(t, "", strings.Fields(args)...)
		if o.status != 0 || o.err != "" || !strings.Contains(o.out, want) {
			t.Errorf("%q: %+v", args, o)
		}
		for line := range strings.Lines(o.out) {
			if len(line) > helpWidth+1 {
				t.Errorf("%q has a line of %d characters: %s", args, len(line), line)
			}
		}
	}
}

// The help of a command shows no flag that it does not take.
func TestHelpOfCompare(t *testing.T) {
	if o := runWith(t, "", "bench", "compare", "--help"); o.status != 0 || !strings.Contains(o.out, "compare old.json new.json") || strings.Contains(o.out, "--connections") {
		t.Errorf("%+v", o)
	}
}

// The last error of a command may be a server's, such as its reason to refuse a handshake.
func TestErrorsArePrintable(t *testing.T) {
	var b strings.Builder
	if status := exit(statusError{errors.New("refused: \x1b[2J"), 2}, &b); status != 2 || b.String() != `socketcluster: refused: \u001b[2J`+"\n" {
		t.Errorf("status %d, %q", status, b.String())
	}
}

func TestVersion(t *testing.T) {
	want := regexp.MustCompile(`^socketcluster version \S+ \(` + regexp.QuoteMeta(runtime.Version()) + `, \w+/\w+\)\n$`)
	for _, args := range []string{"version", "--version", "-v"} {
		if o := runWith(t, "", args); o.status != 0 || o.err != "" || !want.MatchString(o.out) {
			t.Errorf("%q: %+v", args, o)
		}
	}
}

func TestManPages(t *testing.T) {
	dir := t.TempDir()
	if o := runWith(t, "", "man", dir); o.status != 0 || o.out+o.err != "" {
		t.Fatalf("man: %+v", o)
	}
	for name, want := range map[string]string{
		"socketcluster":              "check",
		"socketcluster-serve":        `--limits-message-size`,
		"socketcluster-check":        "--no-token",
		"socketcluster-cluster":      "metrics-addr",
		"socketcluster-token-sign":   "claims",
		"socketcluster-token-verify": "unverified",
	} {
		if text, err := os.ReadFile(filepath.Join(dir, name+".1")); err != nil || !strings.Contains(string(text), want) {
			t.Errorf("%s: %v\n%s", name, err, text)
		}
	}
	if o := runWith(t, "", "man", filepath.Join(dir, "none")); o.status != 1 || !strings.Contains(o.err, "none") {
		t.Errorf("man into no folder: %+v", o)
	}
}

func TestCompletion(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		if o := runWith(t, "", "completion", shell); o.status != 0 || !strings.Contains(o.out, "socketcluster") {
			t.Errorf("%s: %+v", shell, o)
		}
	}
	for args, want := range map[string]string{
		"ch":                   "check\t",
		"token ":               "verify\t",
		"serve --limits-mess":  "--limits-message-size",
		"check --op subscribe": ":0\n",
	} {
		o := runWith(t, "", append([]string{"__complete"}, strings.Split(args, " ")...)...)
		if o.status != 0 || !strings.Contains(o.out, want) {
			t.Errorf("%q: %+v", args, o)
		}
	}
}
