package minbin_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/tinylib/msgp/msgp"
	"pgregory.net/rapid"

	"github.com/socketcluster-go/socketcluster/wire"
	"github.com/socketcluster-go/socketcluster/wire/minbin"
)

const limit = 1 << 20

func encode(t *testing.T, message string) []byte {
	t.Helper()
	out, err := minbin.Codec{}.Encode([]byte("prefix"), []byte(message))
	if err != nil {
		t.Fatalf("encode %s: %v", message, err)
	}
	return bytes.TrimPrefix(out, []byte("prefix"))
}

func decode(t *testing.T, message []byte) string {
	t.Helper()
	out, err := minbin.Codec{}.Decode([]byte("prefix"), message, limit)
	if err != nil {
		t.Fatalf("decode %x: %v", message, err)
	}
	return strings.TrimPrefix(string(out), "prefix")
}

// The bytes are those that sc-codec-min-bin 3.0.0 makes and takes.
func TestForms(t *testing.T) {
	for name, row := range map[string]struct{ message, bytes, back string }{
		"MB-3 handshake":                      {`{"event":"#handshake","cid":1,"data":{"authToken":null}}`, "81a16593aa2368616e647368616b6581a961757468546f6b656ec001", `{"event":"#handshake","data":{"authToken":null},"cid":1}`},
		"MB-3 publication":                    {`{"event":"#publish","data":{"channel":"a","data":{"x":1.5}}}`, "81a17092a16181a178cb3ff8000000000000", `{"event":"#publish","data":{"channel":"a","data":{"x":1.5}}}`},
		"MB-3 answer":                         {`{"rid":1}`, "81a1729301c0c0", `{"rid":1}`},
		"MB-3 answer with an error":           {`{"rid":2,"error":{"message":"m","name":"N"}}`, "81a172930282a76d657373616765a16da46e616d65a14ec0", `{"rid":2,"error":{"message":"m","name":"N"}}`},
		"MB-2 answer with data":               {`{"rid":3,"data":"x"}`, "81a1729303c0a178", `{"rid":3,"data":"x"}`},
		"MB-2 publication with a cid":         {`{"event":"#publish","data":{"channel":"a","data":1},"cid":7}`, "81a17093a1610107", `{"event":"#publish","data":{"channel":"a","data":1},"cid":7}`},
		"MB-2 publication without its data":   {`{"event":"#publish"}`, "81a16592a8237075626c697368c0", `{"event":"#publish","data":null}`},
		"MB-2 no data and null are the same":  {`{"event":"e"}`, "81a16592a165c0", `{"event":"e","data":null}`},
		"MB-2 batch":                          {`[{"rid":1},{"event":"e","data":2}]`, "9281a1729301c0c081a16592a16502", `[{"rid":1},{"event":"e","data":2}]`},
		"MB-2 other values":                   {`{"a":[true,false,null]}`, "81a16193c3c2c0", `{"a":[true,false,null]}`},
		"a batch of other values":             {`[1,"a"]`, "9201a161", `[1,"a"]`},
		"text alone":                          {`"text"`, "a474657874", `"text"`},
		"MB-4 integers of 32 bits":            {`[0,127,128,255,256,65536,2147483647,-1,-32,-33,-129,-32769,-2147483648]`, "9d007fcc80ccffcd0100ce00010000ce7fffffffffe0d0dfd1ff7fd2ffff7fffd280000000", ""},
		"MB-4 larger integers":                {`[2147483648,-2147483649,1e15]`, "93cb41e0000000000000cbc1e0000000200000cb430c6bf526340000", `[2147483648,-2147483649,1000000000000000]`},
		"integers that a double would change": {`[12345678901234567890,-1234567890123456789]`, "92cfab54a98ceb1f0ad2d3eeddef0b82167eeb", ""},
		"numbers beyond the range":            {`[1e999]`, "91cb7ff0000000000000", `[null]`},
		"MB-4 bytes":                          {`{"event":"e","data":{"base64":true,"data":"AQID"}}`, "81a16592a165c403010203", `{"event":"e","data":{"base64":true,"data":"AQID"}}`},
		"an object that is not bytes":         {`{"base64":true,"data":"A"}`, "82a6626173653634c3a464617461a141", ""},
		"bytes with something beside them":    {`{"base64":true,"data":"AQID","x":1}`, "83a6626173653634c3a464617461a441514944a17801", ""},
		"names of the prototype":              {`{"__proto__":{"toString":1}}`, "81a95f5f70726f746f5f5f81a8746f537472696e6701", ""},
	} {
		t.Run(name, func(t *testing.T) {
			if got := hex.EncodeToString(encode(t, row.message)); got != row.bytes {
				t.Errorf("encoded as\n%s, want\n%s", got, row.bytes)
			}
			want := row.back
			if want == "" {
				want = row.message
			}
			b, _ := hex.DecodeString(row.bytes)
			if got := decode(t, b); got != want {
				t.Errorf("decoded as %s, want %s", got, want)
			}
		})
	}
}

// Other encodings that a peer may use are decoded too.
func TestDecodeOtherSpellings(t *testing.T) {
	for name, row := range map[string]struct{ bytes, want string }{
		"64-bit integers": {"92cf0000000000000001d3ffffffffffffffff", `[1,-1]`},
		"32-bit floats":   {"91ca3fc00000", `[1.5]`},
		"NaN":             {"91cb7ff8000000000001", `[null]`},
		"long headers":    {"df00000001d900dd00000001da000161", `{"":["a"]}`},
		"an event alone":  {"81a16591a165", `{"event":"e"}`},
		"a nil cid":       {"81a16593a165c0c0", `{"event":"e","data":null}`},
		"a nil form":      {"81a165c0", `{"e":null}`},
		"a short answer":  {"81a1729101", `{"rid":1}`},
	} {
		b, err := hex.DecodeString(row.bytes)
		if err != nil {
			t.Fatal(err)
		}
		if got := decode(t, b); got != row.want {
			t.Errorf("%s: %s, want %s", name, got, row.want)
		}
	}
}

// MB-4: what is not a message of the codec is refused, whatever it claims to
// hold.
func TestDecodeRefuses(t *testing.T) {
	for name, b := range map[string]string{
		"nothing":                      "",
		"text":                         `{"event":"#handshake"}`,
		"cut off":                      "\x92\x01",
		"a huge array":                 "\xdd\xff\xff\xff\xff\x01",
		"a huge map":                   "\xdf\xff\xff\xff\xff\xa1a\x01",
		"a huge string":                "\xdb\xff\xff\xff\xffabc",
		"a key that is no string":      "\x81\x01\x01",
		"text that is not UTF-8":       "\xa1\xff",
		"a key that is not UTF-8":      "\x81\xa1\xff\x01",
		"an extension":                 "\xd4\x01\x00",
		"a time":                       "\xd6\xff\x00\x00\x00\x00",
		"the type that is not used":    "\xc1",
		"more behind it":               "\x01\x01",
		"a publication without data":   "\x81\xa1p\x91\xa1a",
		"a publication with too much":  "\x81\xa1p\x94\xa1a\x01\x01\x01",
		"a publication that is a text": "\x81\xa1p\xa1a",
		"an event of nothing":          "\x81\xa1e\x90",
		"an answer with too much":      "\x81\xa1r\x94\x01\xc0\xc0\xc0",
		"deep arrays":                  strings.Repeat("\x91", wire.MaxDepth+1) + "\x01",
		"deep maps":                    strings.Repeat("\x81\xa1a", wire.MaxDepth+1) + "\x01",
	} {
		if out, err := (minbin.Codec{}).Decode(nil, []byte(b), limit); err == nil {
			t.Errorf("%s: decoded as %.100s", name, out)
		}
	}
	for name, text := range map[string]string{"cut off": `{"a":`, "not JSON": `{]`, "an open array": `[1`, "nothing": ``} {
		if out, err := (minbin.Codec{}).Encode([]byte("x"), []byte(text)); err == nil || string(out) != "x" {
			t.Errorf("encode %s: %x, %v", name, out, err)
		}
	}
}

// JSON may be many times larger than what it comes from, but not than the
// limit.
func TestDecodeLimit(t *testing.T) {
	bin := msgp.AppendArrayHeader(nil, 100_000)
	for range 100_000 {
		bin = msgp.AppendBytes(bin, nil)
	}
	text := msgp.AppendString(nil, strings.Repeat("\x01", 100_000))
	nulls := append(msgp.AppendArrayHeader(nil, 100_000), bytes.Repeat([]byte{0xc0}, 100_000)...)
	for name, b := range map[string][]byte{"bytes": bin, "text": text, "nulls": nulls} {
		out, err := minbin.Codec{}.Decode(nil, b, 200_000)
		if !errors.Is(err, wire.ErrMessageTooLarge) || cap(out) > 2_000_000 {
			t.Errorf("%s: %d bytes, %v", name, len(out), err)
		}
		if _, err := (minbin.Codec{}).Decode(nil, b, 10_000_000); err != nil {
			t.Errorf("%s below the limit: %v", name, err)
		}
	}
}

// jsonValue draws values that MessagePack can distinguish.
func jsonValue(depth int) *rapid.Generator[any] {
	return rapid.Custom(func(t *rapid.T) any {
		kinds := 5
		if depth > 0 {
			kinds = 7
		}
		switch rapid.IntRange(0, kinds-1).Draw(t, "kind") {
		case 0:
			return nil
		case 1:
			return rapid.Bool().Draw(t, "bool")
		case 2:
			f := rapid.Float64().Draw(t, "float")
			if math.IsInf(f, 0) || f == 0 { // also the negative zero
				f = 0
			}
			return f
		case 3:
			return float64(rapid.Int32().Draw(t, "int"))
		case 4:
			return rapid.String().Draw(t, "text")
		case 5:
			return rapid.SliceOfN(jsonValue(depth-1), 0, 20).Draw(t, "array")
		default:
			return rapid.MapOfN(rapid.StringN(0, 6, -1), jsonValue(depth-1), 0, 20).Draw(t, "object")
		}
	})
}

func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		data, err := wire.Marshal(jsonValue(3).Draw(rt, "data"))
		if err != nil {
			rt.Skip()
		}
		if data == nil {
			data = []byte("null")
		}
		message := wire.AppendInvoke(nil, rapid.String().Draw(rt, "event"), 3, data)
		out, err := minbin.Codec{}.Encode(nil, message)
		if err != nil {
			rt.Fatal(err)
		}
		back, err := minbin.Codec{}.Decode(nil, out, limit*10)
		if err != nil {
			rt.Fatal(err)
		}
		var want, got any
		if err := json.Unmarshal(message, &want); err != nil {
			rt.Fatal(err)
		}
		if err := json.Unmarshal(back, &got); err != nil {
			rt.Fatalf("%v in %s", err, back)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			rt.Fatal(diff)
		}
	})
}

// Whatever a stranger sends, it becomes valid JSON or an error, and no more
// than the limit.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{"81a16593aa2368616e647368616b6581a961757468546f6b656ec001", "81a17092a16181a178cb3ff8000000000000", "81a1729301c0c0", "9281a1729301c0c0c403010203", "ddffffffff01", "d40100"} {
		b, _ := hex.DecodeString(seed)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		const limit = 1 << 12
		out, err := minbin.Codec{}.Decode(nil, b, limit)
		if err != nil {
			return
		}
		if !json.Valid(out) || len(out) > 2*limit+6*len(b) {
			t.Fatalf("%x became %s", b, out)
		}
		again, err := minbin.Codec{}.Encode(nil, out)
		if err != nil {
			t.Fatalf("%s cannot be encoded: %v", out, err)
		}
		if _, err := (minbin.Codec{}).Decode(nil, again, 100*limit); err != nil {
			t.Fatalf("%x cannot be decoded again: %v", again, err)
		}
	})
}

func BenchmarkCodec(b *testing.B) {
	message := []byte(`{"event":"#publish","data":{"channel":"room/1","data":{"from":"alice","text":"Hello, everybody","at":1790000000000}}}`)
	encoded, err := minbin.Codec{}.Encode(nil, message)
	if err != nil {
		b.Fatal(err)
	}
	var buf []byte
	b.Run("encode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			buf, _ = minbin.Codec{}.Encode(buf[:0], message)
		}
	})
	b.Run("decode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			buf, _ = minbin.Codec{}.Decode(buf[:0], encoded, limit)
		}
	})
}
