package rules_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/rules"
)

// FuzzDecide compares decisions on any pattern, name and token with those of
// the naive matcher.
func FuzzDecide(f *testing.F) {
	f.Add("user/{name}", "", "user/alice", `{"name":"alice"}`)
	f.Add("user/{name}", "", "user/a/b", `{"name":"a/b"}`)
	f.Add("room/*", "rooms", "room/x", `{"rooms":["x","y"]}`)
	f.Add("", "channels", "any", ` { "\u0063hannels" : [ {} , [ "]" , "\"" ] , "\u0061ny" ] } `)
	f.Add("{a}/*/{b}", "", "1/*/{b}", `{"a":1,"b":"{b}"}`)
	f.Add("a*a", "", "a", `{}`)
	f.Add("x.*", "n", "x.-7", `{"n":-7}`)
	f.Add("*", "n", "1e2", `{"n":1e2}`)
	f.Add("{a", "", "", `{"a":"\\"}`)
	f.Fuzz(func(t *testing.T, channel, in, name, payload string) {
		rule := rules.Rule{Channel: channel, In: in}
		set, err := rules.New(rule)
		if err != nil {
			return
		}
		token, err := auth.NewToken("signed", []byte(payload))
		if err != nil {
			return
		}
		got, want := set.Decide(rules.Publish, name, token), naive([]rules.Rule{rule}, rules.Publish, name, token)
		if got.Allowed != want {
			t.Errorf("%+v\n%q with %s: got %+v, want %v", rule, name, payload, got, want)
		}
		if set.Decide(rules.Publish, name, nil).Allowed {
			t.Errorf("%+v allows %q without a token", rule, name)
		}
	})
}

// FuzzParse: whatever can be parsed can be written and parsed again, and
// decides the same.
func FuzzParse(f *testing.F) {
	f.Add(`[{"channel":"chat","subscribe":"anyone"},{"in":"channels"}]`, "chat")
	f.Add(`[{"channel":"room/*","in":"rooms","presence":"authenticated"}]`, "room/a")
	f.Add(`[{"channel":"{a}.{b}"}]`, "a.b")
	f.Add(`[{}]`, "")
	f.Fuzz(func(t *testing.T, text, name string) {
		set, err := rules.Parse([]byte(text))
		if err != nil {
			if !strings.HasPrefix(err.Error(), "rules: ") {
				t.Errorf("%q: %v", text, err)
			}
			return
		}
		var list []rules.Rule
		if err := json.Unmarshal([]byte(text), &list); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		again, err := rules.New(list...)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		token := tokenOf(t, `{"a":"a","b":"b","rooms":"a","channels":["x"]}`)
		if got, want := again.Decide(rules.Subscribe, name, token), set.Decide(rules.Subscribe, name, token); got != want {
			t.Errorf("%s: got %+v, want %+v", text, got, want)
		}
	})
}
