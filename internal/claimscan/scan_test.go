package claimscan

import (
	"bytes"
	"encoding/json"
	"testing"
)

// FuzzMembers compares the members of any valid object with those that
// encoding/json finds. Other text must not make it fail.
func FuzzMembers(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"sub":"alice","n":-1.5e3,"a":[1,"]",{"b":"}"}],"t":true,"z":null}`,
		` { "a\"b" : "c\\" , "\u00e9" : [ ] } `, `{"a":`, `{"a"`, `[`, ``, `{"a":"`, `{"a":{"b":[}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		got := make(map[string]json.RawMessage)
		s := Scan(text)
		for name, value := range s.Members() {
			got[string(name)] = bytes.Clone(value)
		}
		var want map[string]json.RawMessage
		if !json.Valid(text) || json.Unmarshal(text, &want) != nil || bytes.ContainsAny(text, "\x7f\xff") || !isASCII(text) {
			return
		}
		for name, value := range want {
			if !bytes.Equal(got[name], bytes.TrimSpace(value)) {
				t.Errorf("%q is %q, want %q", name, got[name], value)
			}
		}
		if len(got) != len(want) {
			t.Errorf("got %d members, want %d", len(got), len(want))
		}
	})
}

// isASCII keeps what the two repair in different ways out of the comparison.
func isASCII(text []byte) bool {
	for _, c := range text {
		if c >= 0x80 {
			return false
		}
	}
	return !bytes.Contains(text, []byte(`\u`))
}

func TestElements(t *testing.T) {
	var got []string
	s := Scan([]byte(` [1 , "a,b" ,[2,[3]], {"x":"]"}, null]`))
	for e := range s.Elements() {
		got = append(got, string(e))
	}
	want := []string{`1`, `"a,b"`, `[2,[3]]`, `{"x":"]"}`, `null`}
	if len(got) != len(want) {
		t.Fatalf("got %q", got)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("element %d is %s, want %s", i, got[i], want[i])
		}
	}
}

func TestTextOf(t *testing.T) {
	for _, test := range []struct {
		raw, text string
		ok        bool
	}{
		{`"a"`, "a", true}, {`"a\nb"`, "a\nb", true}, {`"\u0061"`, "a", true}, {`12`, "12", true}, {`-3`, "-3", true},
		{`1.5`, "", false}, {`1e3`, "", false}, {`true`, "", false}, {`null`, "", false}, {`[]`, "", false}, {`-`, "", false}, {``, "", false},
	} {
		text, ok := TextOf([]byte(test.raw))
		if ok != test.ok || ok && string(text) != test.text {
			t.Errorf("TextOf(%s) is %q, %v", test.raw, text, ok)
		}
	}
}

func TestTextOfMember(t *testing.T) {
	const object = `{"a":"x","a\u0062":7,"c":1.5,"d":1,"d":"last","e":{"a":2}}`
	for _, test := range []struct {
		member, text string
		ok           bool
	}{
		{"a", "x", true}, {"ab", "7", true}, {"c", "", false}, {"d", "last", true}, {"e", "", false}, {"f", "", false},
	} {
		if text, ok := TextOfMember([]byte(object), test.member); text != test.text || ok != test.ok {
			t.Errorf("the text of %q is %q, %v", test.member, text, ok)
		}
	}
}
