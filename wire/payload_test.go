package wire_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/socketcluster-go/socketcluster/wire"
)

// notObjects are payloads that have no members, nil among them.
var notObjects = []string{"", "null", "1", "true", `"channel"`, "[]", `["channel"]`, `{"channel":"a"`, `{"channel":"a"}}`, `{"channel":"a",}`, "{"}

func bytesOf(s string) []byte {
	if s == "" {
		return nil
	}
	return []byte(s)
}

func TestParseString(t *testing.T) {
	good := map[string]string{
		`""`: "", `"a"`: "a", `"a\n\u0062"`: "a\nb", `"\ud83d\ude00"`: "😀", "\"\x7f\"": "\x7f", `"é"`: "é", "\"\u2028\"": "\u2028", `"\ufffd"`: "\ufffd",
	}
	for raw, want := range good {
		if got, ok := wire.ParseString([]byte(raw)); !ok || got != want {
			t.Errorf("ParseString(%s) = %q, %v; want %q", raw, got, ok, want)
		}
	}
	bad := []string{
		"", "null", "1", "true", "{}", "[]", `["a"]`, `"`, `"a`, `a"`, `"a"b`, `"a" `, ` "a"`, `"\x"`, `"\u12"`, "\"\n\"",
		`"\ud800"`, `"\udc00\ud800"`, `"\ud800\u0041"`, "\"\xff\"", "\"\xed\xa0\x80\"",
	}
	for _, raw := range bad {
		if got, ok := wire.ParseString(bytesOf(raw)); ok || got != "" {
			t.Errorf("ParseString(%q) = %q, %v; want refusal", raw, got, ok)
		}
	}
}

func TestParsePublish(t *testing.T) {
	tests := []struct {
		name, raw     string
		channel, data string
	}{
		{"PS-5: data", `{"channel":"x","data":5}`, "x", "5"},
		{"PS-5: data absent", `{"channel":"x"}`, "x", absent},
		{"CV-3: data null", `{"channel":"x","data":null}`, "x", "null"},
		{"PS-6: other members are dropped", `{"q":1,"data":[1, 2],"channel":"x","channels":2}`, "x", "[1, 2]"},
		{"QK-35: the empty name is for the caller to judge", `{"channel":""}`, "", absent},
		{"the last of repeated keys counts", `{"channel":1,"data":1,"channel":"y","data":2}`, "y", "2"},
		{"escapes", `{"ch\u0061nnel":"\u0061\"","d\u0061ta":"\ud800"}`, `a"`, `"\ud800"`},
		{"space around", ` {"channel":"x"} `, "x", absent},
		{"keys by exact case", `{"channel":"x","Data":1,"Channel":"y"}`, "x", absent},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, ok := wire.ParsePublish([]byte(tt.raw))
			if !ok || p.Channel != tt.channel || text(p.Data) != tt.data {
				t.Errorf("%s: %q %q %v", tt.raw, p.Channel, text(p.Data), ok)
			}
		})
	}
	if p, ok := wire.ParsePublish([]byte(`{"channel":"x","id":"a\u0062"}`)); !ok || string(p.ID) != `"a\u0062"` {
		t.Errorf("the id is %q, %v", p.ID, ok)
	}
	bad := append([]string{
		"{}", `{"data":1}`, `{"channel":null}`, `{"channel":5}`, `{"channel":["a"]}`, `{"channel":{}}`, `{"Channel":"a"}`,
		`{"channel":"a\ud800"}`, "{\"channel\":\"\xff\"}", `{"channel":"a","channel":1}`,
	}, notObjects...)
	for _, raw := range bad {
		if p, ok := wire.ParsePublish(bytesOf(raw)); ok || p.Channel != "" || p.Data != nil {
			t.Errorf("PS-5: ParsePublish(%q) = %v, %v; want refusal", raw, p, ok)
		}
		if s, ok := wire.ParseSubscribe(bytesOf(raw)); ok || s.Channel != "" || s.Options != nil {
			t.Errorf("PS-2: ParseSubscribe(%q) = %v, %v; want refusal", raw, s, ok)
		}
	}
}

func TestParseSubscribe(t *testing.T) {
	tests := []struct {
		name, raw     string
		channel, data string
		wait          bool
		options       string
	}{
		{"PS-1: channel alone", `{"channel":"a"}`, "a", absent, false, `{}`},
		{"PS-1: all options", `{"channel":"priv","waitForAuth":true,"data":{"q":1}}`, "priv", `{"q":1}`, true, `{"waitForAuth":true,"data":{"q":1}}`},
		{"PS-12: unknown keys are options", `{"z":[1],"channel":"a","b":null}`, "a", absent, false, `{"z":[1],"b":null}`},
		{"CV-3: data null", `{"channel":"a","data":null}`, "a", "null", false, `{"data":null}`},
		{"waitForAuth false", `{"channel":"a","waitForAuth":false}`, "a", absent, false, `{"waitForAuth":false}`},
		{"waitForAuth of another type", `{"channel":"a","waitForAuth":1}`, "a", absent, false, `{"waitForAuth":1}`},
		{"repeated keys", `{"channel":"x","q":1,"waitForAuth":true,"q":2,"waitForAuth":false,"\u0071":3,"channel":"a"}`, "a", absent, false, `{"q":3,"waitForAuth":false}`},
		{"keys are escaped again", `{"channel":"a","a\"\n":1}`, "a", absent, false, `{"a\"\n":1}`},
		{"escaped channel key is no option", `{"\u0063hannel":"a"}`, "a", absent, false, `{}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, ok := wire.ParseSubscribe([]byte(tt.raw))
			if !ok || s.Channel != tt.channel || text(s.Data) != tt.data || s.WaitForAuth != tt.wait || string(s.Options) != tt.options {
				t.Errorf("%s: %q %q %v %s %v", tt.raw, s.Channel, text(s.Data), s.WaitForAuth, s.Options, ok)
			}
		})
	}
}

// TestParseSubscribeManyOptions passes the point from which names are indexed.
func TestParseSubscribeManyOptions(t *testing.T) {
	for _, n := range []int{6, 7, 8, 9, 10, 40} {
		var first, second, want strings.Builder
		for i := range n {
			fmt.Fprintf(&first, `"k%d":%d,`, i, i)
			fmt.Fprintf(&second, `"k%d":"%d",`, i, i)
			fmt.Fprintf(&want, `"k%d":"%d",`, i, i)
		}
		raw := "{" + first.String() + second.String() + `"channel":"a"}`
		s, ok := wire.ParseSubscribe([]byte(raw))
		if w := "{" + strings.TrimSuffix(want.String(), ",") + "}"; !ok || string(s.Options) != w {
			t.Errorf("%d keys twice: %s, want %s", n, s.Options, w)
		}
	}
}

// TestParseSubscribeOwnsOptions: the options outlive the message.
func TestParseSubscribeOwnsOptions(t *testing.T) {
	raw := []byte(`{"channel":"abc","x":[1]}`)
	s, _ := wire.ParseSubscribe(raw)
	clear(raw)
	if s.Channel != "abc" || string(s.Options) != `{"x":[1]}` {
		t.Errorf("changed with the message: %q %s", s.Channel, s.Options)
	}
}

func TestParseHandshakeToken(t *testing.T) {
	tests := []struct {
		name, raw string
		tok       string
		kind      wire.TokenKind
	}{
		{"HS-2: null", `{"authToken":null}`, "", wire.TokenAbsent},
		{"HS-4: key absent", `{}`, "", wire.TokenAbsent},
		{"HS-4: empty text", `{"authToken":""}`, "", wire.TokenAbsent},
		{"HS-4: zero", `{"authToken":0}`, "", wire.TokenAbsent},
		{"HS-4: negative zero", `{"authToken":-0.0}`, "", wire.TokenAbsent},
		{"HS-4: false", `{"authToken":false}`, "", wire.TokenAbsent},
		{"HS-4: keys by exact case", `{"authtoken":"a"}`, "", wire.TokenAbsent},
		{"HS-11 row 2: text", `{"authToken":"a.b.c"}`, "a.b.c", wire.TokenString},
		{"HS-11 row 5: any text", `{"authToken":" "}`, " ", wire.TokenString},
		{"escaped text", `{"authToken":"a\u002eb"}`, "a.b", wire.TokenString},
		{"lone surrogate", `{"authToken":"a\ud800"}`, "a\ufffd", wire.TokenString},
		{"HS-4: other members are ignored", `{"x":{"authToken":"no"},"authToken":"yes","y":1}`, "yes", wire.TokenString},
		{"the last of repeated keys counts", `{"authToken":"a","authToken":null}`, "", wire.TokenAbsent},
		{"HS-11 row 8: number", `{"authToken":5}`, "", wire.TokenOther},
		{"HS-11 row 8: true", `{"authToken":true}`, "", wire.TokenOther},
		{"HS-11 row 8: object", `{"authToken":{}}`, "", wire.TokenOther},
		{"HS-11 row 8: array", `{"authToken":[]}`, "", wire.TokenOther},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tok, kind := wire.ParseHandshakeToken([]byte(tt.raw))
			if string(tok) != tt.tok || kind != tt.kind {
				t.Errorf("%s: %q %v", tt.raw, tok, kind)
			}
		})
	}
	for _, raw := range notObjects {
		if tok, kind := wire.ParseHandshakeToken(bytesOf(raw)); tok != nil || kind != wire.TokenAbsent {
			t.Errorf("HS-4: %q: %q %v, want no token", raw, tok, kind)
		}
	}
}
