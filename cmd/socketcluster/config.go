package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"github.com/socketcluster-go/socketcluster/cluster"
	"github.com/socketcluster-go/socketcluster/rules"
)

// config is the content of a config file.
type config struct {
	values map[string]configValue
	rules  *rules.Set // nil without any

	history      []cluster.HistoryRule
	historyPlace string
}

// configValue is a setting in the form of the flag with its name.
type configValue struct {
	text, place string
}

// rulesKey is the array of tables with the channel rules.
const rulesKey = "rules"

// ruleKeys are the keys of a channel rule, as in the tags of [rules.Rule].
var ruleKeys = []string{"channel", "in", "subscribe", "publish", "presence"}

func readConfig(path string) (*config, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return parseConfig(path, text)
}

// parseConfig reads a config file. Its errors name the key and the line.
func parseConfig(path string, text []byte) (*config, error) {
	var tree map[string]any
	if err := toml.Unmarshal(text, &tree); err != nil {
		if e, ok := errors.AsType[*toml.DecodeError](err); ok {
			line, _ := e.Position()
			return nil, fmt.Errorf("%s:%d: %s", path, line, strings.TrimPrefix(err.Error(), "toml: "))
		}
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	schema := fileFlags()
	p := &configParser{path: path, lines: linesOf(text)}
	c := &config{values: map[string]configValue{}}
	for _, name := range slices.Sorted(maps.Keys(tree)) {
		place, flag := p.next(name), schema.Lookup(name)
		if name == rulesKey {
			var err error
			if c.rules, err = p.parseRules(place, tree[name]); err != nil {
				return nil, err
			}
			continue
		}
		if name == historyKey {
			var err error
			if c.history, err = p.parseHistory(place, tree[name]); err != nil {
				return nil, err
			}
			c.historyPlace = place
			continue
		}
		if flag == nil {
			return nil, fmt.Errorf("%s: %q is not a setting%s", place, name, nearest(name, "", schema))
		}
		value := tree[name]
		switch flag.Value.Type() {
		case "int", "int64":
			if number, ok := value.(int64); ok {
				value = fmt.Sprint(number)
			}
		case "bool":
			if flag, ok := value.(bool); ok {
				value = fmt.Sprint(flag)
			}
		}
		text, ok := value.(string)
		if !ok {
			return nil, fmt.Errorf("%s: %q must be %s", place, name, formOf(flag))
		}
		c.values[name] = configValue{text, place}
	}
	return c, nil
}

// configParser knows the lines of keys in a config file.
type configParser struct {
	path  string
	lines map[string][]int // by key, those that next has not returned yet
}

// next returns the place of a key, and at the next call that of the next such
// key. It returns the path alone if the line is not known.
func (p *configParser) next(keys ...string) string {
	for _, key := range keys {
		if lines := p.lines[key]; len(lines) > 0 {
			p.lines[key] = lines[1:]
			return fmt.Sprintf("%s:%d", p.path, lines[0])
		}
	}
	return p.path
}

// parseRules reads the channel rules.
func (p *configParser) parseRules(place string, value any) (*rules.Set, error) {
	list, ok := value.([]any)
	if !ok || slices.ContainsFunc(list, func(rule any) bool { _, ok := rule.(map[string]any); return !ok }) {
		return nil, fmt.Errorf("%s: %q must be an array of tables: [[rules]]", place, rulesKey)
	}
	if len(list) == 0 {
		// This cannot be distinguished from a list that is still to be written.
		return nil, fmt.Errorf("%s: %q is empty: leave it out for the rules of the demo; to deny everything, set --%s to a JSON file that contains []", place, rulesKey, rulesSetting)
	}
	places := make([]map[string]string, len(list)) // of the keys of each rule, and where it begins by ""
	for i, element := range list {
		rule := element.(map[string]any)
		places[i] = make(map[string]string)
		for _, key := range slices.Sorted(maps.Keys(rule)) {
			// In an inline table keys are reported without the table's name.
			at := p.next(rulesKey+"."+key, key)
			if !slices.Contains(ruleKeys, key) {
				return nil, fmt.Errorf("%s: %q is nothing that a rule has; that is %s", at, rulesKey+"."+key, strings.Join(ruleKeys, ", "))
			}
			if _, ok := rule[key].(string); !ok {
				return nil, fmt.Errorf("%s: %q must be a text in quotes", at, rulesKey+"."+key)
			}
			places[i][key] = at
			places[i][""] = cmp.Or(places[i][""], at)
		}
	}
	text, err := json.Marshal(list)
	if err != nil {
		return nil, fmt.Errorf("%s: %q: %w", place, rulesKey, err)
	}
	set, err := rules.Parse(text)
	if bad, ok := errors.AsType[*rules.Error](err); ok {
		place = cmp.Or(places[bad.Rule][bad.Field], places[bad.Rule][""], place)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", place, err)
	}
	return set, nil
}

// linesOf returns the lines of each key. It decodes into an empty struct, so
// that the decoder reports all keys as unknown, with their places.
func linesOf(text []byte) map[string][]int {
	var nothing struct{}
	var tables struct {
		Rules   []struct{} `toml:"rules"`
		History []struct{} `toml:"history"`
	}
	lines := map[string][]int{}
	for i, target := range []any{&tables, &nothing} {
		decoder := toml.NewDecoder(bytes.NewReader(text))
		decoder.DisallowUnknownFields()
		strict, ok := errors.AsType[*toml.StrictMissingError](decoder.Decode(target))
		if !ok {
			continue
		}
		for _, e := range strict.Errors {
			line, _ := e.Position()
			key := strings.Join(e.Key(), ".")
			if i == 0 || len(lines[key]) == 0 {
				lines[key] = append(lines[key], line)
			}
		}
	}
	return lines
}
