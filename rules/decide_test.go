package rules_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/rules"
)

func TestDecide(t *testing.T) {
	set := newSet(t,
		rules.Rule{Channel: "chat", Subscribe: rules.Anyone, Publish: rules.Authenticated},
		rules.Rule{Channel: "user/{username}"},
		rules.Rule{Channel: "room/*", In: "rooms"},
		rules.Rule{Channel: "team/{team}/*/log", In: "projects", Subscribe: rules.Authenticated},
		rules.Rule{Channel: "public.*", Subscribe: rules.Anyone},
		rules.Rule{In: "channels"},
		rules.Rule{Channel: "id.{id}.{team}", Publish: rules.Authenticated},
	)
	tokens := map[string]string{
		"alice": `{"username":"alice","rooms":["staff","a/b","","*",7],"team":"red","projects":"x","channels":["any.thing/at all","{username}"],"id":42}`,
		"odd":   `{"username":["alice"],"rooms":{"staff":true},"team":true,"projects":null,"channels":4.5,"id":1e2}`,
		"evil":  `{"username":"alice/inbox","rooms":"*","team":"{id}","projects":[["x"],"a/b"],"channels":"*","id":"-"}`,
		"esc":   `{ "user\u006eame" : "al\u0069ce" , "rooms" : [ "\u0073taff" , "caf\u00e9" ] , "channels":"a\/b" }`,
		"none":  `{}`,
		"guest": "",
	}
	for _, c := range []struct {
		who     string
		op      rules.Op
		channel string
		rule    int    // that allows, or that the reason is about
		reason  string // "" if it is allowed
	}{
		{"guest", rules.Subscribe, "chat", 0, ""},
		{"guest", rules.Publish, "chat", 0, "there is no token"},
		{"none", rules.Publish, "chat", 0, ""},
		{"none", rules.Presence, "chat", 0, "it allows nobody to see presence"},
		{"none", rules.Subscribe, "presence/chat", 0, "it allows nobody to see presence"},
		{"alice", rules.Subscribe, "presence/user/alice", 1, ""},
		{"esc", rules.Subscribe, "presence/user/bob", 1, "the claim username has another value"},
		{"none", rules.Publish, "public.x", 4, "it allows nobody to publish"},
		{"none", rules.Op(200), "chat", 0, "it allows nobody to unknown"},

		{"alice", rules.Subscribe, "user/alice", 1, ""},
		{"alice", rules.Presence, "user/alice", 1, ""},
		{"esc", rules.Subscribe, "user/alice", 1, ""},
		{"alice", rules.Subscribe, "user/alice2", 1, "the claim username has another value"},
		{"alice", rules.Subscribe, "user/alic", 1, "the claim username has another value"},
		{"alice", rules.Subscribe, "user/", 1, "the claim username has another value"},
		{"guest", rules.Subscribe, "user/alice", 1, "there is no token"},
		{"none", rules.Subscribe, "user/alice", 1, "the token has no claim username"},
		{"odd", rules.Subscribe, "user/alice", 1, "the claim username has a value that no name can have"},
		{"evil", rules.Subscribe, "user/alice/inbox", 1, "the claim username has a value that no name can have"},
		{"evil", rules.Subscribe, "user/alice", 1, "the claim username has another value"},

		{"alice", rules.Publish, "room/staff", 2, ""},
		{"alice", rules.Publish, "room/*", 2, ""},
		{"alice", rules.Publish, "room/7", 2, ""},
		{"esc", rules.Publish, "room/staff", 2, ""},
		{"esc", rules.Publish, "room/café", 2, ""},
		{"alice", rules.Publish, "room/other", 2, "the claim rooms does not list it"},
		{"alice", rules.Publish, "room/a/b", 2, "what * would stand for is empty or has a separator in it"},
		{"alice", rules.Publish, "room/", 2, "what * would stand for is empty or has a separator in it"},
		{"odd", rules.Publish, "room/staff", 2, "the claim rooms has a value that no name can have"},
		{"evil", rules.Publish, "room/staff", 2, "the claim rooms does not list it"},
		{"evil", rules.Publish, "room/*", 2, ""},
		{"none", rules.Publish, "room/staff", 2, "the token has no claim rooms"},

		{"alice", rules.Subscribe, "team/red/x/log", 3, ""},
		{"alice", rules.Publish, "team/red/x/log", 3, "it allows nobody to publish"},
		{"alice", rules.Subscribe, "team/red/y/log", 3, "the claim projects does not list it"},
		{"alice", rules.Subscribe, "team/blue/x/log", 3, "the claim team has another value"},
		{"alice", rules.Subscribe, "team/red/log", 3, "the name does not fit the claims of the token"},
		{"alice", rules.Subscribe, "team/redx/log", 3, "the name does not fit the claims of the token"},
		{"evil", rules.Subscribe, "team/{id}/a/b/log", 3, "what * would stand for is empty or has a separator in it"},
		{"odd", rules.Subscribe, "team/true/x/log", 3, "the claim team has a value that no name can have"},

		{"guest", rules.Subscribe, "public.a/b", 4, ""},
		{"guest", rules.Subscribe, "public.a.b", 4, "what * would stand for is empty or has a separator in it"},

		{"alice", rules.Publish, "any.thing/at all", 5, ""},
		{"alice", rules.Publish, "{username}", 5, ""},
		{"alice", rules.Publish, "alice", 5, "the claim channels does not list it"},
		{"esc", rules.Publish, "a/b", 5, ""},
		{"evil", rules.Publish, "secret", 5, "the claim channels does not list it"},
		{"odd", rules.Publish, "4.5", 5, "the claim channels has a value that no name can have"},
		{"alice", rules.Publish, "", 5, "what * would stand for is empty or has a separator in it"},

		{"alice", rules.Publish, "id.42.red", 6, ""},
		{"odd", rules.Publish, "id.100.true", 6, "the claim id has a value that no name can have"},
		{"evil", rules.Publish, "id.-.{id}", 6, ""},
	} {
		t.Run(c.who+" "+c.op.String()+" "+c.channel, func(t *testing.T) {
			var token *auth.Token
			if text := tokens[c.who]; text != "" {
				token = tokenOf(t, text)
			}
			d := set.Decide(c.op, c.channel, token)
			if c.reason == "" {
				if !d.Allowed || d.Rule != c.rule {
					t.Errorf("got %+v, want it allowed by rule %d", d, c.rule)
				}
				return
			}
			// Others, such as the one of channels, may have their say too.
			var about string
			for reason := range strings.SplitSeq(d.Reason, "; ") {
				if strings.HasPrefix(reason, fmt.Sprintf("rule %d (", c.rule)) {
					about = reason
				}
			}
			if d.Allowed || d.Rule != -1 || !strings.HasSuffix(about, "): "+c.reason) {
				t.Errorf("got %+v, want it denied by rule %d with %q", d, c.rule, c.reason)
			}
		})
	}
}

func TestReasonsNameTheRule(t *testing.T) {
	set := newSet(t, rules.Rule{Channel: "room/*", In: "rooms"})
	for channel, want := range map[string]rules.Decision{
		"room/x": {Allowed: true, Rule: 0, Reason: "rule 0 (room/* in rooms)"},
		"room/y": {Rule: -1, Reason: "rule 0 (room/* in rooms): the claim rooms does not list it"},
		"other":  {Rule: -1, Reason: "no rule is for this channel"},
	} {
		if got := set.Decide(rules.Subscribe, channel, tokenOf(t, `{"rooms":"x"}`)); got != want {
			t.Errorf("%s: got %+v, want %+v", channel, got, want)
		}
	}
}

func TestNoRulesAllowNothing(t *testing.T) {
	for _, op := range allOps {
		if d := newSet(t).Decide(op, "chat", tokenOf(t, `{}`)); d.Allowed {
			t.Errorf("%v is allowed: %+v", op, d)
		}
	}
}

// The first rule that denies must not hide one that allows.
func TestOrderDoesNotMatter(t *testing.T) {
	list := []rules.Rule{
		{Channel: "room/{team}"},
		{Channel: "room/*", Subscribe: rules.Anyone},
		{Channel: "room/red", Publish: rules.Anyone},
	}
	token := tokenOf(t, `{"team":"blue"}`)
	for range len(list) {
		list = append(list[1:], list[0])
		set := newSet(t, list...)
		for _, op := range []rules.Op{rules.Subscribe, rules.Publish} {
			if d := set.Decide(op, "room/red", token); !d.Allowed {
				t.Errorf("%v: %v is denied: %s", list, op, d.Reason)
			}
		}
	}
}

// More claims than are kept in place.
func TestManyClaims(t *testing.T) {
	var list []rules.Rule
	var payload []string
	for _, c := range "abcdefghijklmnop" {
		list = append(list, rules.Rule{Channel: string(c) + "/{" + string(c) + "}"})
		payload = append(payload, `"`+string(c)+`":"value-of-`+string(c)+`"`)
	}
	set, token := newSet(t, list...), tokenOf(t, "{"+strings.Join(payload, ",")+"}")
	for i, c := range "abcdefghijklmnop" {
		if d := set.Decide(rules.Publish, string(c)+"/value-of-"+string(c), token); !d.Allowed || d.Rule != i {
			t.Errorf("%c: %+v", c, d)
		}
		if d := set.Decide(rules.Publish, string(c)+"/value-of-x", token); d.Allowed {
			t.Errorf("%c: %+v", c, d)
		}
	}
}

// A denial is explained with a few rules, however many there are.
func TestLongExplanations(t *testing.T) {
	list := make([]rules.Rule, 100)
	for i := range list {
		list[i] = rules.Rule{In: "channels"}
	}
	list[0] = rules.Rule{Channel: "other"}
	want := ""
	for i := range 5 {
		want += fmt.Sprintf("rule %d (* in channels): there is no token; ", i+1)
	}
	if d := newSet(t, list...).Decide(rules.Publish, "x", nil); d.Reason != want+"and more" {
		t.Error(d.Reason)
	}
}
