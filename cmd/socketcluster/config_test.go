package main

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/cluster"
	"github.com/socketcluster-go/socketcluster/rules"
)

func TestConfig(t *testing.T) {
	c, err := parseConfig("c.toml", []byte(`
		addr = ":1"
		quiet = true
		[[rules]]
		channel = "room/*"
		in = "rooms"
		subscribe = "authenticated"
		publish = "authenticated"
		presence = "authenticated"
		[[rules]]
		channel = "chat"
		subscribe = "anyone"
		[[history]]
		channel = "room/*"
		size = 100
		age = "24h"
		[[history]]
		channel = "chat"
		size = 1
		age = "1s"
		copies = 1
	`))
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]configValue{"addr": {":1", "c.toml:2"}, "quiet": {"true", "c.toml:3"}}
	if diff := cmp.Diff(values, c.values, cmp.AllowUnexported(configValue{})); diff != "" {
		t.Error(diff)
	}
	list := []rules.Rule{
		{Channel: "room/*", In: "rooms", Subscribe: rules.Authenticated, Publish: rules.Authenticated, Presence: rules.Authenticated},
		{Channel: "chat", Subscribe: rules.Anyone},
	}
	if diff := cmp.Diff(list, c.rules.Rules()); diff != "" {
		t.Error(diff)
	}
	history := []cluster.HistoryRule{{Channel: "room/*", Size: 100, Age: 24 * time.Hour}, {Channel: "chat", Size: 1, Age: time.Second, Copies: 1}}
	if diff := cmp.Diff(history, c.history); diff != "" || c.historyPlace != "c.toml:13" {
		t.Errorf("at %s: %s", c.historyPlace, diff)
	}
}

// A file without rules leaves the demo's in force. An empty list may mean that or
// the opposite, and is refused.
func TestConfigWithoutRules(t *testing.T) {
	if c, err := parseConfig("c.toml", []byte(`addr = ":1"`)); err != nil || c.rules != nil {
		t.Errorf("without: %+v, %v", c, err)
	}
	want := `c.toml:2: "rules" is empty: leave it out for the rules of the demo; to deny everything, set --rules to a JSON file that contains []`
	if c, err := parseConfig("c.toml", []byte("addr = ':1'\nrules = []")); err == nil || err.Error() != want {
		t.Errorf("with none: %+v\ngot  %v\nwant %s", c, err, want)
	}
}

func TestBadConfigs(t *testing.T) {
	const (
		unknown = ` is not a setting`
		members = ` is nothing that a rule has; that is channel, in, subscribe, publish, presence`
		array   = `"rules" must be an array of tables: [[rules]]`
	)
	for text, want := range map[string]string{
		"quiet = true\ncolour = 'red'":                        `c.toml:2: "colour"` + unknown,
		"auth-key = 'secret'":                                 `c.toml:1: "auth-key" is not a setting` + "\n" + `Did you mean this? auth-key-file`,
		"addr = ':1'\nADDR = ':2'":                            `c.toml:2: "ADDR" is not a setting` + "\n" + `Did you mean this? addr`,
		"\n[server]\naddr = ':1'":                             `c.toml:2: "server"` + unknown,
		"[[Rules]]\nchannel = 'a'":                            `c.toml:1: "Rules" is not a setting`,
		"addr = ':1'\naddr = ':2'":                            `c.toml:2: key addr is already defined`,
		"addr = ':1'\nquiet true":                             `c.toml:2: expected '=' after key`,
		"addr = 8000":                                         `c.toml:1: "addr" must be a text in quotes`,
		"quiet = true\ntoken-expiry = 5":                      `c.toml:2: "token-expiry" must be a time such as "10s"`,
		"token-renewal = 1.5":                                 `c.toml:1: "token-renewal" must be a time such as "10s"`,
		"trusted-proxies = ['::1']":                           `c.toml:1: "trusted-proxies" must be a text in quotes`,
		"limits-messagesize = 1":                              `c.toml:1: "limits-messagesize" is not a setting` + "\n" + `Did you mean this? limits-message-size`,
		"\nlimits-message-size = 1.5":                         `c.toml:2: "limits-message-size" must be a whole number`,
		"limits-outbox-stall = 10":                            `c.toml:1: "limits-outbox-stall" must be a time such as "10s"`,
		"compression-level = [1]":                             `c.toml:1: "compression-level" must be a whole number`,
		"db = true":                                           `c.toml:1: "db" must be a text in quotes`,
		"quiet = 1":                                           `c.toml:1: "quiet" must be true or false`,
		"[[rules]]\nchannel = 'a'\n[[rules]]\nchannels = 'a'": `c.toml:4: "rules.channels"` + members,
		"[[rules]]\nchannel = 'a'\nSubscribe = 'anyone'":      `c.toml:3: "rules.Subscribe"` + members,
		"rules = [{channel = 'a'},\n{addr = 'b'}]":            `c.toml:2: "rules.addr"` + members,
		"[[rules]]\nchannel = 'a'\n[[rules]]\nchannel = 7":    `c.toml:4: "rules.channel" must be a text in quotes`,
		"[[rules]]\nsubscribe = ['anyone']":                   `c.toml:2: "rules.subscribe" must be a text in quotes`,
		"quiet = true\n[rules]\nchannel = 'a'":                `c.toml:2: ` + array,
		"rules = 1":                                           `c.toml:1: ` + array,
		"rules = [1]":                                         `c.toml:1: ` + array,
		"[[rules]]\nchannel = 'a'\n[[rules]]\nsubscribe = 'all'\nchannel='b'": `c.toml:4: rules: rule 1: subscribe is "all"; it must be "anyone" or "authenticated"`,
		"history = 1":  `c.toml:1: "history" must be an array of tables: [[history]]`,
		"history = []": `c.toml:1: "history" must be an array of tables: [[history]]`,
		"[[history]]":  `c.toml:1: rule 0 of "history" has no channel`,
		"[[history]]\nchannel = 'a'\nsize = 1\nage = '1h'\n[[history]]\nsize = 1": `c.toml:6: rule 1 of "history" has no channel`,
		"[[history]]\nchannel = 'a'\nsize = 0":                                    `c.toml:3: "history.size": the size is 0; it must be 1 to 10000`,
		"[[history]]\nchannel = 'a'\nsize = '1'":                                  `c.toml:3: "history.size" must be a whole number`,
		"[[history]]\ncopies = 6":                                                 `c.toml:2: "history.copies": there are 6 copies; it must be 1 to 5`,
		"[[history]]\nage = '0.5s'":                                               `c.toml:2: "history.age": the age is 500ms; it must be 1s to 8760h0m0s`,
		"[[history]]\nage = 5":                                                    `c.toml:2: "history.age" must be a time such as "24h"`,
		"[[history]]\nchannel = 'a/{b}'":                                          `c.toml:2: "history.channel": the pattern "a/{b}" has a {; claims mean nothing here`,
		"[[history]]\nchannel = 1":                                                `c.toml:2: "history.channel" must be a text in quotes`,
		"[[history]]\nchannel = 'a'\nreplicas = 3":                                `c.toml:3: "history.replicas" is nothing that a history has; that is channel, size, age, copies`,
		"history = [{channel = 'a'},\n{length = 1}]":                              `c.toml:1: rule 0 of "history" has no size`,
		"[[rules]]": `c.toml:1: rules: rule 0 has neither channel nor in`,
	} {
		if c, err := parseConfig("c.toml", []byte(text)); err == nil || err.Error() != want {
			t.Errorf("%q: %+v\ngot  %v\nwant %s", text, c, err, want)
		}
	}
}

// The example shows each setting but one that few need, some of the limits, and
// its rules.
func TestExampleConfig(t *testing.T) {
	clearSettings(t)
	o, err := parseOptions([]string{"--config", "socketcluster.example.toml"})
	if err != nil {
		t.Fatal(err)
	}
	want := options{
		settings: settings{configFile: "socketcluster.example.toml", authKeyFile: "auth.key", configRules: o.configRules},
		addr:     "127.0.0.1:8000", db: "users.db", tokenExpiry: defaultTokenExpiry, tokenRenewal: defaultTokenRenewal,
	}
	want.server.TrustedProxies = []string{"127.0.0.1", "::1"}
	want.server.Origins = []string{"*:*"}
	want.server.Timeouts = socketcluster.Timeouts{
		Handshake: 10 * time.Second, PingInterval: 8 * time.Second, Ping: 30 * time.Second,
		Close: 3 * time.Second, Reauthorize: 10 * time.Second, Shutdown: 25 * time.Second,
	}
	want.cluster = clusterSettings{name: "socketcluster", cutOff: cluster.DefaultCutOff, historyBytes: cluster.DefaultHistoryBytes}
	want.server.DrainRate = socketcluster.DefaultDrainRate
	want.server.Compression.Threshold = socketcluster.DefaultCompressionThreshold
	want.server.Limits = socketcluster.Limits{ConnectionsPerAddress: 10_000, MessageSize: 1 << 20, OutboxDrain: 30 * time.Second, OutboxStall: 10 * time.Second}
	o.places = nil
	if diff := cmp.Diff(want, o, cmp.AllowUnexported(options{}, settings{}, clusterSettings{}), sameAuth, cmp.Comparer(func(a, b *rules.Set) bool { return a == b })); diff != "" {
		t.Error(diff)
	}
	if n := len(o.configRules.Rules()); n != 3 {
		t.Errorf("it has %d rules", n)
	}
	c, err := readConfig("socketcluster.example.toml")
	if err != nil {
		t.Fatal(err)
	}
	fileFlags().VisitAll(func(f *pflag.Flag) {
		if _, ok := c.values[f.Name]; !ok && f.Name != "client-js" && !strings.HasPrefix(f.Name, "limits-") {
			t.Errorf("it does not show %s", f.Name)
		}
	})
}

// What is accepted has nothing in it that is passed over.
func FuzzParseConfig(f *testing.F) {
	f.Add("addr = ':1'\nquiet = true\n[[rules]]\nchannel = 'chat'\nsubscribe = 'anyone'")
	f.Add("rules = [{channel = 'a/{b}'}, {in = 'c'}]")
	f.Add("[[history]]\nchannel = 'a'\nsize = 1\nage = '1h'\n[[history]]\nsize = -1")
	f.Add("Rules = []\nADDR = ''")
	f.Add("[[rules]]\n[rules.in]\na.b = 1979-05-27")
	f.Add("token-expiry = \"\"\"\\\n 1h\"\"\" # \xff")
	flags := fileFlags()
	f.Fuzz(func(t *testing.T, text string) {
		c, err := parseConfig("c.toml", []byte(text))
		if err != nil {
			if !strings.HasPrefix(err.Error(), "c.toml:") {
				t.Errorf("the error does not name the file: %v", err)
			}
			return
		}
		lines := strings.Count(text, "\n") + 1
		for name, value := range c.values {
			_, line, ok := strings.Cut(value.place, ":")
			if n, err := strconv.Atoi(line); flags.Lookup(name) == nil || ok && (err != nil || n > lines) {
				t.Errorf("%s is %+v", name, value)
			}
		}
		if c.rules != nil {
			if _, err := rules.New(c.rules.Rules()...); err != nil {
				t.Error(err)
			}
		}
	})
}
