package wire

import (
	"bytes"
	"io"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// anyText accepts what JSON.parse accepts.
var anyText = []jsontext.Options{jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)}

// engineMembers is what eachMember visits, by the tokenizer of the JSON engine.
func engineMembers(text []byte) (all []string, ok bool) {
	dec := jsontext.NewDecoder(bytes.NewReader(text), anyText...)
	if dec.PeekKind() != jsontext.KindBeginObject {
		return nil, false
	}
	dec.ReadToken()
	for dec.PeekKind() != jsontext.KindEndObject {
		for range 2 {
			v, err := dec.ReadValue()
			if err != nil {
				return nil, false
			}
			all = append(all, string(v))
		}
	}
	dec.ReadToken()
	_, err := dec.ReadToken()
	return all, err == io.EOF
}

// agrees fails if the scanner and the JSON engine read a text differently.
func agrees(t *testing.T, text []byte) {
	t.Helper()
	valid := utf8.Valid(text)
	if got, want := validText(text), valid && jsontext.Value(text).IsValid(anyText...); got != want {
		t.Fatalf("%.200q is valid: %v, want %v", text, got, want)
	}
	if !valid {
		return // Reset has refused it
	}
	var got []string
	ok := eachMember(text, func(name, value []byte) { got = append(got, string(name), string(value)) })
	want, wantOK := engineMembers(text)
	if ok != wantOK || ok && !slices.Equal(got, want) {
		t.Fatalf("%.200q has the members %q (%v), want %q (%v)", text, got, ok, want, wantOK)
	}
}

var scanTexts = []string{
	"", " ", "0", "-0", "-", "01", "1.", ".5", "1.5e+10", "1E-2", "1e", "-1.25e5 ", "+1", "NaN",
	"true", "tru", "false", "null", "nul", `"`, `""`, `"a`, "\"12345678\"", "\"1234567\x1f\"", "\"\x7f\u00e9\u2028\"",
	`"\"\\\/\b\f\n\r\t\u00e9\uD83D\uDE00\ud800"`, `"\x"`, `"\u12g4"`, `"\u123`, `"1234567\"901234567\\"`,
	"{}", "[]", "{ }", "[\t]", "[1,2]", "[1 2]", "[1,]", "[,1]", "[1}", "{1:2}", `{"a"}`, `{"a":}`, `{"a":1,}`, `{,"a":1}`,
	" {\"a\" : [ 1 , {\"b\":\"c\\\"d\"} ] , \"a\":null}\r\n", `{"a":1}{`, `{"a":1}x`, `{"a":"é😀"}`,
	`{"event":"#publish","data":{"channel":"room/42","data":{"text":"hello, world","tags":["a","b"],"at":1795431896123}},"cid":17}`,
}

// A change of one byte makes a text invalid, or not, in the eyes of both.
func TestScanAgreesWithTheEngine(t *testing.T) {
	const bytesOfInterest = "{}[]\",:\\ \t\n\v-+.01eEutfn/'\x00\x10\x1f\x7f\x80\xe9\xff"
	for _, seed := range scanTexts {
		agrees(t, []byte(seed))
		for i := range len(seed) {
			agrees(t, []byte(seed[:i]))
			agrees(t, []byte(seed[:i]+seed[i+1:]))
			for _, c := range []byte(bytesOfInterest) {
				agrees(t, []byte(seed[:i]+string([]byte{c})+seed[i+1:]))
				agrees(t, []byte(seed[:i]+string([]byte{c})+seed[i:]))
			}
		}
	}
	for _, depth := range []int{MaxDepth - 1, MaxDepth, MaxDepth + 1} {
		agrees(t, []byte(strings.Repeat("[", depth)+strings.Repeat("]", depth)))
		agrees(t, []byte(strings.Repeat(`{"a":`, depth-1)+"{}"+strings.Repeat("}", depth-1)))
	}
}

func FuzzScan(f *testing.F) {
	for _, seed := range scanTexts {
		f.Add([]byte(seed))
	}
	f.Fuzz(agrees)
}
