package wire_test

import (
	"encoding/json"
	"math"
	"math/big"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/socketcluster-go/socketcluster/wire"
)

type sample struct {
	A     int             `json:"a"`
	Empty string          `json:"empty,omitempty"`
	Skip  string          `json:"-"`
	Blob  []byte          `json:"blob"`
	F     float64         `json:"f"`
	Raw   json.RawMessage `json:"raw,omitempty"`
	Text  string          `json:"text"`
	inner int
}

func TestMarshal(t *testing.T) {
	tests := []struct {
		name string
		v    any
		want string
	}{
		{"CV-3: nil is absent", nil, absent},
		{"CV-3: nil raw message is absent", json.RawMessage(nil), absent},
		{"CV-3: null", json.RawMessage("null"), "null"},
		{"nil pointer is null", (*sample)(nil), "null"},
		{"nil map is null", map[string]int(nil), "null"},
		{"nil slice is null", []int(nil), "null"},
		{"raw message passes as it is", json.RawMessage(` { "b" : 1.0, "a" : "<\ud800>" } `), ` { "b" : 1.0, "a" : "<\ud800>" } `},
		{"raw message with repeated names", json.RawMessage(`{"a":1,"a":2}`), `{"a":1,"a":2}`},
		{"TR-21: bytes", []byte{1, 2, 255}, `{"base64":true,"data":"AQL/"}`},
		{"TR-21: padding", []byte{1}, `{"base64":true,"data":"AQ=="}`},
		{"TR-21: no bytes", []byte{}, `{"base64":true,"data":""}`},
		{"TR-21: nil bytes", []byte(nil), `null`},
		{"TR-21: bytes within", map[string]any{"a": []any{[]byte{1, 2, 255}}}, `{"a":[{"base64":true,"data":"AQL/"}]}`},
		{"TR-21: bytes in a struct", sample{Blob: []byte{0}}, `{"a":0,"blob":{"base64":true,"data":"AA=="},"f":0,"text":""}`},
		{"QK-36: only real bytes", map[string]any{"type": "Buffer", "data": []int{1}}, `{"data":[1],"type":"Buffer"}`},
		{"TR-21: NaN", math.NaN(), `null`},
		{"TR-21: infinity", math.Inf(-1), `null`},
		{"TR-21: infinities within", []any{math.Inf(1), float32(math.Inf(1)), []float64{math.NaN(), 1}, map[string]float32{"x": float32(math.NaN())}}, `[null,null,[null,1],{"x":null}]`},
		{"TR-21: negative zero", []float64{math.Copysign(0, -1)}, `[0]`},
		{"numbers as JavaScript writes them", []float64{1e21, 1e20, 1e-6, 1e-7, 0.1}, `[1e+21,100000000000000000000,0.000001,1e-7,0.1]`},
		{"float32 keeps its digits", float32(0.1), `0.1`},
		{"TR-21: no escaping for HTML", "<&>\u2028\u2029\"\\\n\x00", "\"<&>\u2028\u2029\\\"\\\\\\n\\u0000\""},
		{"TR-21: no escaping for HTML within", map[string]string{"<": ">"}, `{"<":">"}`},
		{"no escaping within a MarshalJSON", []any{json.RawMessage(`"<"`)}, `["<"]`},
		{"text that is not UTF-8", "a\xff", `"a` + "\ufffd" + `"`},
		{"text that is not UTF-8 within raw JSON", []any{json.RawMessage("\"\xff\"")}, `["` + "\ufffd" + `"]`},
		{"int64", int64(math.MaxInt64), "9223372036854775807"},
		{"json.Number", []any{json.Number("12345678901234567890"), json.Number("")}, `[12345678901234567890,0]`},
		{"big numbers", big.NewInt(5), "5"},
		{"time", time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), `"2026-01-02T03:04:05Z"`},
		{"sorted keys", map[string]int{"b": 1, "a": 2}, `{"a":2,"b":1}`},
		{"struct", &sample{A: 1, Skip: "x", inner: 2, Raw: json.RawMessage("[ 1 ]")}, `{"a":1,"blob":null,"f":0,"raw":[1],"text":""}`},
		{"arrays of bytes are arrays", [2]byte{1, 2}, `[1,2]`},
		{"bool", true, "true"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := wire.Marshal(tt.v)
			if err != nil || text(got) != tt.want {
				t.Errorf("got %s, %v; want %s", text(got), err, tt.want)
			}
			if got != nil && (!utf8.Valid(got) || !json.Valid(got)) {
				t.Errorf("%q cannot be sent", got)
			}
		})
	}
}

func TestMarshalErrors(t *testing.T) {
	cycle := map[string]any{}
	cycle["self"] = cycle
	tests := map[string]any{
		"TR-22: cycle":                  cycle,
		"channel":                       make(chan int),
		"function":                      func() {},
		"empty raw message":             json.RawMessage{},
		"broken raw message":            json.RawMessage(`{"a":`),
		"two values":                    json.RawMessage(`1 2`),
		"raw message that is not UTF-8": json.RawMessage("\"\xff\""),
		"broken raw message within":     []any{json.RawMessage(`{`)},
		"broken number":                 json.Number("1x"),
	}
	for name, v := range tests {
		if got, err := wire.Marshal(v); err == nil {
			t.Errorf("%s: %s, want an error", name, got)
		}
	}
}

// TestMarshalLikeStandard compares with encoding/json where both agree.
func TestMarshalLikeStandard(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := jsonValue(3).Draw(t, "v")
		got, err := wire.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		var back, want any
		std, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		if err := wire.Unmarshal(std, &want); err != nil {
			t.Fatal(err)
		}
		if v == nil {
			if got != nil {
				t.Fatalf("nil gives %s", got)
			}
			return
		}
		if err := wire.Unmarshal(got, &back); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, back); d != "" {
			t.Fatalf("%s (-encoding/json +wire):\n%s", got, d)
		}
	})
}

func TestUnmarshal(t *testing.T) {
	v := sample{A: 1, Text: "kept"}
	if err := wire.Unmarshal(nil, &v); err != nil || v.A != 1 {
		t.Errorf("CV-3: absent data: %+v, %v", v, err)
	}
	if err := wire.Unmarshal([]byte(`null`), &v); err != nil || v.A != 1 {
		t.Errorf("null: %+v, %v", v, err)
	}
	if err := wire.Unmarshal([]byte(`{"A":2,"unknown":3,"blob":"AQI="}`), &v); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(sample{A: 2, Text: "kept", Blob: []byte{1, 2}}, v, cmp.AllowUnexported(sample{})); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	for _, broken := range []string{"", "{", `{"a":"x"}`, `{"a":1}x`} {
		if err := wire.Unmarshal([]byte(broken), &v); err == nil {
			t.Errorf("%q: no error", broken)
		}
	}
}
