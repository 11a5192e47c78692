package main

import (
	"context"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/socketcluster-go/socketcluster"
)

// notInFile are the fields of [socketcluster.Config] that the config file has
// no setting for, and why.
var notInFile = map[string]string{
	"Auth.Key":                    "a key has no place in the file; auth-key-file names its file",
	"Auth.PrivateKey":             "as Auth.Key",
	"Auth.PublicKey":              "as Auth.Key",
	"Auth.SignatureKey":           "is code; auth-key-file gives it",
	"Auth.VerificationKey":        "is code; auth-key-file gives it",
	"Auth.Keys":                   "is code; auth-key-file gives it",
	"Auth.Algorithm":              "the key says it",
	"Auth.VerifyAlgorithms":       "the key says it",
	"Auth.MaxTokenSize":           "limits-token-size sets it",
	"Auth.AllowWeakKey":           "who writes a file can make a strong key",
	"Auth.TokenIDs":               "nothing is revoked by them",
	"Auth.Logger":                 "is code; quiet sets its level",
	"AuthEngine":                  "is code",
	"TokenSources":                "is code; the page sends its token itself",
	"Revocations":                 "is code",
	"TokenRenewal.Margin":         "follows from the other two",
	"TokenRenewal.Jitter":         "follows from the other two",
	"Path":                        "the page knows it",
	"Subprotocol":                 "is code",
	"ProtocolVersion":             "the page speaks 2",
	"Codec":                       "the page speaks JSON",
	"DisableClientPublish":        "rules that let nobody publish do it",
	"Timeouts.Ack":                "the command calls no clients",
	"Timeouts.PingDisabled":       "the page would miss the pings",
	"Compat.KeepSubscriptions":    "rules are to hold after a logout",
	"Compat.SilentUnhandledCalls": "the command has the procedures that there are",
	"Compat.DropWaiting":          "the handlers of the command do not make anybody wait",
	"Compat.LenientHandshake":     "no client needs it",
	"Compat.KeepRequest":          "no handler looks at it",
	"MuteMiddlewareFailures":      "nobody listens to them",
	"Batching.OnHandshake":        "no handler sends so much at once",
	"Batching.Interval":           "as Batching.OnHandshake",
	"Broker":                      "is code",
	"Logger":                      "is code; quiet sets its level",
}

// Each field of the server's settings has a setting in the file, or a reason
// for having none.
func TestEveryFieldHasASetting(t *testing.T) {
	var fields []string
	for _, f := range reflect.VisibleFields(reflect.TypeFor[socketcluster.Config]()) {
		switch f.Name {
		case "Auth", "TokenRenewal", "Timeouts", "Batching", "Compression", "Limits", "Compat":
			for _, part := range reflect.VisibleFields(f.Type) {
				fields = append(fields, f.Name+"."+part.Name)
			}
		default:
			fields = append(fields, f.Name)
		}
	}
	for _, field := range fields {
		set := settingOf(field) != "" && field != "Auth.Key"
		if reason := notInFile[field]; set == (reason != "") {
			t.Errorf("%s: has a setting: %t; a reason for none: %q", field, set, reason)
		}
	}
	for field := range notInFile {
		if !slices.Contains(fields, field) {
			t.Errorf("%s is no field any more", field)
		}
	}
	settings := fileFlags()
	for _, field := range fields {
		if name := settingOf(field); name != "" && name != authKeySetting && settings.Lookup(name) == nil {
			t.Errorf("%s is set by %s, which is no setting", field, name)
		}
	}
	for _, s := range slices.Concat(tokenSettings, connectionSettings, limitSettings) {
		if !slices.Contains(fields, s.field) {
			t.Errorf("%s sets %s, which is no field", s.name, s.field)
		}
	}
}

// The help of each limit begins with its unit, and has the default.
func TestLimitsAreDescribed(t *testing.T) {
	defaults := socketcluster.DefaultConfig()
	for _, s := range limitSettings {
		f := fileFlags().Lookup(s.name)
		if want := fmt.Sprint(fieldOf(&defaults, s.field)); f.DefValue != want || want == "0" || f.Usage == "" {
			t.Errorf("%s: the default is shown as %s, want %s; usage %q", f.Name, f.DefValue, want, f.Usage)
		}
	}
	help := strings.Join(strings.Fields(runWith(t, "", "serve", "--help").out), " ")
	for _, want := range []string{
		"--limits-message-size int bytes of a message from a client; a larger one closes the connection (default 1048576)",
		"--limits-batch-size int packets in one message (default 5000)",
		"--limits-outbox-stall duration time that a client may accept nothing while something waits (default 10s)",
	} {
		if !strings.Contains(help, want) {
			t.Errorf("the help lacks %q", want)
		}
	}
}

// Faults that only the server can detect are reported with the name of the
// setting.
func TestBadServerSettings(t *testing.T) {
	clearSettings(t)
	for args, want := range map[string]string{
		"--origins=example.com":            `the setting origins has the entry "example.com"`,
		"--origins=,a.com:443":             `the setting origins has the entry ""`,
		"--trusted-proxies=::1,proxy":      `the setting trusted-proxies has the entry "proxy"; each must be an address`,
		"--protocol1-path=v1":              `the setting protocol1-path is "v1"; it must be the path of a URL`,
		"--protocol1-path=/socketcluster/": `the setting protocol1-path is "/socketcluster/", the same as Path`,
		"--limits-depth=1000000":           `the setting limits-depth is 1000000; it must be at most 10000, the limit of the parser`,
		"--ping-timeout=10000h":            `the setting ping-timeout is 10000h0m0s; clients accept at most`,
		"--limits-message-size=1000 --limits-handshake-message-size=2000": `the setting limits-handshake-message-size is 2000; it must not be larger`,
	} {
		o, err := parseOptions(strings.Fields(args))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := newDemo(context.Background(), o, slog.New(slog.DiscardHandler)); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v\nwant %s", args, err, want)
		}
	}
}
