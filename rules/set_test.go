package rules_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/socketcluster-go/socketcluster/rules"
)

func TestErrors(t *testing.T) {
	for _, c := range []struct {
		rule  rules.Rule
		field string
		want  string
	}{
		{rules.Rule{}, "", `rules: rule 1 has neither channel nor in`},
		{rules.Rule{Publish: rules.Anyone}, "", `rules: rule 1 has neither channel nor in`},
		{rules.Rule{Channel: "a{b"}, "channel", `rules: rule 1: channel "a{b" has a { without a }`},
		{rules.Rule{Channel: "a{b{c}"}, "channel", `rules: rule 1: channel "a{b{c}" has a { without a }`},
		{rules.Rule{Channel: "a}"}, "channel", `rules: rule 1: channel "a}" has a } without a {`},
		{rules.Rule{Channel: "a/{}"}, "channel", `rules: rule 1: channel "a/{}" has {} without the name of a claim`},
		{rules.Rule{Channel: "*/a/*"}, "channel", `rules: rule 1: channel "*/a/*" has more than one *`},
		{rules.Rule{Channel: "**"}, "channel", `rules: rule 1: channel "**" has two placeholders without text between them`},
		{rules.Rule{Channel: "{a}{b}"}, "channel", `rules: rule 1: channel "{a}{b}" has two placeholders without text between them`},
		{rules.Rule{Channel: "{a}*"}, "channel", `rules: rule 1: channel "{a}*" has two placeholders without text between them`},
		{rules.Rule{Channel: "team-{team}-*"}, "channel", `rules: rule 1: channel "team-{team}-*" has only "-" between {team} and *, whose values may contain it; separate them by another character, as in "team-{team}/*"`},
		{rules.Rule{Channel: "{tenant}-{user}"}, "channel", `rules: rule 1: channel "{tenant}-{user}" has only "-" between {tenant} and {user}, whose values may contain it; separate them by another character, as in "{tenant}/{user}"`},
		{rules.Rule{Channel: "t/{a}.{b}_*", In: "c"}, "channel", `rules: rule 1: channel "t/{a}.{b}_*" has only "_" between {b} and *, whose values may contain it; separate them by another character, as in "t/{a}.{b}/*"`},
		{rules.Rule{Channel: "*-room1-{a}x{b}"}, "channel", `rules: rule 1: channel "*-room1-{a}x{b}" has only "-room1-" between * and {a}, whose values may contain it; separate them by another character, as in "*/room1/{a}/x/{b}"`},
		{rules.Rule{Channel: "a\xff"}, "channel", `rules: rule 1: channel "a\xff" is not valid UTF-8`},
		{rules.Rule{Channel: "room/{id}", In: "rooms"}, "in", `rules: rule 1: in is "rooms", but channel "room/{id}" has no * for it`},
		{rules.Rule{Channel: "a", Subscribe: "all"}, "subscribe", `rules: rule 1: subscribe is "all"; it must be "anyone" or "authenticated"`},
		{rules.Rule{Channel: "a", Presence: "Anyone"}, "presence", `rules: rule 1: presence is "Anyone"; it must be "anyone" or "authenticated"`},
		{rules.Rule{Channel: "u/{id}", Publish: rules.Anyone}, "publish", `rules: rule 1: publish is "anyone", but only a token has the claim "id"`},
		{rules.Rule{In: "rooms", Subscribe: rules.Anyone}, "subscribe", `rules: rule 1: subscribe is "anyone", but only a token has the claim "rooms"`},
	} {
		_, err := rules.New(rules.Rule{Channel: "good"}, c.rule)
		var e *rules.Error
		if !errors.As(err, &e) || err.Error() != c.want || e.Rule != 1 || e.Field != c.field {
			t.Errorf("got  %v\nwant %s", err, c.want)
		}
	}
}

func TestMustNew(t *testing.T) {
	defer func() {
		if _, ok := recover().(*rules.Error); !ok {
			t.Error("no panic with an Error")
		}
	}()
	rules.MustNew(rules.Rule{})
}

func TestRulesAreAsGiven(t *testing.T) {
	list := []rules.Rule{{In: "channels"}, {Channel: "chat", Subscribe: rules.Anyone}, {Channel: "room/*", In: "rooms", Presence: rules.Authenticated}}
	set := newSet(t, list...)
	if diff := cmp.Diff(list, set.Rules()); diff != "" {
		t.Error(diff)
	}
	set.Rules()[0] = rules.Rule{}
	if diff := cmp.Diff(list, set.Rules()); diff != "" {
		t.Errorf("a copy is none: %s", diff)
	}
}

func TestParse(t *testing.T) {
	set, err := rules.Parse([]byte(`[
		{"channel": "chat", "subscribe": "anyone", "publish": "authenticated"},
		{"channel": "room/*", "in": "rooms", "presence": "authenticated"},
		{"in": "channels"}
	]`))
	if err != nil {
		t.Fatal(err)
	}
	got := set.Check(tokenOf(t, `{"rooms":["a"],"channels":["b"]}`))
	want := []rules.Grant{
		{Rule: 0, Channel: "chat", Wildcard: -1, Ops: []rules.Op{rules.Subscribe, rules.Publish}},
		{Rule: 1, Channel: "room/a", Wildcard: -1, Ops: []rules.Op{rules.Presence}},
		{Rule: 2, Channel: "b", Wildcard: -1, Ops: allOps},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestParseErrors(t *testing.T) {
	for text, want := range map[string]string{
		``:                                   "rules: not a JSON array",
		`{}`:                                 "rules: not a JSON array",
		`[{"in":"a"}`:                        "rules: not a JSON array",
		`[{"in":"a"},"x"]`:                   "rules: rule 1 is not a JSON object",
		`[null]`:                             "rules: rule 0 is not a JSON object",
		`[{"in":"a"},{"chanel":"x"}]`:        "rules: rule 1 cannot be read: ",
		`[{"In":"a"}]`:                       "rules: rule 0 cannot be read: ",
		`[{"in":["a"]}]`:                     "rules: rule 0 cannot be read: ",
		`[{"in":"a","in":"b"}]`:              "rules: not a JSON array",
		`[{"in":"a"},{"channel":"{x"}]`:      "rules: rule 1: channel ",
		`[{"channel":"x","publish":"none"}]`: "rules: rule 0: publish ",
	} {
		if _, err := rules.Parse([]byte(text)); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: got %v, want %s…", text, err, want)
		}
	}
}

// Rules that encoding/json writes, and those of a JSON config file, can be
// parsed.
func TestRulesSurviveJSON(t *testing.T) {
	list := []rules.Rule{
		{Channel: "chat", Subscribe: rules.Anyone, Publish: rules.Authenticated, Presence: rules.Anyone},
		{Channel: "room/*", In: "rooms"},
	}
	text, err := json.Marshal(list)
	if err != nil {
		t.Fatal(err)
	}
	var back []rules.Rule
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(list, back); diff != "" {
		t.Error(diff)
	}
	if _, err := rules.Parse(text); err != nil {
		t.Error(err)
	}
	if want := `[{"channel":"chat","subscribe":"anyone","publish":"authenticated","presence":"anyone"},{"channel":"room/*","in":"rooms"}]`; string(text) != want {
		t.Errorf("got  %s\nwant %s", text, want)
	}
}
