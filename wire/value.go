package wire

import (
	"bytes"
	"encoding/base64"
	stdjson "encoding/json"
	"errors"
	"math"
	"reflect"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	jsonv1 "github.com/go-json-experiment/json/v1"
)

var errRawMessage = errors.New("wire: json.RawMessage is not valid JSON in UTF-8")

// marshalOptions are the rules of encoding/json, except where JavaScript
// differs: no escaping for HTML, bytes as an object, null for numbers that are
// not finite.
var marshalOptions = json.JoinOptions(
	jsonv1.DefaultOptionsV1(),
	jsontext.EscapeForHTML(false),
	jsontext.EscapeForJS(false),
	json.WithMarshalers(json.JoinMarshalers(
		json.MarshalToFunc(marshalBytes),
		json.MarshalToFunc(func(enc *jsontext.Encoder, f float64) error { return marshalFloat(enc, f) }),
		json.MarshalToFunc(func(enc *jsontext.Encoder, f float32) error { return marshalFloat(enc, float64(f)) }),
		json.MarshalToFunc(marshalNumber),
	)),
)

// Marshal encodes a Go value as raw JSON for the Append functions. A nil
// interface and a nil json.RawMessage mean that there is no data: the result is
// nil. Any other json.RawMessage is validated and returned as it is, so the
// result aliases it.
//
// Values of the type []byte become {"base64":true,"data":"…"} at any depth,
// with standard padded base64, and nil ones become null. NaN and infinities
// become null, and a negative zero becomes 0. Everything else follows
// encoding/json, without its escaping for HTML.
func Marshal(v any) ([]byte, error) {
	switch v := v.(type) {
	case nil:
		return nil, nil
	case stdjson.RawMessage:
		if v == nil {
			return nil, nil
		}
		if !validText(v) {
			return nil, errRawMessage
		}
		return v, nil
	}
	text, err := json.Marshal(v, marshalOptions)
	if err != nil {
		return nil, err
	}
	// The result of a MarshalJSON method is copied byte by byte. Bytes that are
	// not UTF-8 can only occur in its strings.
	if !utf8.Valid(text) {
		text = bytes.ToValidUTF8(text, []byte("\uFFFD"))
	}
	return text, nil
}

// unmarshalOptions are the rules of encoding/json, plus the form in which
// [Marshal] writes bytes.
var unmarshalOptions = json.JoinOptions(
	jsonv1.DefaultOptionsV1(),
	json.WithUnmarshalers(json.JoinUnmarshalers(
		json.UnmarshalFromFunc(unmarshalBytes),
		json.UnmarshalFromFunc(unmarshalNumber),
	)),
)

// Unmarshal decodes raw JSON into v as encoding/json does. It also accepts
// {"base64":true,"data":"…"} for a value of the type []byte at any depth, as
// [Marshal] and JavaScript write it. Base64 text and arrays of numbers are
// bytes too, as in encoding/json. Data that is nil, which means absent, leaves
// v unchanged.
//
// A lone surrogate in a string becomes U+FFFD, so two different strings may
// become equal. Where that matters, as in names, refuse strings that contain
// U+FFFD, or use [ParseString].
//
// If the data does not fit v, the error is an
// [encoding/json.UnmarshalTypeError].
func Unmarshal(data []byte, v any) error {
	if data == nil {
		return nil
	}
	err := json.Unmarshal(data, v, unmarshalOptions)
	var odd *jsonv1.UnmarshalTypeError
	if errors.As(err, &odd) {
		return &stdjson.UnmarshalTypeError{Value: odd.Value, Type: odd.Type, Offset: odd.Offset, Struct: odd.Struct, Field: odd.Field}
	}
	return err
}

// unmarshalBytes decodes the object that represents bytes. ErrUnsupported means
// the ordinary decoding.
func unmarshalBytes(dec *jsontext.Decoder, b *[]byte) error {
	if dec.PeekKind() != jsontext.KindBeginObject {
		return errors.ErrUnsupported
	}
	object, err := dec.ReadValue()
	if err != nil {
		return err
	}
	decoded, ok := parseBytes(object)
	if !ok {
		path := strings.ReplaceAll(strings.TrimPrefix(string(dec.StackPointer()), "/"), "/", ".")
		return &stdjson.UnmarshalTypeError{Value: "object", Type: reflect.TypeFor[[]byte](), Offset: dec.InputOffset(), Field: path}
	}
	*b = decoded
	return nil
}

// parseBytes reads an object that represents bytes, and refuses anything else.
func parseBytes(object []byte) (decoded []byte, ok bool) {
	var mark, data []byte
	others := 0
	valid := eachMember(object, func(name, value []byte) {
		switch string(memberName(name)) {
		case "base64":
			mark = value
		case "data":
			data = value
		default:
			others++
		}
	})
	if !valid || others > 0 || string(mark) != "true" || !isString(data) {
		return nil, false
	}
	decoded, err := base64.StdEncoding.AppendDecode([]byte{}, unquoteLenient(data))
	return decoded, err == nil
}

// unmarshalNumber exists because the engine does not know the Number type of
// encoding/json. ErrUnsupported means the ordinary decoding.
func unmarshalNumber(dec *jsontext.Decoder, n *stdjson.Number) error {
	switch dec.PeekKind() {
	case jsontext.KindBeginObject, jsontext.KindBeginArray, jsontext.KindTrue, jsontext.KindFalse:
		return errors.ErrUnsupported
	}
	value, err := dec.ReadValue()
	if err != nil {
		return err
	}
	return stdjson.Unmarshal(value, n)
}

func marshalBytes(enc *jsontext.Encoder, b []byte) error {
	if b == nil {
		return enc.WriteToken(jsontext.Null)
	}
	const head, tail = `{"base64":true,"data":"`, `"}`
	text := make([]byte, 0, len(head)+base64.StdEncoding.EncodedLen(len(b))+len(tail))
	text = append(text, head...)
	text = base64.StdEncoding.AppendEncode(text, b)
	return enc.WriteValue(append(text, tail...))
}

// marshalFloat encodes only numbers that encoding/json refuses or writes in
// another way than JavaScript. ErrUnsupported means the ordinary encoding.
func marshalFloat(enc *jsontext.Encoder, f float64) error {
	switch {
	case math.IsNaN(f) || math.IsInf(f, 0):
		return enc.WriteToken(jsontext.Null)
	case f == 0:
		return enc.WriteToken(jsontext.Int(0))
	}
	return errors.ErrUnsupported
}

// marshalNumber exists because the engine does not know the Number type of
// encoding/json, whose zero value is 0.
func marshalNumber(enc *jsontext.Encoder, n stdjson.Number) error {
	if n == "" {
		n = "0"
	}
	return enc.WriteValue(jsontext.Value(n))
}
