// Package redact prints structs without the secrets that they contain. It is
// for the methods Format and MarshalJSON of such types, so that no verb of fmt,
// no log and no JSON shows a token or a key.
//
// A type needs both methods: most verbs of fmt print the fields of a struct,
// whatever its String method returns, and so does encoding/json.
package redact

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// Text describes a struct, or a pointer to one, like %+v: its exported fields
// that are set. Of the secret fields, which must be texts or bytes, it shows
// only the length. It does not show values behind a pointer, an interface or a
// function, unless their type has a method of its own for that.
func Text(v any, secret ...string) string {
	value := reflect.Indirect(reflect.ValueOf(v))
	if !value.IsValid() {
		return "<nil>"
	}
	var b strings.Builder
	b.WriteString(value.Type().String())
	b.WriteByte('{')
	space := ""
	for i := range value.NumField() {
		field, f := value.Type().Field(i), value.Field(i)
		if !field.IsExported() || f.IsZero() {
			continue
		}
		b.WriteString(space + field.Name + ":")
		space = " "
		switch {
		case slices.Contains(secret, field.Name):
			fmt.Fprintf(&b, "[%d bytes]", f.Len())
		case opaque(f):
			b.WriteString(reflect.TypeOf(f.Interface()).String())
		default:
			fmt.Fprintf(&b, "%+v", f.Interface())
		}
	}
	b.WriteByte('}')
	return b.String()
}

// opaque reports whether fmt would read a value that does not print itself and
// may be in use meanwhile.
func opaque(v reflect.Value) bool {
	switch v.Interface().(type) {
	case fmt.Formatter, error:
		return false
	}
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface, reflect.Func, reflect.Map, reflect.Chan:
		return true
	}
	return false
}

// Format writes a text for [fmt.Formatter], whatever the verb.
func Format(f fmt.State, text string) { _, _ = f.Write([]byte(text)) }

// JSON encodes a text as a string, for [json.Marshaler].
func JSON(text string) ([]byte, error) { return json.Marshal(text) }
