package pairs

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// testCase is a script with what is expected of every pairing.
type testCase struct {
	name  string
	alone bool // with a server process of its own, as it is killed
	steps []step
}

// step is one step of a client or, for the names in processSteps, of the server
// process.
//
// In its arguments and ends, @ stands for a text that no other case has, and
// $alice and the like for the tokens in the map of newTokens.
type step struct {
	name    string
	client  string
	args    []any
	end     end
	label   string // if not empty, the step is awaited by a later one
	differs []difference
	omitted []difference // the step is not taken
}

// end is how a step ends: with a value, or an error. Both are JSON; neither
// means undefined.
type end struct{ value, failure string }

// difference is an end that some pairings have, with the reason.
type difference struct {
	pairings []pairing
	end      end
	reason   string
}

// do is a step of the client a that ends with undefined.
func do(name string, args ...any) step { return step{name: name, client: "a", args: args} }

// by makes it a step of another client.
func (s step) by(client string) step {
	s.client = client
	return s
}

// gives has it end with a value.
func (s step) gives(value string) step {
	s.end = end{value: value}
	return s
}

// fails has it end with an error.
func (s step) fails(failure string) step {
	s.end = end{failure: failure}
	return s
}

// begin has the case go on before the step has ended. The step await has the end
// that this one has.
func (s step) begin(label string) step {
	s.label = label
	return s
}

// await waits for the end of a step that has begun before.
func await(label string) step { return step{name: "await", label: label} }

// but has some pairings end in another way.
func (s step) but(reason string, other end, pairings ...pairing) step {
	s.differs = append(s.differs, difference{pairings, other, reason})
	return s
}

func value(text string) end   { return end{value: text} }
func failure(text string) end { return end{failure: text} }
func events(names ...string) end {
	if names == nil {
		names = []string{}
	}
	return end{value: string(must(json.Marshal(names)))}
}

// happens waits for events, and compares them with all since the last such step.
func happens(names ...string) step { return do("events").gives(events(names...).value) }

// notIn leaves the step out in some pairings.
func (s step) notIn(reason string, pairings ...pairing) step {
	s.omitted = append(s.omitted, difference{pairings: pairings, reason: reason})
	return s
}

func (s step) leftOutIn(p pairing) bool {
	return slices.ContainsFunc(s.omitted, func(d difference) bool { return slices.Contains(d.pairings, p) })
}

// endFor returns the end that is expected of a pairing.
func (s step) endFor(p pairing) end {
	for _, d := range s.differs {
		if slices.Contains(d.pairings, p) {
			return d.end
		}
	}
	return s.end
}

// countedSteps wait for as many entries as they are expected to give.
var countedSteps = map[string]bool{"events": true, "stored": true, "publications": true, "received": true, "raws": true}

// argsFor returns the arguments as they are passed to a client.
func (s step) argsFor(p pairing) ([]any, error) {
	if !countedSteps[s.name] {
		return s.args, nil
	}
	var entries []any
	if err := json.Unmarshal([]byte(s.endFor(p).value), &entries); err != nil {
		return nil, fmt.Errorf("%s expects a list: %w", s.name, err)
	}
	return append(s.args[:len(s.args):len(s.args)], len(entries)), nil
}

func (s step) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s", s.client, s.name)
	for _, a := range s.args {
		fmt.Fprintf(&b, " %s", must(marshal(a)))
	}
	return b.String()
}

// marshal is json.Marshal without escapes for HTML.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimSpace(b.Bytes()), err
}

// canonical returns JSON with sorted names. Numbers keep their text.
func canonical(text []byte) (string, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return "", fmt.Errorf("%q is not JSON: %w", text, err)
	}
	out, err := marshal(v)
	return string(out), err
}

// must is for values that are known to be right.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
