package auth

import (
	"bytes"
	"encoding/json"
	"io"
	"math"
	"strconv"
	"strings"
	"sync"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/socketcluster-go/socketcluster/internal/casefold"
	"github.com/socketcluster-go/socketcluster/internal/claimscan"
	"github.com/socketcluster-go/socketcluster/wire"
)

// maxDepth bounds the nesting of a header or payload. Claims are flat; deeper
// nesting is an attempt to exhaust a decoder.
const maxDepth = 64

// A member is one name and its raw JSON value.
type member struct {
	name  string
	value []byte
}

// members is a JSON object in the order of its text.
type members []member

var (
	decoders = sync.Pool{New: func() any { return jsontext.NewDecoder(noText) }}
	noText   = strings.NewReader("")
)

// parseObject reads text that must be exactly one JSON object: valid UTF-8, no
// name twice at any level, bounded nesting. The values alias text.
//
// It walks tokens, so that nesting costs no stack.
func parseObject(text []byte) (members, bool) {
	dec := decoders.Get().(*jsontext.Decoder)
	defer func() {
		dec.Reset(noText) // releases text
		decoders.Put(dec)
	}()
	// A decoder reads a bytes.Buffer in place.
	dec.Reset(bytes.NewBuffer(text))
	if tok, err := dec.ReadToken(); err != nil || tok.Kind() != '{' {
		return nil, false
	}
	ms := make(members, 0, 8)
	for {
		tok, err := dec.ReadToken()
		if err != nil {
			return nil, false
		}
		if tok.Kind() == '}' {
			break
		}
		name := tok.String()
		start := dec.InputOffset()
		if !skipValue(dec) {
			return nil, false
		}
		value := bytes.TrimLeft(text[start:dec.InputOffset()], ": \t\r\n")
		ms = append(ms, member{name, value})
	}
	_, err := dec.ReadToken()
	return ms, err == io.EOF
}

func skipValue(dec *jsontext.Decoder) bool {
	depth := dec.StackDepth()
	for {
		if _, err := dec.ReadToken(); err != nil {
			return false
		}
		switch d := dec.StackDepth(); {
		case d == depth:
			return true
		case d > maxDepth:
			return false
		}
	}
}

// get returns the raw value of a name, or nil if the object has no such name.
func (ms members) get(name string) []byte {
	for _, m := range ms {
		if m.name == name {
			return m.value
		}
	}
	return nil
}

// misspell reports whether a member has one of these names in another case,
// such as EXP. JSON distinguishes case, but encoding/json and its users do not:
// what looks like a limit must be one.
func (ms members) misspell(names []string) bool {
	for _, m := range ms {
		for _, name := range names {
			if m.name != name && strings.EqualFold(m.name, name) {
				return true
			}
		}
	}
	return false
}

// fewMembers is the number of members up to which ambiguous compares all pairs,
// which needs no memory. Usual payloads do not have more.
const fewMembers = 16

// ambiguous reports whether two names differ only in case. encoding/json treats
// them as one and takes the last value, while a lookup by name finds either:
// two readers of such a token might not agree on its user.
func (ms members) ambiguous() bool {
	if len(ms) <= fewMembers {
		for i, m := range ms {
			for _, other := range ms[:i] {
				if strings.EqualFold(m.name, other.name) {
					return true
				}
			}
		}
		return false
	}
	seen := make(map[string]struct{}, len(ms))
	for _, m := range ms {
		seen[casefold.String(m.name)] = struct{}{}
	}
	return len(seen) < len(ms)
}

// set replaces a value in place, or appends it.
func (ms *members) set(name string, value []byte) {
	for i := range *ms {
		if (*ms)[i].name == name {
			(*ms)[i].value = value
			return
		}
	}
	*ms = append(*ms, member{name, value})
}

func (ms *members) remove(name string) {
	for i := range *ms {
		if (*ms)[i].name == name {
			*ms = append((*ms)[:i], (*ms)[i+1:]...)
			return
		}
	}
}

// appendTo writes the object without spaces.
func (ms members) appendTo(dst []byte) []byte {
	dst = append(dst, '{')
	for i, m := range ms {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = wire.AppendString(dst, m.name)
		dst = append(dst, ':')
		dst = append(dst, m.value...)
	}
	return append(dst, '}')
}

// number reads a raw JSON number as a double. A value that no double can hold
// is not a number here.
func number(raw []byte) (float64, bool) {
	if len(raw) == 0 || raw[0] != '-' && (raw[0] < '0' || raw[0] > '9') {
		return 0, false
	}
	f, err := strconv.ParseFloat(string(raw), 64)
	return f, err == nil && !math.IsInf(f, 0)
}

func text(raw []byte) (string, bool) {
	if len(raw) == 0 || raw[0] != '"' {
		return "", false
	}
	if bytes.IndexByte(raw, '\\') < 0 {
		return string(raw[1 : len(raw)-1]), true
	}
	var s string
	err := json.Unmarshal(raw, &s)
	return s, err == nil
}

// keyID reads a kid: text, or a whole number, which is converted to text.
// Issuers that number their keys write both.
func keyID(raw []byte) (string, bool) {
	id, ok := claimscan.TextOf(raw)
	return string(id), ok
}

// texts reads a string or the strings of an array.
func texts(raw []byte) []string {
	if s, ok := text(raw); ok {
		return []string{s}
	}
	var values []any
	if len(raw) == 0 || raw[0] != '[' || json.Unmarshal(raw, &values) != nil {
		return nil
	}
	var list []string
	for _, v := range values {
		if s, ok := v.(string); ok {
			list = append(list, s)
		}
	}
	return list
}
