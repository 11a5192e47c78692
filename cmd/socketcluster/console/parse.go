package console

import (
	"encoding/json"
	"strings"
)

// word cuts the first word off a line. A word that begins with a quote is a JSON
// text, which may contain blanks.
func word(line string) (first, rest string, err error) {
	line = strings.TrimSpace(line)
	if strings.HasPrefix(line, `"`) {
		d := json.NewDecoder(strings.NewReader(line))
		if err := d.Decode(&first); err != nil {
			return "", "", usage("a word that begins with a quote is not a JSON text: %w", err)
		}
		return first, strings.TrimSpace(line[d.InputOffset():]), nil
	}
	first, rest, _ = strings.Cut(line, " ")
	return first, strings.TrimSpace(rest), nil
}

// named cuts a name that is needed off a line.
func named(what, line string) (name, rest string, err error) {
	if line == "" {
		return "", "", usage("the name of %s is missing", what)
	}
	return word(line)
}

// data returns the rest of a line as JSON, or nil if it is empty.
func data(rest string) (json.RawMessage, error) {
	if rest == "" {
		return nil, nil
	}
	var raw json.RawMessage
	if err := json.Unmarshal([]byte(rest), &raw); err != nil { // without the data, which may have a password
		return nil, usage(`the data is not JSON: %w; a text needs quotes: "text"`, err)
	}
	return raw, nil
}

// noMore refuses what nobody asked for.
func noMore(rest string) error {
	if rest != "" {
		return usage("%q is too much", rest)
	}
	return nil
}

// nearest returns a hint if a command is meant that has nearly that name.
func nearest(name string) string {
	for _, c := range commands() {
		if strings.HasPrefix(c.name, name) || strings.HasPrefix(name, c.name) || distance(c.name, name) <= 2 {
			return "; is " + c.name + " meant?"
		}
	}
	return "; help lists them"
}

// distance returns how many letters must be added, taken or changed to make one
// name of the other.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
