package wire

import (
	"encoding/json"
	"slices"
	"time"
)

// invalidErrorMessage is the message of an error that was received without a
// usable one.
const invalidErrorMessage = "Invalid error message format"

// Field is an additional property of an [Error].
type Field struct {
	Key   string
	Value any
}

// Error is an error as it crosses the wire: a name, a message and the fields
// that were attached on purpose. It has no cause and no stack.
//
// Errors are matched by name: errors.Is(err, wire.ErrTimeout).
type Error struct {
	Name    string // "" means a plain error
	Message string
	Fields  []Field // in the order of encoding; "name" and "message" are ignored
}

// Error returns "Name: Message", with "Error" for an empty name, or the name
// alone if there is no message.
func (e *Error) Error() string {
	name := e.Name
	if name == "" {
		name = "Error"
	}
	if e.Message == "" {
		return name
	}
	return name + ": " + e.Message
}

// Is reports whether target is an *Error of the same name and, if target has a
// message, of the same message.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	if !ok || t == nil {
		return false
	}
	return e.Name == t.Name && (t.Message == "" || e.Message == t.Message)
}

// Field returns the value of the field with the given key.
func (e *Error) Field(key string) (any, bool) {
	for _, f := range e.Fields {
		if f.Key == key {
			return f.Value, true
		}
	}
	return nil, false
}

// With returns a copy in which the field key has the value v.
func (e *Error) With(key string, v any) *Error {
	c := *e
	c.Fields = slices.Clone(e.Fields)
	for i := range c.Fields {
		if c.Fields[i].Key == key {
			c.Fields[i].Value = v
			return &c
		}
	}
	c.Fields = append(c.Fields, Field{key, v})
	return &c
}

// AppendJSON appends the error as {"message":…,"name":…,…fields}. An empty name
// is left out, times are written by [FormatTime], nil is null, and a field whose
// value cannot be encoded is dropped.
//
// JavaScript can fail with a value that is not an error. An Error that
// [ParseError] made from such a value is written as that value again.
func (e *Error) AppendJSON(dst []byte) []byte {
	if value, ok := e.bare(); ok {
		return append(dst, value...)
	}
	dst = append(dst, `{"message":`...)
	dst = AppendString(dst, e.Message)
	if e.Name != "" {
		dst = append(dst, `,"name":`...)
		dst = AppendString(dst, e.Name)
	}
	for _, f := range e.Fields {
		if f.Key == "message" || f.Key == "name" {
			continue
		}
		value, err := marshalField(f.Value)
		if err != nil {
			continue
		}
		dst = append(dst, ',')
		dst = AppendString(dst, f.Key)
		dst = append(dst, ':')
		dst = append(dst, value...)
	}
	return append(dst, '}')
}

// bare returns the value for which the error stands, if it has no message of
// its own.
func (e *Error) bare() ([]byte, bool) {
	if e.Name != "" || e.Message == "" || len(e.Fields) != 1 || e.Fields[0].Key != "value" {
		return nil, false
	}
	v := e.Fields[0].Value
	if text, ok := v.(string); ok {
		return AppendString(nil, text), text == e.Message
	}
	value, err := Marshal(v)
	if err != nil || isFalsy(value) {
		return nil, false
	}
	switch v.(type) {
	case bool, float64:
		return value, string(value) == e.Message
	case json.RawMessage:
		return value, value[0] == '[' && e.Message == invalidErrorMessage
	}
	return nil, false
}

// MarshalJSON returns what AppendJSON appends.
func (e *Error) MarshalJSON() ([]byte, error) { return e.AppendJSON(nil), nil }

func marshalField(v any) ([]byte, error) {
	if t, ok := v.(time.Time); ok {
		return AppendString(nil, FormatTime(t)), nil
	}
	text, err := Marshal(v)
	if text == nil && err == nil {
		return []byte("null"), nil
	}
	return text, err
}
