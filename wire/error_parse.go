package wire

import (
	"bytes"
	"encoding/json"
	"slices"
)

// ParseError converts the "error" of a response into a Go error. It returns
// nil, which means success, if raw is absent or falsy in JavaScript. Otherwise
// it returns an *Error that does not alias raw.
//
// An object becomes an error with its name and message; its other members,
// except "stack", become fields. Any other value becomes the field "value" of
// an error without a name, whose message is the string itself, or the JSON text
// of the value.
//
// The values of fields are string, float64, bool and nil for JSON scalars and
// json.RawMessage for arrays and objects.
func ParseError(raw []byte) error {
	raw = bytes.Trim(raw, jsonSpace)
	if len(raw) == 0 {
		return nil
	}
	if !validText(raw) {
		return &Error{Message: invalidErrorMessage}
	}
	if isFalsy(raw) {
		return nil
	}
	switch raw[0] {
	case '{':
		return parseErrorObject(raw)
	case '"':
		s := string(unquoteLenient(raw))
		return &Error{Message: s, Fields: []Field{{"value", s}}}
	case '[':
		return &Error{Message: invalidErrorMessage, Fields: []Field{{"value", fieldValue(raw)}}}
	}
	return &Error{Message: string(raw), Fields: []Field{{"value", fieldValue(raw)}}}
}

func parseErrorObject(raw []byte) *Error {
	var all members
	eachMember(raw, all.set)
	e := &Error{Message: invalidErrorMessage}
	for _, m := range all.list {
		switch key := string(m.name); key {
		case "message":
			if isString(m.value) {
				e.Message = string(unquoteLenient(m.value))
			}
		case "name":
			if isString(m.value) {
				e.Name = string(unquoteLenient(m.value))
			}
		case "stack":
			// The protocol never sends it, and it must not be passed on.
		default:
			e.Fields = append(e.Fields, Field{key, fieldValue(m.value)})
		}
	}
	return e
}

func fieldValue(raw []byte) any {
	switch raw[0] {
	case 'n':
		return nil
	case 't':
		return true
	case 'f':
		return false
	case '"':
		return string(unquoteLenient(raw))
	case '{', '[':
		return json.RawMessage(slices.Clone(raw))
	}
	return parseNumber(raw)
}
