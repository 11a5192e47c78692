package wire_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/socketcluster-go/socketcluster/wire"
)

// places are where bytes may stand.
type places struct {
	Field   []byte
	Pointer *[]byte
	List    [][]byte
	Map     map[string][]byte
	Raw     json.RawMessage
	Any     any
}

// TR-21, QK-36: what Marshal and JavaScript write for bytes is read as bytes,
// wherever a []byte is expected, and only there.
func TestUnmarshalBytes(t *testing.T) {
	const b = `{"base64":true,"data":"AQL/"}`
	want := []byte{1, 2, 255}
	for _, test := range []struct {
		text string
		want any // a pointer to the value
	}{
		{b, &want},
		{` { "data" : "AQL\/" , "base64" : true } `, &want},
		{`{"b\u0061se64":true,"data":"AQL/","data":"AQL/"}`, &want},
		{`"AQL/"`, &want},
		{`[1,2,255]`, &want},
		{`null`, new([]byte)},
		{`{"base64":true,"data":""}`, &[]byte{}},
		{`[` + b + `,null,"AQL/"]`, &[][]byte{want, nil, want}},
		{
			`{"Field":` + b + `,"Pointer":` + b + `,"List":[` + b + `],"Map":{"x":` + b + `},"Raw":` + b + `,"Any":` + b + `}`,
			&places{want, &want, [][]byte{want}, map[string][]byte{"x": want}, json.RawMessage(b), map[string]any{"base64": true, "data": "AQL/"}},
		},
	} {
		got := reflect.New(reflect.TypeOf(test.want).Elem())
		if err := wire.Unmarshal([]byte(test.text), got.Interface()); err != nil {
			t.Errorf("%s: %v", test.text, err)
		}
		if diff := cmp.Diff(test.want, got.Interface()); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", test.text, diff)
		}
	}
}

// Other objects are not bytes. The error contains their place, as that of
// encoding/json does.
func TestUnmarshalNoBytes(t *testing.T) {
	for _, object := range []string{
		`{}`, `{"base64":true}`, `{"data":"AQL/"}`, `{"base64":false,"data":"AQL/"}`, `{"base64":1,"data":"AQL/"}`,
		`{"base64":true,"data":7}`, `{"base64":true,"data":null}`, `{"base64":true,"data":"?"}`, `{"base64":true,"data":"AQL"}`,
		`{"base64":true,"data":"AQL/","more":1}`, `{"type":"Buffer","data":[1]}`,
	} {
		var v struct {
			A struct{ List [][]byte }
		}
		err := wire.Unmarshal([]byte(`{"A":{"List":["",`+object+`]}}`), &v)
		var odd *json.UnmarshalTypeError
		if !errors.As(err, &odd) {
			t.Errorf("%s: %v", object, err)
		} else if odd.Field != "A.List.1" || odd.Type != reflect.TypeFor[[]byte]() || odd.Value != "object" {
			t.Errorf("%s: %+v", object, odd)
		}
	}
	var v []byte
	if err := wire.Unmarshal([]byte(`{"base64":true,"data":"AQL/"`), &v); err == nil {
		t.Error("no error for half an object")
	}
}

// Bytes that Marshal has written are those that Unmarshal reads.
func TestBytesThereAndBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := rapid.MapOf(rapid.StringMatching("[a-z]*"), rapid.SliceOf(rapid.SliceOf(rapid.Byte()))).Draw(t, "in")
		text, err := wire.Marshal(in)
		if err != nil {
			t.Fatal(err)
		}
		var out map[string][][]byte
		if err := wire.Unmarshal(text, &out); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(in, out); diff != "" {
			t.Fatal(diff)
		}
	})
}

// encoding/json has its own type for numbers.
func TestUnmarshalNumber(t *testing.T) {
	for text, want := range map[string]json.Number{`5`: "5", `1e999`: "1e999", `"5"`: "5", `null`: "kept", `"x"`: "", `{}`: "", `true`: ""} {
		n := json.Number("kept")
		err := wire.Unmarshal([]byte(text), &n)
		if (want == "") != (err != nil) || err == nil && n != want {
			t.Errorf("%s: %q, %v", text, n, err)
		}
		if errors.As(err, new(*json.UnmarshalTypeError)) != (text == `{}` || text == `true`) {
			t.Errorf("%s: %T %v", text, err, err)
		}
	}
	var v struct{ A []json.Number }
	var odd *json.UnmarshalTypeError
	if err := wire.Unmarshal([]byte(`{"A":[1,{}]}`), &v); !errors.As(err, &odd) || odd.Field != "A.1" {
		t.Errorf("%+v, %v", odd, err)
	}
}

// All else is as for encoding/json: what is read, and whether it is an error.
func TestUnmarshalLikeStandard(t *testing.T) {
	type nested struct {
		B bool
		S []string `json:"s"`
	}
	type into struct {
		S  string
		I  int8
		F  float32 `json:",string"`
		N  json.Number
		P  *nested
		L  []nested
		M  map[int]any
		A  [2]int
		Bs []byte
		R  json.RawMessage
		nested
	}
	value := rapid.OneOf(
		rapid.SampledFrom([]string{
			`null`, `true`, `1`, `-1`, `300`, `1.5`, `1e400`, `"1"`, `"1.5"`, `""`, `"x"`, `"AQ=="`, `"\ud800"`, `[]`, `[1,2,3]`, `["a"]`,
			`{}`, `{"b":true,"B":false}`, `{"1":2}`, `{"s":["x",1]}`, `{"S":null}`, `[{"b":1},{"s":["y"]}]`,
		}),
		rapid.Map(jsonValue(2), func(v any) string {
			text, _ := json.Marshal(v)
			return string(text)
		}),
	)
	name := rapid.SampledFrom([]string{"S", "I", "f", "F", "N", "P", "L", "l", "M", "A", "Bs", "R", "B", "s", "other"})
	rapid.Check(t, func(t *rapid.T) {
		text := "{"
		for i := range rapid.IntRange(0, 3).Draw(t, "members") {
			if i > 0 {
				text += ","
			}
			text += `"` + name.Draw(t, "name") + `":` + value.Draw(t, "value")
		}
		text += "}"
		var got, want into
		errGot, errWant := wire.Unmarshal([]byte(text), &got), json.Unmarshal([]byte(text), &want)
		if (errGot == nil) != (errWant == nil) {
			t.Fatalf("%s: the error is %v, that of encoding/json %v", text, errGot, errWant)
		}
		if errors.As(errWant, new(*json.UnmarshalTypeError)) && !errors.As(errGot, new(*json.UnmarshalTypeError)) {
			t.Fatalf("%s: the error is a %T, that of encoding/json a %T", text, errGot, errWant)
		}
		if errWant != nil {
			return
		}
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(into{}, nested{})); diff != "" {
			t.Fatalf("%s (-encoding/json +wire):\n%s", text, diff)
		}
	})
}
