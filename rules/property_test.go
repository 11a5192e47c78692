package rules_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/rules"
)

// words are few and made of what matters, so that names often fit.
var words = rapid.SampledFrom([]string{"a", "b", "ab", "a/b", "a.b", "a-b", "*", "{x}", "{", "1", "-1", "é", "", "aa"})

func drawRule(t *rapid.T) rules.Rule {
	piece := rapid.SampledFrom([]string{"a", "b", "/", ".", "-", "{x}", "{y}", "*", "é"})
	who := rapid.SampledFrom([]rules.Who{"", "", rules.Authenticated, rules.Anyone})
	return rules.Rule{
		Channel:   strings.Join(rapid.SliceOfN(piece, 0, 5).Draw(t, "channel"), ""),
		In:        rapid.SampledFrom([]string{"", "x", "z"}).Draw(t, "in"),
		Subscribe: who.Draw(t, "subscribe"),
		Publish:   who.Draw(t, "publish"),
		Presence:  who.Draw(t, "presence"),
	}
}

// drawSet draws rules that can be used together.
func drawSet(t *rapid.T) ([]rules.Rule, *rules.Set) {
	var list []rules.Rule
	for range rapid.IntRange(1, 12).Draw(t, "tries") {
		more := append(list[:len(list):len(list)], drawRule(t))
		if _, err := rules.New(more...); err == nil {
			list = more
		}
	}
	set, err := rules.New(list...)
	if err != nil {
		t.Fatal(err)
	}
	return list, set
}

// drawToken draws a token with some of the claims that rules ask for.
func drawToken(t *rapid.T) *auth.Token {
	if rapid.IntRange(0, 9).Draw(t, "guest") == 0 {
		return nil
	}
	word := rapid.Custom(func(t *rapid.T) any { return words.Draw(t, "word") })
	value := rapid.OneOf(word, word, rapid.SampledFrom([]any{1, -1, 1.5, true, nil, map[string]any{"x": "a"}}),
		rapid.Custom(func(t *rapid.T) any {
			return rapid.SliceOfN(rapid.OneOf(word, rapid.Just(any(1))), 0, 4).Draw(t, "array")
		}))
	payload := map[string]any{"iat": 1700000000}
	for _, name := range []string{"x", "y", "z"} {
		if rapid.IntRange(0, 5).Draw(t, "has "+name) > 0 {
			payload[name] = value.Draw(t, name)
		}
	}
	text, err := json.MarshalIndent(payload, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	token, err := auth.NewToken("signed", text)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// drawName draws a name that has good chances to fit one of the rules.
func drawName(t *rapid.T, list []rules.Rule) string {
	if len(list) == 0 {
		return words.Draw(t, "name")
	}
	var name strings.Builder
	for _, part := range naiveParts.FindAllString(rapid.SampledFrom(list).Draw(t, "rule").Channel, -1) {
		if part[0] == '*' || part[0] == '{' {
			part = words.Draw(t, "part")
		}
		name.WriteString(part)
	}
	if name.Len() == 0 {
		return words.Draw(t, "name")
	}
	return name.String()
}

func TestDecidesAsTheNaiveMatcher(t *testing.T) {
	hits := 0
	rapid.Check(t, func(t *rapid.T) {
		list, set := drawSet(t)
		token := drawToken(t)
		for range 5 {
			name := drawName(t, list)
			for _, op := range allOps {
				got, want := set.Decide(op, name, token), naive(list, op, name, token)
				if got.Allowed != want {
					t.Fatalf("%+v\n%v %q: got %+v, want %v", list, op, name, got, want)
				}
				if want {
					hits++
				}
				if (got.Rule >= 0) != got.Allowed || got.Reason == "" {
					t.Fatalf("odd decision %+v", got)
				}
			}
		}
	})
	if hits < 50 {
		t.Errorf("only %d decisions allowed anything", hits)
	}
}

// Everything that Check lists is allowed, and everything else is not.
func TestCheckAgreesWithDecide(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		list, set := drawSet(t)
		token := drawToken(t)
		grants := set.Check(token)
		granted := func(op rules.Op, name string) bool {
			return slices.ContainsFunc(grants, func(g rules.Grant) bool {
				return g.Channel == name && g.Wildcard < 0 && slices.Contains(g.Ops, op)
			})
		}
		wild := slices.ContainsFunc(grants, func(g rules.Grant) bool { return g.Wildcard >= 0 })
		for _, g := range grants {
			if g.Channel == "" {
				continue
			}
			if g.Wildcard >= 0 { // a text without a separator
				g.Channel = g.Channel[:g.Wildcard] + "zz" + g.Channel[g.Wildcard+1:]
			}
			for _, op := range g.Ops {
				if d := set.Decide(op, g.Channel, token); !d.Allowed {
					t.Fatalf("%+v\n%+v: %+v", list, g, d)
				}
			}
		}
		name := drawName(t, list)
		for _, op := range allOps {
			if d := set.Decide(op, name, token); d.Allowed && !wild && !granted(op, name) {
				t.Fatalf("%+v\n%v %q is allowed by %s, but not in %+v", list, op, name, d.Reason, grants)
			}
		}
	})
}
