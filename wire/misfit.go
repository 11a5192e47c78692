package wire

import (
	"cmp"
	"errors"
	"reflect"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	jsonv1 "github.com/go-json-experiment/json/v1"
)

// Misfit reports where data that Unmarshal has refused does not fit v: the
// place in the data, as a JSON pointer (RFC 6901; "" is the data itself), and
// the type that is expected there. The result may be logged, because it
// contains nothing of the data. Fields of structs have the names from their
// types. "*" stands for a key of a map, and for a place inside a value that a
// type decodes by its own unmarshaler.
//
// It decodes the data again, and does not change v. v is a pointer.
func Misfit(data []byte, v any) (path string, expected reflect.Type) {
	typ := reflect.TypeOf(v).Elem()
	err := json.Unmarshal(data, reflect.New(typ).Interface(),
		unmarshalOptions, jsonv1.ReportErrorsWithLegacySemantics(false))
	bad, ok := errors.AsType[*json.SemanticError](err)
	if !ok || bad.GoType == nil {
		return "", typ
	}
	expected = bad.GoType
	if expected.Kind() == reflect.Pointer { // unmarshalBytes and unmarshalNumber get pointers
		expected = expected.Elem()
	}
	return placeIn(typ, bad.JSONPointer), expected
}

// placeIn returns a pointer into data for the type. It contains only names from
// the type and indexes of lists.
func placeIn(typ reflect.Type, pointer jsontext.Pointer) string {
	var place jsontext.Pointer
	for token := range pointer.Tokens() {
		for typ != nil && typ.Kind() == reflect.Pointer {
			typ = typ.Elem()
		}
		name := "*"
		switch {
		case typ == nil:
		case typ.Kind() == reflect.Struct:
			typ, name = fieldFor(typ, token)
		case typ.Kind() == reflect.Map:
			typ = typ.Elem()
		case typ.Kind() == reflect.Slice || typ.Kind() == reflect.Array:
			if _, err := strconv.ParseUint(token, 10, 64); err == nil {
				typ, name = typ.Elem(), token
			} else {
				typ = nil
			}
		default:
			typ = nil
		}
		place = place.AppendToken(name)
	}
	return string(place)
}

// fieldFor returns the type of the struct field for a member of an object, and
// its name in the struct, or nil and "*".
func fieldFor(typ reflect.Type, key string) (reflect.Type, string) {
	var alike reflect.Type
	name := "*"
	for _, f := range reflect.VisibleFields(typ) {
		tag, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if !f.IsExported() || f.Anonymous && tag == "" {
			continue // its own fields are visible, too
		}
		switch is := cmp.Or(tag, f.Name); {
		case is == key:
			return f.Type, is
		case alike == nil && strings.EqualFold(is, key):
			alike, name = f.Type, is
		}
	}
	return alike, name
}
