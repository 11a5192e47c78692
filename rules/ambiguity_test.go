package rules_test

import (
	"encoding/json"
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
