package wire

import (
	"errors"
	"reflect"

	"github.com/go-json-experiment/json"
	jsonv1 "github.com/go-json-experiment/json/v1"
)

// Misfit tells where data that Unmarshal has refused does not fit v: at which
// place in the data, as a JSON pointer (RFC 6901; "" is the data itself), and what
// type is expected there. It holds nothing of the data but names of members, so
// that it may be logged.
//
// It decodes the data once more, and leaves v alone. v is a pointer.
func Misfit(data []byte, v any) (path string, expected reflect.Type) {
	typ := reflect.TypeOf(v).Elem()
	err := json.Unmarshal(data, reflect.New(typ).Interface(),
		unmarshalOptions, jsonv1.ReportErrorsWithLegacySemantics(false))
	bad, ok := errors.AsType[*json.SemanticError](err)
	if !ok || bad.GoType == nil {
		return "", typ
	}
	expected = bad.GoType
	if expected.Kind() == reflect.Pointer { // what unmarshalBytes and unmarshalNumber are given
		expected = expected.Elem()
	}
	return string(bad.JSONPointer), expected
}
