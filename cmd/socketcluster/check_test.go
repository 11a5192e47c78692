package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const checkRules = `[
	{"channel": "chat", "subscribe": "anyone", "publish": "authenticated"},
	{"channel": "user/{username}"},
	{"channel": "room/*", "in": "rooms", "subscribe": "authenticated", "presence": "authenticated"},
	{"channel": "log/{username}/*", "publish": "authenticated"}
]`

// lines are the lines of a text, with single spaces.
func lines(text string) []string {
	var all []string
	for line := range strings.Lines(text) {
		all = append(all, strings.Join(strings.Fields(line), " "))
	}
	return all
}

func TestCheckLists(t *testing.T) {
	clearSettings(t)
	t.Setenv("SOCKETCLUSTER_AUTH_KEY", testKey)
	token := signed(t, `{"username":"alice","rooms":["staff",7],"exp":4102444800}`)
	flag := "--rules=" + writeFile(t, "rules.json", checkRules)
	o := runWith(t, token, "check", flag)
	want := []string{
		"The token is good. It expires at 2100-01-01T00:00:00Z.",
		"rule 0 (chat) chat subscribe, publish",
		"rule 1 (user/{username}) user/alice subscribe, publish, presence",
		"rule 2 (room/* in rooms) room/staff subscribe, presence",
		"rule 2 (room/* in rooms) room/7 subscribe, presence",
		"rule 3 (log/{username}/*) log/alice/* publish (any text for *)",
	}
	if diff := cmp.Diff(want, lines(o.out)); diff != "" || o.status != 0 || o.err != "" {
		t.Errorf("%+v\n%s", o, diff)
	}
	o = runWith(t, token, "check", flag, "--op=publish")
	want = []string{
		"The token is good. It expires at 2100-01-01T00:00:00Z.",
		"rule 0 (chat) chat publish",
		"rule 1 (user/{username}) user/alice publish",
		"rule 2 (room/* in rooms) - nothing: it is about other operations",
		"rule 2 (room/* in rooms) - nothing: it is about other operations",
		"rule 3 (log/{username}/*) log/alice/* publish (any text for *)",
	}
	if diff := cmp.Diff(want, lines(o.out)); diff != "" {
		t.Error(diff)
	}
	o = runWith(t, "", "check", flag, "--no-token")
	want = []string{
		"A client without a token.",
		"rule 0 (chat) chat subscribe",
		"rule 1 (user/{username}) - nothing: there is no token",
		"rule 2 (room/* in rooms) - nothing: there is no token",
		"rule 3 (log/{username}/*) - nothing: there is no token",
	}
	if diff := cmp.Diff(want, lines(o.out)); diff != "" || o.status != 0 {
		t.Error(diff)
	}
	o = runWith(t, "", "check", "--no-token", "--rules="+writeFile(t, "none.json", "[]"))
	if o.status != 0 || !strings.Contains(o.out, "There are no rules, so that everything is denied.") {
		t.Errorf("no rules: %+v", o)
	}
}

func TestCheckChannels(t *testing.T) {
	clearSettings(t)
	t.Setenv("SOCKETCLUSTER_AUTH_KEY", testKey)
	token := signed(t, `{"username":"alice","rooms":"staff","exp":4102444800}`)
	flag := "--rules=" + writeFile(t, "rules.json", checkRules)
	o := runWith(t, token, "check", flag, "room/staff", "user/bob")
	want := []string{
		"The token is good. It expires at 2100-01-01T00:00:00Z.",
		"allowed subscribe room/staff rule 2 (room/* in rooms)",
		"denied publish room/staff rule 2 (room/* in rooms): it allows nobody to publish",
		"allowed presence room/staff rule 2 (room/* in rooms)",
		"denied subscribe user/bob rule 1 (user/{username}): the claim username has another value",
		"denied publish user/bob rule 1 (user/{username}): the claim username has another value",
		"denied presence user/bob rule 1 (user/{username}): the claim username has another value",
	}
	if diff := cmp.Diff(want, lines(o.out)); diff != "" || o.status != 1 || o.err != "" {
		t.Errorf("%+v\n%s", o, diff)
	}
	for args, status := range map[string]int{
		"--op=subscribe chat user/alice":          0,
		"--op=subscribe chat user/alice user/bob": 1,
		"--op=subscribe,presence room/staff":      0,
		"--op=subscribe,publish room/staff":       1,
		"--op=publish --op=subscribe room/staff":  1,
		"--op=publish log/alice/x":                0,
		"--op=publish log/bob/x":                  1,
		"--op=subscribe none":                     1,
	} {
		if o := runWith(t, token, append([]string{"check", flag}, strings.Fields(args)...)...); o.status != status || o.err != "" {
			t.Errorf("%q: %+v, want %d", args, o, status)
		}
	}
}

// Rules, key and token may be in files.
func TestCheckReadsFiles(t *testing.T) {
	clearSettings(t)
	key := writeFile(t, "auth.key", testKey)
	file := writeFile(t, "c.toml", "auth-key-file = '"+key+"'\naddr = ':1'\n[[rules]]\nchannel = 'user/{username}'")
	token := writeFile(t, "token", signed(t, `{"username":"alice"}`, "--config="+file))
	if o := runWith(t, "", "check", "--config", file, "--token-file", token, "user/alice"); o.status != 0 {
		t.Errorf("config: %+v", o)
	}
	// The rules of the flag replace those of the file.
	flag := "--rules=" + writeFile(t, "rules.json", checkRules)
	if o := runWith(t, "", "check", "--config", file, flag, "--op=publish", "--token-file", token, "chat"); o.status != 0 {
		t.Errorf("config and rules: %+v", o)
	}
	claims := writeFile(t, "claims.json", `{"username":"bob"}`)
	o := runWith(t, "", "check", "--config", file, "--claims", claims, "--op=publish", "user/bob")
	if o.status != 0 || !strings.HasPrefix(o.out, "NOT VERIFIED: these are claims from a file.\nallowed") {
		t.Errorf("claims: %+v", o)
	}
}

func TestCheckJSON(t *testing.T) {
	clearSettings(t)
	flag := "--rules=" + writeFile(t, "rules.json", checkRules)
	claims := "--claims=" + writeFile(t, "claims.json", `{"username":"alice"}`)
	o := runWith(t, "", "check", flag, claims, "--json", "--op=publish", "chat", "room/staff")
	want := map[string]any{
		"standing": "NOT VERIFIED: these are claims from a file.",
		"decisions": []any{
			map[string]any{"channel": "chat", "op": "publish", "allowed": true, "reason": "rule 0 (chat)"},
			map[string]any{"channel": "room/staff", "op": "publish", "allowed": false, "reason": "rule 2 (room/* in rooms): it allows nobody to publish"},
		},
	}
	var got map[string]any
	if err := json.Unmarshal([]byte(o.out), &got); err != nil || o.status != 1 {
		t.Fatalf("%+v: %v", o, err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	o = runWith(t, "", "check", flag, claims, "--json", "--op=publish")
	want = map[string]any{
		"standing": "NOT VERIFIED: these are claims from a file.",
		"grants": []any{
			map[string]any{"rule": 0.0, "pattern": "chat", "channel": "chat", "ops": []any{"publish"}},
			map[string]any{"rule": 1.0, "pattern": "user/{username}", "channel": "user/alice", "ops": []any{"publish"}},
			map[string]any{"rule": 2.0, "pattern": "room/* in rooms", "reason": "the token has no claim rooms"},
			map[string]any{"rule": 3.0, "pattern": "log/{username}/*", "channel": "log/alice/*", "wildcard": true, "ops": []any{"publish"}},
		},
	}
	got = nil
	if err := json.Unmarshal([]byte(o.out), &got); err != nil || o.status != 0 {
		t.Fatalf("%+v: %v", o, err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// Claims cannot write to the terminal, and an * of theirs is no wildcard.
func TestCheckQuotesNames(t *testing.T) {
	clearSettings(t)
	flag := "--rules=" + writeFile(t, "rules.json", `[{"in":"channels"}]`)
	claims := writeFile(t, "claims.json", `{"channels":["a\u001b[2J","*","two words","\u202egnp",""," x","plain/ü"]}`)
	o := runWith(t, "", "check", flag, "--op=subscribe", "--claims", claims)
	want := []string{
		"NOT VERIFIED: these are claims from a file.",
		`rule 0 (* in channels) "a\x1b[2J" subscribe`,
		`rule 0 (* in channels) "*" subscribe`,
		`rule 0 (* in channels) "two words" subscribe`,
		`rule 0 (* in channels) "\u202egnp" subscribe`,
		`rule 0 (* in channels) " x" subscribe`,
		`rule 0 (* in channels) plain/ü subscribe`,
	}
	if diff := cmp.Diff(want, lines(o.out)); diff != "" {
		t.Error(diff)
	}
}

func TestCheckTrouble(t *testing.T) {
	clearSettings(t)
	flag := "--rules=" + writeFile(t, "rules.json", checkRules)
	claims := "--claims=" + writeFile(t, "claims.json", "{}")
	for args, want := range map[string]string{
		"--no-token --config none.toml":                   "none.toml",
		"--no-token --rules none.json":                    "none.json",
		"--no-token --rules " + claims[len("--claims="):]: "claims.json: rules: not a JSON array of rules",
		flag:                                  "no key is set: use --auth-key-file or $SOCKETCLUSTER_AUTH_KEY",
		flag + " --claims none.json":          "none.json",
		flag + " " + claims + " --no-token":   "exclude each other",
		flag + " " + claims + " --unverified": "exclude each other",
		flag + " --token-file=x --no-token":   "exclude each other",
		flag + " --no-token --op=write chat":  "the operations are subscribe, publish and presence",
		flag + " --nonsense":                  "--nonsense",
	} {
		if o := runWith(t, "x", append([]string{"check"}, strings.Fields(args)...)...); o.status != 2 || o.out != "" || !strings.Contains(o.err, want) {
			t.Errorf("%q: %+v, want %q", args, o, want)
		}
	}
	bad := "--claims=" + writeFile(t, "bad.json", "[]")
	if o := runWith(t, "", "check", flag, bad); o.status != 2 || !strings.Contains(o.err, "bad.json") {
		t.Errorf("claims that are none: %+v", o)
	}
}

// Without rules, those of the demo are checked, and the output says so.
func TestCheckDemoRules(t *testing.T) {
	clearSettings(t)
	const note = "No rules are set: these are the rules of the demo."
	o := runWith(t, "", "check", "--no-token")
	want := []string{
		"A client without a token.",
		note,
		"rule 0 (chat) chat subscribe",
		"rule 1 (* in channels) - nothing: there is no token",
		"rule 2 (user/*) - nothing: there is no token",
	}
	if diff := cmp.Diff(want, lines(o.out)); diff != "" || o.status != 0 || o.err != "" {
		t.Errorf("%+v\n%s", o, diff)
	}
	if o := runWith(t, "", "check", "--no-token", "--op=publish", "chat"); o.status != 1 || !strings.Contains(o.out, note) || !strings.Contains(o.out, "denied") {
		t.Errorf("chat: %+v", o)
	}
	if o := runWith(t, "", "check", "--no-token", "--json"); o.status != 0 || !strings.Contains(o.out, `"rules": "`+note+`"`) {
		t.Errorf("JSON: %+v", o)
	}
	// A file without rules has none.
	if o := runWith(t, "", "check", "--no-token", "--config", writeFile(t, "c.toml", "addr = ':1'")); o.status != 0 || !strings.Contains(o.out, note) {
		t.Errorf("file without rules: %+v", o)
	}
}
