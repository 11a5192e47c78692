package rules_test

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"unicode"

	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/rules"
)

// tokenOf makes a token that is taken for verified.
func tokenOf(t testing.TB, payload string) *auth.Token {
	t.Helper()
	token, err := auth.NewToken("signed", []byte(payload))
	if err != nil {
		t.Fatalf("%s: %v", payload, err)
	}
	return token
}

func newSet(t testing.TB, list ...rules.Rule) *rules.Set {
	t.Helper()
	set, err := rules.New(list...)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

var allOps = []rules.Op{rules.Subscribe, rules.Publish, rules.Presence}

// naive decides in the plainest way there is: it makes a regular expression for
// each value that a * may stand for.
func naive(list []rules.Rule, op rules.Op, channel string, token *auth.Token) bool {
	for _, r := range list {
		if naiveOps(r, op, token != nil) && naiveMatch(r, channel, token) {
			return true
		}
	}
	return false
}

func naiveOps(r rules.Rule, op rules.Op, hasToken bool) bool {
	who := map[rules.Op]rules.Who{rules.Subscribe: r.Subscribe, rules.Publish: r.Publish, rules.Presence: r.Presence}[op]
	if r.Subscribe == "" && r.Publish == "" && r.Presence == "" {
		who = rules.Authenticated
	}
	return who == rules.Anyone || who == rules.Authenticated && hasToken
}

var naiveParts = regexp.MustCompile(`\*|\{[^}]*\}|[^*{]+`)

func naiveSeparators(channel string) (separators string) {
	for _, part := range naiveParts.FindAllString(channel, -1) {
		if part[0] == '*' || part[0] == '{' {
			continue
		}
		for _, c := range part {
			if !unicode.IsLetter(c) && !unicode.IsNumber(c) && !unicode.IsMark(c) && c != '-' && c != '_' {
				separators += string(c)
			}
		}
	}
	return separators
}

func naiveMatch(r rules.Rule, channel string, token *auth.Token) bool {
	if r.Channel == "" {
		r.Channel = "*"
	}
	claims := map[string]any{}
	if token != nil {
		d := json.NewDecoder(strings.NewReader(string(token.Payload())))
		d.UseNumber()
		if d.Decode(&claims) != nil {
			return false
		}
	}
	separators := naiveSeparators(r.Channel)
	ok := func(s string) bool { return s != "" && !strings.ContainsAny(s, separators) }
	expr := `(?s)^`
	for _, part := range naiveParts.FindAllString(r.Channel, -1) {
		switch part[0] {
		case '*':
			expr += `(.+)`
		case '{':
			value, isText := naiveText(claims[part[1:len(part)-1]])
			if !isText || !ok(value) {
				return false
			}
			expr += regexp.QuoteMeta(value)
		default:
			expr += regexp.QuoteMeta(part)
		}
	}
	found := regexp.MustCompile(expr + `$`).FindStringSubmatch(channel)
	switch {
	case found == nil:
		return false
	case len(found) == 1:
		return true
	case !ok(found[1]):
		return false
	case r.In == "":
		return true
	}
	values, isArray := claims[r.In].([]any)
	if !isArray {
		values = []any{claims[r.In]}
	}
	for _, v := range values {
		if text, isText := naiveText(v); isText && text == found[1] {
			return true
		}
	}
	return false
}

func naiveText(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case json.Number:
		digits := strings.TrimPrefix(string(v), "-")
		return string(v), strings.Trim(digits, "0123456789") == ""
	}
	return "", false
}
