package console

import (
	"bytes"
	"encoding/json"
)

// matches reports whether a JSON value is what is expected: an object has at
// least the members that are expected, an array exactly the elements, and the
// text "*" stands for any value. Without an expectation (nil) everything
// matches.
func matches(expected, is json.RawMessage) bool {
	if expected == nil {
		return true
	}
	return fits(decode(expected), decode(is))
}

// decode decodes a JSON value, with numbers as they are written. No value is nil,
// as null is.
func decode(raw json.RawMessage) (v any) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if d.Decode(&v) != nil {
		return nil
	}
	return v
}

func fits(expected, is any) bool {
	switch expected := expected.(type) {
	case string:
		return expected == "*" || expected == is
	case map[string]any:
		object, ok := is.(map[string]any)
		for name := range expected {
			value, has := object[name]
			ok = ok && has && fits(expected[name], value)
		}
		return ok
	case []any:
		list, ok := is.([]any)
		if !ok || len(list) != len(expected) {
			return false
		}
		for i := range expected {
			if !fits(expected[i], list[i]) {
				return false
			}
		}
		return true
	case json.Number:
		number, ok := is.(json.Number)
		if !ok {
			return false
		}
		a, errA := expected.Float64()
		b, errB := number.Float64()
		return expected == number || errA == nil && errB == nil && a == b
	}
	return expected == is
}
