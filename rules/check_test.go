package rules_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/rules"
)

func TestCheck(t *testing.T) {
	set := newSet(t,
		rules.Rule{Channel: "chat", Subscribe: rules.Anyone, Publish: rules.Authenticated},
		rules.Rule{Channel: "user/{username}"},
		rules.Rule{Channel: "room/*/{team}", In: "rooms", Subscribe: rules.Authenticated},
		rules.Rule{Channel: "{team}/*.txt", Publish: rules.Authenticated},
		rules.Rule{In: "channels"},
	)
	for _, c := range []struct {
		name  string
		token *auth.Token
		want  string
	}{
		{"guest", nil, `0 chat: subscribe
			1 nothing: there is no token
			2 nothing: there is no token
			3 nothing: there is no token
			4 nothing: there is no token`},
		{"user", tokenOf(t, `{"username":"alice","team":"*","rooms":["a","b/c",1,null],"channels":"all/{of}/it"}`), `0 chat: subscribe, publish
			1 user/alice: subscribe, publish, presence
			2 room/a/*: subscribe
			2 room/1/*: subscribe
			3 */*.txt: publish (any text for *)
			4 all/{of}/it: subscribe, publish, presence`},
		{"odd", tokenOf(t, `{"username":"a/b","team":"red","rooms":[],"channels":false}`), `0 chat: subscribe, publish
			1 nothing: the claim username has a value that no name can have
			2 nothing: the claim rooms lists nothing that * can stand for
			3 red/*.txt: publish (any text for *)
			4 nothing: the claim channels lists nothing that * can stand for`},
		{"bare", tokenOf(t, `{}`), `0 chat: subscribe, publish
			1 nothing: the token has no claim username
			2 nothing: the token has no claim team
			3 nothing: the token has no claim team
			4 nothing: the token has no claim channels`},
	} {
		t.Run(c.name, func(t *testing.T) {
			var lines []string
			for _, g := range set.Check(c.token) {
				lines = append(lines, string('0'+rune(g.Rule))+" "+g.String())
				if at := g.Wildcard; at >= 0 && (g.Channel[at] != '*' || at < strings.IndexByte(g.Channel, '/')) {
					t.Errorf("%+v: the wildcard is not there", g)
				}
			}
			if diff := cmp.Diff(strings.ReplaceAll(c.want, "\t", ""), strings.Join(lines, "\n")); diff != "" {
				t.Error(diff)
			}
		})
	}
}
