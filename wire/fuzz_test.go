package wire_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/socketcluster-go/socketcluster/wire"
)

func FuzzDecoder(f *testing.F) {
	for _, seed := range []string{
		"", "#1", "#2", " ", "{}", "[]", "[[", "null", `"x"`,
		`{"event":"#handshake","data":{"authToken":null},"cid":1}`,
		`{"event":"#publish","data":{"channel":"a","data":1},"cid":5}`,
		`[{"rid":2},{"event":"#publish","data":{"channel":"a","data":1}},{"rid":3}]`,
		`{"rid":20,"error":{"message":"m"}}`,
		`{"\u0065vent":"a\ud800","cid":-1.5e3,"cid":1e400}`,
		`{"event":"a","event":1,"rid":0}`,
		" \t\r\n{\"event\":\"\u2028\"}\n", "{\"event\":\"\xff\"}",
		`{"event":"t","data":[[[[{"a":"\\\"[{"}]]]]}`,
		strings.Repeat("[", 100), strings.Repeat(`{"a":`, 100),
	} {
		f.Add([]byte(seed), uint8(3), uint8(4))
	}
	f.Fuzz(func(t *testing.T, msg []byte, batch, depth uint8) {
		var d wire.Decoder
		checkAgainstOracle(t, &d, msg)

		lim := wire.Limits{BatchSize: int(batch), Depth: int(depth)}
		err := d.Reset(msg, lim)
		got := len(collect(&d))
		switch {
		case err != nil && got != 0:
			t.Fatalf("%d packets besides %v", got, err)
		case err != nil && !errors.Is(err, wire.ErrTooDeep) && !errors.Is(err, wire.ErrBatchTooLarge):
			t.Fatal(err)
		case err == nil && batch > 0 && got > int(batch):
			t.Fatalf("%d packets with a limit of %d", got, batch)
		}
	})
}

func FuzzParseError(f *testing.F) {
	for _, seed := range []string{
		"", "null", "0", "-0", `""`, "false", `"boom"`, "5", "true", "[1,2]", "{}",
		`{"message":"m","name":"N","x":1,"x":{"a":[null]}}`, `{"message":5,"name":7}`, `{"message":"\ud800","stack":"s"}`,
		`{"message"`, "\"\xff\"", "x", `{"message":"m"} `, ` {"message":"m"}`, "100A", "1e-400",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		before := bytes.Clone(raw)
		err := wire.ParseError(raw)
		if !bytes.Equal(raw, before) {
			t.Fatal("the input was changed")
		}
		if err == nil {
			var v any
			if len(bytes.TrimSpace(raw)) == 0 {
				return
			}
			if err := json.Unmarshal(raw, &v); err != nil && !strings.Contains(err.Error(), "float64") {
				t.Fatalf("%q counts as success", raw)
			}
			if v != nil && v != false && v != 0.0 && v != "" {
				t.Fatalf("%q counts as success", raw)
			}
			return
		}
		var e *wire.Error
		if !errors.As(err, &e) {
			t.Fatalf("%T", err)
		}
		if !utf8.ValidString(e.Error()) {
			t.Fatalf("text %q", e.Error())
		}
		text := e.AppendJSON(nil)
		if !json.Valid(text) || !utf8.Valid(text) {
			t.Fatalf("%q gives %q", raw, text)
		}
		// A value that has been parsed once is stable.
		again := wire.ParseError(text)
		if !errors.As(again, &e) || !bytes.Equal(e.AppendJSON(nil), text) {
			t.Fatalf("%q gives %q, then %v", raw, text, again)
		}
	})
}

func FuzzParsePublish(f *testing.F) {
	for _, seed := range []string{
		"", "null", `"a"`, "[]", "{}", `{"channel":"x","data":5}`, `{"channel":"x"}`, `{"channel":"x","data":null}`,
		`{"channel":5}`, `{"ch\u0061nnel":"\ud83d\ude00","waitForAuth":true,"data":{"q":1}}`, `{"channel":"\ud800"}`,
		`{"channel":"a","channel":"b","q":1,"q":2,"authToken":"a.b.c"}`, `{"authToken":{}}`, `{"channel":"a"`, `{"channel":"a"}}`,
		"{\"channel\":\"\xff\"}", "{\"channel\":\"a\",\"\xff\":1}",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		before := bytes.Clone(raw)
		p, pok := wire.ParsePublish(raw)
		s, sok := wire.ParseSubscribe(raw)
		tok, kind := wire.ParseHandshakeToken(raw)
		if !bytes.Equal(raw, before) {
			t.Fatal("the input was changed")
		}
		if pok != sok || p.Channel != s.Channel || !bytes.Equal(p.Data, s.Data) {
			t.Fatalf("%q: publish %v %v, subscribe %v %v", raw, p, pok, s, sok)
		}
		if (kind == wire.TokenString) != (tok != nil) {
			t.Fatalf("%q: token %q of kind %v", raw, tok, kind)
		}

		// An independent look at the payload.
		var keys map[string]json.RawMessage
		object := bytes.HasPrefix(bytes.TrimLeft(raw, " \t\r\n"), []byte("{")) && json.Unmarshal(raw, &keys) == nil
		if channel := keys["channel"]; utf8.Valid(raw) {
			want := object && len(channel) > 0 && channel[0] == '"' && !hasLoneSurrogate(string(channel))
			if pok != want {
				t.Fatalf("%q: accepted %v, want %v", raw, pok, want)
			}
		}
		if !pok {
			return
		}
		if !utf8.ValidString(p.Channel) || p.Data != nil && !json.Valid(p.Data) || !json.Valid(s.Options) {
			t.Fatalf("%q: %q %q %q", raw, p.Channel, p.Data, s.Options)
		}
		var options map[string]json.RawMessage
		if err := json.Unmarshal(s.Options, &options); err != nil {
			t.Fatal(err)
		}
		if _, ok := options["channel"]; ok || utf8.Valid(raw) && len(options) != len(keys)-1 {
			t.Fatalf("%q: options %q", raw, s.Options)
		}
	})
}
