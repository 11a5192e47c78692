package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"github.com/socketcluster-go/socketcluster/rules"
)

// config is the content of a config file.
type config struct {
	path   string
	values map[string]configValue
	rules  *rules.Set // nil without any
}

// configValue is a setting in the form of the flag with its name.
type configValue struct {
	text string
	line int
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
		return nil, located(path, err)
	}
	p := &configParser{path: path, lines: linesOf(text)}
	c := &config{path: path, values: map[string]configValue{}}
	for _, name := range slices.Sorted(maps.Keys(tree)) {
		if name == rulesKey {
			continue
		}
		line := p.next(name)
		setting, ok := settingOf(name)
		if !ok {
			return nil, p.fail(line, name, "is not a setting; those are "+settingNames()+" and "+rulesKey)
		}
		value, ok := setting.text(tree[name])
		if !ok {
			return nil, p.fail(line, name, "must be "+setting.form)
		}
		c.values[name] = configValue{value, line}
	}
	list, ok := tree[rulesKey]
	if !ok {
		return c, nil
	}
	err := p.checkRules(list)
	if err == nil {
		c.rules, err = p.parseRules(text)
	}
	return c, err
}

// text returns a value of the file in the form of the flag.
func (s fileSetting) text(value any) (text string, ok bool) {
	switch value := value.(type) {
	case string:
		return value, true
	case bool:
		return strconv.FormatBool(value), true
	case int64:
		return strconv.FormatInt(value, 10), s.number
	}
	return "", false
}

// settingNames lists the settings that the config file may have.
func settingNames() string {
	var names []string
	for _, s := range fileSettings {
		if !strings.HasPrefix(s.name, limitPrefix) {
			names = append(names, s.name)
		}
	}
	return strings.Join(append(names, limitPrefix+"*"), ", ")
}

// configParser knows the lines of keys and rules in a config file.
type configParser struct {
	path      string
	lines     map[string][]int // by key, those that next has not returned yet
	ruleLines []int            // where each rule begins
}

// next returns the line of a key, and at the next call that of the next such
// key, or 0 if it is not known.
func (p *configParser) next(key string) int {
	lines := p.lines[key]
	if len(lines) == 0 {
		return 0
	}
	p.lines[key] = lines[1:]
	return lines[0]
}

// fail makes the error of a key.
func (p *configParser) fail(line int, key, what string) error {
	if line == 0 {
		return fmt.Errorf("%s: %q %s", p.path, key, what)
	}
	return fmt.Errorf("%s:%d: %q %s", p.path, line, key, what)
}

// checkRules checks the form of the channel rules. The decoder would also
// accept keys in another case.
func (p *configParser) checkRules(value any) error {
	at := p.next(rulesKey)
	list, ok := value.([]any)
	if !ok {
		return p.fail(at, rulesKey, "must be an array of tables: [[rules]]")
	}
	if len(list) == 0 {
		// This cannot be distinguished from a list that is still to be written.
		return p.fail(at, rulesKey, "is empty: leave it out for the rules of the demo; to deny everything, set -"+rulesSetting+" to a JSON file that contains []")
	}
	for _, element := range list {
		rule, ok := element.(map[string]any)
		if !ok {
			return p.fail(at, rulesKey, "must be an array of tables: [[rules]]")
		}
		begin := 0
		for _, name := range slices.Sorted(maps.Keys(rule)) {
			key := rulesKey + "." + name
			// In an inline table keys are reported without the table's name.
			line := cmp.Or(p.next(key), p.next(name))
			if !slices.Contains(ruleKeys, name) {
				return p.fail(line, key, "is nothing that a rule has; that is "+strings.Join(ruleKeys, ", "))
			}
			if _, ok := rule[name].(string); !ok {
				return p.fail(line, key, "must be a text in quotes")
			}
			if begin == 0 || line < begin {
				begin = line
			}
		}
		p.ruleLines = append(p.ruleLines, begin)
	}
	return nil
}

// parseRules decodes the channel rules, whose form has been checked.
func (p *configParser) parseRules(text []byte) (*rules.Set, error) {
	var list struct {
		Rules []rules.Rule `toml:"rules"`
	}
	if err := toml.Unmarshal(text, &list); err != nil {
		return nil, located(p.path, err)
	}
	set, err := rules.New(list.Rules...)
	if bad, ok := errors.AsType[*rules.Error](err); ok && bad.Rule < len(p.ruleLines) && p.ruleLines[bad.Rule] > 0 {
		return nil, fmt.Errorf("%s:%d: %w", p.path, p.ruleLines[bad.Rule], err)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", p.path, err)
	}
	return set, nil
}

// linesOf returns the lines of each key. It decodes into an empty struct, so
// that the decoder reports all keys as unknown, with their places.
func linesOf(text []byte) map[string][]int {
	var nothing struct{}
	var noRules struct {
		Rules []struct{} `toml:"rules"`
	}
	lines := map[string][]int{}
	for i, target := range []any{&noRules, &nothing} {
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

// located adds the line to an error of the decoder.
func located(path string, err error) error {
	e, ok := errors.AsType[*toml.DecodeError](err)
	if !ok {
		return fmt.Errorf("%s: %w", path, err)
	}
	line, _ := e.Position()
	return fmt.Errorf("%s:%d: %s", path, line, strings.TrimPrefix(e.Error(), "toml: "))
}
