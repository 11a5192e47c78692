package rules_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/rules"
)

// readings lists all ways to take a name apart by a pattern: the values of its
// claims, that of in among them. It does so without regard to separators.
func readings(pattern, in, name string) []map[string]string {
	if pattern == "" {
		pattern = "*"
	}
	var all []map[string]string
	var read func(parts []string, rest string, values map[string]string)
	read = func(parts []string, rest string, values map[string]string) {
		if len(parts) == 0 {
			if rest == "" {
				all = append(all, values)
			}
			return
		}
		part := parts[0]
		if part[0] != '*' && part[0] != '{' {
			if after, ok := strings.CutPrefix(rest, part); ok {
				read(parts[1:], after, values)
			}
			return
		}
		claim := in
		if part[0] == '{' {
			claim = part[1 : len(part)-1]
		}
		for n := 1; n <= len(rest); n++ {
			value := rest[:n]
			if known, ok := values[claim]; !utf8.ValidString(value) || ok && claim != "" && known != value {
				continue
			}
			with := map[string]string{claim: value}
			for k, v := range values {
				if k != claim {
					with[k] = v
				}
			}
			read(parts[1:], rest[n:], with)
		}
	}
	read(naiveParts.FindAllString(pattern, -1), name, map[string]string{})
	return all
}

// owners lists the claims with which a rule gives a name to somebody.
func owners(r rules.Rule, name string) (all []string, read int) {
	set := rules.MustNew(r)
	for _, values := range readings(r.Channel, r.In, name) {
		read++
		delete(values, "") // what * stands for is no claim here
		payload, err := json.Marshal(values)
		if err != nil {
			panic(err)
		}
		token, err := auth.NewToken("signed", payload)
		if err != nil {
			panic(err)
		}
		if set.Decide(rules.Publish, name, token).Allowed {
			all = append(all, string(payload))
		}
	}
	return all, read
}

// A name belongs to the owner of one set of values, and to nobody else.
func TestNamesHaveOneReading(t *testing.T) {
	owned, ambiguous := 0, 0
	text := rapid.SampledFrom([]string{"/", "/", ".", "-", "_", "a", "-/", "a.b", "é", ""})
	value := rapid.SampledFrom([]string{"a", "b", "a-b", "a/b", "a/b/a", "b/", "-/-", ".", "_", "aéa", "a.b."})
	rapid.Check(t, func(t *rapid.T) {
		r := rules.Rule{Channel: text.Draw(t, "start"), In: rapid.SampledFrom([]string{"", "x", "w"}).Draw(t, "in")}
		for range rapid.IntRange(1, 3).Draw(t, "placeholders") {
			r.Channel += rapid.SampledFrom([]string{"{x}", "{y}", "{z}", "*"}).Draw(t, "placeholder") + text.Draw(t, "text")
		}
		if _, err := rules.New(r); err != nil {
			return
		}
		for range 30 {
			var name strings.Builder
			for _, part := range naiveParts.FindAllString(r.Channel, -1) {
				if part[0] == '*' || part[0] == '{' {
					part = value.Draw(t, "value")
				}
				name.WriteString(part)
			}
			all, read := owners(r, name.String())
			if len(all) > 1 {
				t.Fatalf("%q is for the owners of %q by %v", name.String(), all, r)
			}
			if owned += len(all); read > 1 {
				ambiguous++
			}
		}
	})
	if owned < 50 || ambiguous < 10 {
		t.Errorf("%d names were owned, %d can be read in two ways", owned, ambiguous)
	}
}

// Rules that give one name to the owners of different values are refused
// together, wherever they stand.
func TestDisputedNames(t *testing.T) {
	for _, c := range []struct {
		a, b rules.Rule
		name string // that both give, "" if they get along
	}{
		{rules.Rule{Channel: "user/{username}"}, rules.Rule{Channel: "user/{username}-admin"}, "user/x-admin"},
		{rules.Rule{Channel: "user/{username}"}, rules.Rule{Channel: "user/admin-{username}"}, "user/admin-x"},
		{rules.Rule{Channel: "user/{username}"}, rules.Rule{Channel: "user/{team}-team"}, "user/x-team"},
		{rules.Rule{Channel: "{username}"}, rules.Rule{Channel: "user/{username}"}, "user/x"},
		{rules.Rule{Channel: "room/*", In: "rooms"}, rules.Rule{Channel: "room/*-mods", In: "moderated"}, "room/x-mods"},
		{rules.Rule{Channel: "room/*", In: "rooms"}, rules.Rule{Channel: "room/{room}s"}, "room/xs"},
		{rules.Rule{Channel: "a-{x}"}, rules.Rule{Channel: "{y}-b"}, "a-x-b"},
		{rules.Rule{Channel: "{x}-a"}, rules.Rule{Channel: "{x}-b-a"}, "x-b-a"},
		{rules.Rule{Channel: "a/{x}"}, rules.Rule{Channel: "a/{y}/{z}"}, ""},
		{rules.Rule{Channel: "a.{x}"}, rules.Rule{Channel: "a.{y}/{z}"}, "a.x/x"}, // / is no separator of the first
		{rules.Rule{Channel: "é{x}"}, rules.Rule{Channel: "éé{x}"}, "ééx"},

		{rules.Rule{Channel: "user/{username}"}, rules.Rule{Channel: "user/{username}/admin"}, ""},
		{rules.Rule{Channel: "user/{username}"}, rules.Rule{Channel: "admin/{username}"}, ""},
		{rules.Rule{Channel: "user/{username}"}, rules.Rule{Channel: "user/{username}", Publish: rules.Authenticated}, ""},
		{rules.Rule{Channel: "team/{team}"}, rules.Rule{Channel: "team/{guest}"}, ""}, // one meaning, two claims
		{rules.Rule{Channel: "team/{team}"}, rules.Rule{Channel: "team/*", In: "teams"}, ""},
		{rules.Rule{Channel: "user/{username}"}, rules.Rule{Channel: "user/{id}"}, ""},                       // see TestTwoClaimsAtOnePlace
		{rules.Rule{Channel: "user/{username}"}, rules.Rule{Channel: "user/*", Subscribe: rules.Anyone}, ""}, // * without an owner
		{rules.Rule{Channel: "user/{username}"}, rules.Rule{Channel: "user/*-news", Subscribe: rules.Anyone}, ""},
		{rules.Rule{Channel: "user/{username}"}, rules.Rule{Channel: "user/admin"}, ""},
		{rules.Rule{Channel: "log/{username}/*"}, rules.Rule{Channel: "log/{username}/{app}"}, ""},
		{rules.Rule{Channel: "user/{username}"}, rules.Rule{In: "channels"}, ""},
		{rules.Rule{Channel: "user/{username}"}, rules.Rule{Channel: "*", In: "channels"}, ""},
		{rules.Rule{Channel: "a-{x}"}, rules.Rule{Channel: "b-{x}"}, ""},
		{rules.Rule{Channel: "{x}-a"}, rules.Rule{Channel: "{x}-b"}, ""},
	} {
		for _, pair := range [][2]rules.Rule{{c.a, c.b}, {c.b, c.a}} {
			list := []rules.Rule{pair[0], {Channel: "chat"}, pair[1]}
			_, err := rules.New(list...)
			if c.name == "" {
				if err != nil {
					t.Errorf("%v: %v", list, err)
				}
				continue
			}
			var e *rules.Error
			want := fmt.Sprintf("rules: rule 2: channel %q and that of rule 0, %q, give a name such as %q to different owners, "+
				"as what claims stand for in it differs; separate claims from other text by a character such as /", pair[1].Channel, pair[0].Channel, c.name)
			if !errors.As(err, &e) || err.Error() != want || e.Rule != 2 || e.Field != "channel" {
				t.Errorf("got  %v\nwant %s", err, want)
			}
		}
	}
}

// Two claims at one place of a name share it, as the package documentation says: what
// they mean is for the author of the rules to know.
func TestTwoClaimsAtOnePlace(t *testing.T) {
	for _, c := range []struct {
		id     string
		shared bool
	}{{"user/{id}", true}, {"user/id/{id}", false}} {
		set := newSet(t, rules.Rule{Channel: "user/{username}"}, rules.Rule{Channel: c.id})
		if !set.Decide(rules.Subscribe, strings.Replace(c.id, "{id}", "42", 1), tokenOf(t, `{"username":"bob","id":42}`)).Allowed {
			t.Errorf("%s: the user with the id has no channel", c.id)
		}
		if got := set.Decide(rules.Subscribe, strings.Replace(c.id, "{id}", "42", 1), tokenOf(t, `{"username":"42","id":7}`)).Allowed; got != c.shared {
			t.Errorf("%s: the user with the name shares it: %t", c.id, got)
		}
	}
}

// claimSpans returns what lists, for each way to read a name by a rule, where in the
// name the values of claims are.
func claimSpans(r rules.Rule) func(name string) [][][2]int {
	pattern := naiveParts.FindAllString(r.Channel, -1)
	separators := naiveSeparators(r.Channel)
	return func(name string) (all [][][2]int) {
		var read func(parts []string, from int, spans [][2]int)
		read = func(parts []string, from int, spans [][2]int) {
			if len(parts) == 0 {
				if from == len(name) {
					all = append(all, spans)
				}
				return
			}
			part := parts[0]
			if part[0] != '*' && part[0] != '{' {
				if strings.HasPrefix(name[from:], part) {
					read(parts[1:], from+len(part), spans)
				}
				return
			}
			for to := from + 1; to <= len(name); to++ {
				if value := name[from:to]; utf8.ValidString(value) && !strings.ContainsAny(value, separators) {
					with := spans
					if part[0] == '{' || r.In != "" {
						with = append(slices.Clone(spans), [2]int{from, to})
					}
					read(parts[1:], to, with)
				}
			}
		}
		read(pattern, 0, nil)
		return all
	}
}

// crossing returns what reports whether two rules read a name with values that
// overlap and are not the same text of it.
func crossing(a, b rules.Rule) func(name string) bool {
	spansOfA, spansOfB := claimSpans(a), claimSpans(b)
	return func(name string) bool {
		all := spansOfA(name)
		if len(all) == 0 {
			return false
		}
		others := spansOfB(name)
		for _, as := range all {
			for _, bs := range others {
				for _, x := range as {
					for _, y := range bs {
						if x != y && x[0] < y[1] && y[0] < x[1] {
							return true
						}
					}
				}
			}
		}
		return false
	}
}

// Two rules are refused together exactly if there is a name that they dispute.
func TestDisputesAreFound(t *testing.T) {
	disputed, peaceful := 0, 0
	text := rapid.SampledFrom([]string{"/", "a", "a", "-", "aa", "."})
	draw := func(t *rapid.T) (r rules.Rule) {
		for range rapid.IntRange(1, 2).Draw(t, "placeholders") {
			r.Channel += text.Draw(t, "text") + rapid.SampledFrom([]string{"{x}", "{y}", "*", ""}).Draw(t, "placeholder")
		}
		r.Channel += rapid.SampledFrom([]string{"", "a", "-a", "/"}).Draw(t, "end")
		if strings.Contains(r.Channel, "*") {
			r.In = rapid.SampledFrom([]string{"", "z"}).Draw(t, "in")
		}
		return r
	}
	names := namesOf("a-/x", 5)
	check := func(t *rapid.T) {
		a, b := draw(t), draw(t)
		for _, r := range []rules.Rule{a, b} {
			if _, err := rules.New(r); err != nil {
				return
			}
		}
		_, err := rules.New(a, b)
		crossed := crossing(a, b)
		found := slices.IndexFunc(names, crossed)
		switch {
		case found >= 0 && err == nil:
			t.Fatalf("%v and %v dispute %q", a, b, names[found])
		case found >= 0:
			disputed++
		case err == nil:
			peaceful++
		default: // a longer name than those
			quoted := regexp.MustCompile(`such as "([^"]*)"`).FindStringSubmatch(err.Error())
			if len(quoted) != 2 || !crossed(quoted[1]) {
				t.Fatalf("%v and %v do not dispute the name: %v", a, b, err)
			}
			disputed++
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		for range 10 {
			check(t)
		}
	})
	if disputed < 20 || peaceful < 200 {
		t.Errorf("%d disputes and %d others", disputed, peaceful)
	}
}

// namesOf lists all texts of some characters up to a length.
func namesOf(alphabet string, length int) []string {
	all := []string{""}
	for from := 0; length > 0; length-- {
		to := len(all)
		for _, start := range all[from:to] {
			for _, c := range alphabet {
				all = append(all, start+string(c))
			}
		}
		from = to
	}
	return all[1:]
}

// FuzzNamesHaveOneReading is the same for any pattern and name.
func FuzzNamesHaveOneReading(f *testing.F) {
	f.Add("team-{team}-*", "", "team-a-b-secret")
	f.Add("{tenant}-{user}", "", "acme-eu-bob")
	f.Add("{tenant}/{user}", "", "acme-eu/bob")
	f.Add("{a}/-{b}", "", "x-/-y")
	f.Add("{a}→*", "b", "x→→y")
	f.Add("{a}x{b}", "", "axbxc")
	f.Add("{a}-{a}", "", "a-a-a")
	f.Add("room-*", "rooms", "room-a-b")
	f.Fuzz(func(t *testing.T, channel, in, name string) {
		r := rules.Rule{Channel: channel, In: in}
		if _, err := rules.New(r); err != nil || len(name) > 16 || len(channel) > 32 || !utf8.ValidString(in) {
			return
		}
		if all, _ := owners(r, name); len(all) > 1 {
			t.Errorf("%q is for the owners of %q by %v", name, all, r)
		}
	})
}
