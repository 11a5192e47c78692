package wire_test

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/socketcluster-go/socketcluster/wire"
)

func TestDecoderClassification(t *testing.T) {
	tests := []struct {
		name string
		msg  string
		want []packet
	}{
		{"TR-24: event without cid is a transmit", `{"event":"t"}`, []packet{transmit("t", absent)}},
		{"CV-3: null is not absent", `{"event":"t","data":null}`, []packet{transmit("t", "null")}},
		{"TR-24: numeric cid makes an invoke", `{"event":"p","data":1,"cid":4}`, []packet{invoke("p", 4, "1")}},
		{"TR-24: cid as text is no invoke", `{"event":"p","cid":"4"}`, []packet{transmit("p", absent)}},
		{"TR-24: cid null is no invoke", `{"event":"p","cid":null}`, []packet{transmit("p", absent)}},
		{"TR-24: cid in an array is no invoke", `{"event":"p","cid":[4]}`, []packet{transmit("p", absent)}},
		{"TR-24: response", `{"rid":10}`, []packet{response(10, absent, absent)}},
		{"RPC-1: response with data and error", `{"rid":1,"data":null,"error":{"message":"m"}}`, []packet{response(1, "null", `{"message":"m"}`)}},
		{"RPC-18: error null is told from absent", `{"rid":1,"error":null}`, []packet{response(1, absent, "null")}},
		{"TR-24: rid as text is raw", `{"rid":"1"}`, []packet{raw()}},
		{"TR-24: event wins over rid", `{"rid":3,"event":"e","error":1}`, []packet{transmit("e", absent)}},
		{"TR-24: event of another type leaves rid", `{"rid":3,"event":7}`, []packet{response(3, absent, absent)}},
		{"TR-24: event null leaves rid", `{"event":null,"rid":3}`, []packet{response(3, absent, absent)}},
		{"TR-24: neither is raw", `{"data":1}`, []packet{raw()}},
		{"TR-24: empty object is raw", `{}`, []packet{raw()}},
		{"RPC-3: the empty name is a name", `{"event":""}`, []packet{transmit("", absent)}},
		{"QK-1: inherited names are names", `{"event":"__proto__","cid":1}`, []packet{invoke("__proto__", 1, absent)}},

		{"CV-2: any key order", `{"cid":1,"data":2,"event":"p"}`, []packet{invoke("p", 1, "2")}},
		{"keys by exact case", `{"Event":"t","EVENT":"u"}`, []packet{raw()}},
		{"escaped keys are the same keys", `{"\u0065vent":"t","d\u0061ta":1,"\u0063\u0069\u0064":2}`, []packet{invoke("t", 2, "1")}},
		{"a long escaped key is another key", `{"event":"t","\u0065vent` + strings.Repeat("x", 500) + `":"u"}`, []packet{transmit("t", absent)}},
		{"the last of repeated keys counts", `{"event":"a","data":1,"event":"b","data":2,"cid":1,"cid":7}`, []packet{invoke("b", 7, "2")}},
		{"the last of repeated keys counts even if unusable", `{"event":"a","cid":1,"cid":"x"}`, []packet{transmit("a", absent)}},
		{"the last event is not text", `{"event":"a","event":1}`, []packet{raw()}},
		{"inner keys do not count", `{"data":{"event":"t","cid":1}}`, []packet{raw()}},

		{"CV-4: 1e3", `{"event":"p","cid":1e3}`, []packet{invoke("p", 1000, absent)}},
		{"CV-4: -1.5", `{"event":"p","cid":-1.5}`, []packet{invoke("p", -1.5, absent)}},
		{"CV-4: 0", `{"rid":0}`, []packet{response(0, absent, absent)}},
		{"CV-4: 15 digits", `{"rid":999999999999999}`, []packet{response(999999999999999, absent, absent)}},
		{"CV-4: beyond 2^53", `{"rid":9007199254740993}`, []packet{response(9007199254740992, absent, absent)}},
		{"CV-4: beyond a double", `{"rid":1e400}`, []packet{response(math.Inf(1), absent, absent)}},
		{"CV-4: long literal", `{"rid":1.` + strings.Repeat("0", 60) + `}`, []packet{response(1, absent, absent)}},

		{"data stays as it was written", `{ "event" : "t" , "data" : { "b" : 1.0, "a":12345678901234567890 } }`, []packet{transmit("t", `{ "b" : 1.0, "a":12345678901234567890 }`)}},
		{"data may hold lone surrogates", `{"event":"t","data":"\ud800"}`, []packet{transmit("t", `"\ud800"`)}},
		{"escaped name", `{"event":"a\u0062\n\ud83d\ude00"}`, []packet{transmit("ab\n😀", absent)}},
		{"name with a lone surrogate is raw", `{"event":"a\ud800","cid":1}`, []packet{raw()}},
		{"name that is not UTF-8 is raw", "{\"event\":\"a\xff\"}", []packet{raw()}},
		{"data that is not UTF-8 is raw", "{\"event\":\"a\",\"data\":\"\xff\"}", []packet{raw()}},

		{"TR-20: scalars are never parsed", `"event"`, []packet{raw()}},
		{"TR-20: number", `1`, []packet{raw()}},
		{"TR-20: ping of v1", `#1`, []packet{raw()}},
		{"TR-18: empty message", ``, []packet{raw()}},
		{"TR-20: space", " \n", []packet{raw()}},
		{"TR-20: space before and behind", " \t\r\n{\"event\":\"t\"} \t\r\n", []packet{transmit("t", absent)}},
		{"TR-20: no BOM", "\ufeff{\"event\":\"t\"}", []packet{raw()}},
		{"TR-20: no other space", "\v{\"event\":\"t\"}", []packet{raw()}},
		{"TR-20: broken text is a string", `{"event":"t"`, []packet{raw()}},
		{"TR-20: broken behind the packet", `{"event":"t"}}`, []packet{raw()}},
		{"TR-20: two objects", `{"event":"t"}{"event":"u"}`, []packet{raw()}},

		{"TR-23: batch in order", `[{"event":"a"},{"rid":2},{"event":"b","cid":3}]`, []packet{transmit("a", absent), response(2, absent, absent), invoke("b", 3, absent)}},
		{"TR-23: empty array is nothing", ` [ ] `, nil},
		{"TR-23: nested arrays are not expanded", `[[{"event":"a"}],{"event":"b"}]`, []packet{raw(), transmit("b", absent)}},
		{"TR-25: one raw per element that is no packet", `[1,"x",null,true,false,{},{"event":"b"}]`, []packet{raw(), raw(), raw(), raw(), raw(), raw(), transmit("b", absent)}},
		{"TR-31: mixed batch", `[{"rid":2},{"event":"#publish","data":{"channel":"a","data":1}},{"rid":3}]`, []packet{response(2, absent, absent), transmit("#publish", `{"channel":"a","data":1}`), response(3, absent, absent)}},
		{"a broken batch is raw as a whole", `[{"event":"a"},{"event":"b"]`, []packet{raw()}},
		{"a batch broken at its end is raw as a whole", `[{"event":"a"},{"event":"b"}`, []packet{raw()}},
		{"a batch broken behind its end is raw as a whole", `[{"event":"a"}],`, []packet{raw()}},
		{"escaped names in a batch", `[{"event":"\u0061"},{"event":"\u0062"}]`, []packet{transmit("a", absent), transmit("b", absent)}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			diff(t, tt.msg, tt.want, decode(t, tt.msg))
			diff(t, tt.msg+" (oracle)", tt.want, oracle([]byte(tt.msg)))
		})
	}
}

// TestDecoderGrammar pins TR-20 with verdicts of JSON.parse in Node 20: what it
// refuses stays a string.
func TestDecoderGrammar(t *testing.T) {
	tests := []struct {
		json string // stands as the data of a packet
		ok   bool
	}{
		{`{}`, true}, {`[]`, true}, {`{"a":1,}`, false}, {`[1,]`, false}, {`{"a":01}`, false},
		{`{"a":1.}`, false}, {`{"a":.5}`, false}, {`{"a":+1}`, false}, {`{"a":-0}`, true},
		{`{"a":1e5}`, true}, {`{"a":1E+5}`, true}, {"{\"a\":\"\t\"}", false}, {"{\"a\":\"\u2028\"}", true},
		{`{"a":"\ud800"}`, true}, {`{"a":"\x41"}`, false}, {`{"a":"\u12"}`, false}, {`{"a":"\/"}`, true},
		{`{'a':1}`, false}, {`{a:1}`, false}, {`{"a":NaN}`, false}, {`{"a":undefined}`, false},
		{`[1 2]`, false}, {`[[`, false}, {`{"a" : 1 }`, true}, {`{"a":1,"a":2}`, true}, {`[1]//`, false},
		{"{\"a\":\"\u007f\"}", true}, {`{"a":-}`, false}, {`{"a":1e}`, false}, {`{"":0}`, true},
		{"{\"a\":\"\x00\"}", false}, {`{"a":tru}`, false}, {`[,1]`, false}, {`{,}`, false}, {`{"a":-01}`, false},
		{`[null,true,false]`, true}, {`{"a":0x1}`, false}, {`{"a":1e400}`, true}, {`{"a":Infinity}`, false},
		{`[]]`, false}, {`{}{}`, false}, {"{}\u00a0", false},
	}
	for _, tt := range tests {
		msg := `{"event":"t","data":` + tt.json + `}`
		want := []packet{raw()}
		if tt.ok {
			want = []packet{transmit("t", tt.json)}
		}
		diff(t, msg, want, decode(t, msg))
		diff(t, "["+msg+"]", want, decode(t, "["+msg+"]"))
	}
}

// TestDecoderLimits pins QK-32: what a message may ask for is bounded.
func TestDecoderLimits(t *testing.T) {
	nest := func(depth int) string {
		return `{"event":"t","data":` + strings.Repeat("[", depth-1) + strings.Repeat("]", depth-1) + `}`
	}
	batch := func(n int) string {
		return "[" + strings.TrimSuffix(strings.Repeat(`{"event":"t"},`, n), ",") + "]"
	}
	tests := []struct {
		name string
		msg  string
		lim  wire.Limits
		want error
		n    int // packets
	}{
		{"depth at the limit", nest(5), wire.Limits{Depth: 5}, nil, 1},
		{"depth beyond the limit", nest(6), wire.Limits{Depth: 5}, wire.ErrTooDeep, 0},
		{"the batch counts as a level", "[" + nest(5) + "]", wire.Limits{Depth: 5}, wire.ErrTooDeep, 0},
		{"brackets side by side", `{"event":"t","data":[[],[],[],{},{},{"a":[]}]}`, wire.Limits{Depth: 4}, nil, 1},
		{"brackets in strings", `{"event":"[[[[\"[[[[\\","data":"{{{{"}`, wire.Limits{Depth: 1}, nil, 1},
		{"unfinished string", `{"event":"[[[[[\`, wire.Limits{Depth: 1}, nil, 1},
		{"depth of text that is not JSON", "[[[[x", wire.Limits{Depth: 3}, wire.ErrTooDeep, 0},
		{"depth without a limit", nest(wire.MaxDepth), wire.Limits{}, nil, 1},
		{"the ceiling", nest(wire.MaxDepth + 1), wire.Limits{}, wire.ErrTooDeep, 0},
		{"the ceiling cannot be raised", nest(wire.MaxDepth + 1), wire.Limits{Depth: wire.MaxDepth * 2}, wire.ErrTooDeep, 0},
		{"a million brackets", strings.Repeat("[", 1e6), wire.Limits{}, wire.ErrTooDeep, 0},
		{"batch at the limit", batch(3), wire.Limits{BatchSize: 3}, nil, 3},
		{"batch beyond the limit", batch(4), wire.Limits{BatchSize: 3}, wire.ErrBatchTooLarge, 0},
		{"batch without a limit", batch(5000), wire.Limits{}, nil, 5000},
		{"broken batch within the limit", batch(3) + "]", wire.Limits{BatchSize: 3}, nil, 1},
		{"elements that are no packets count", "[1,2,3,4]", wire.Limits{BatchSize: 3}, wire.ErrBatchTooLarge, 0},
		{"an inner array is no batch", `{"event":"t","data":[1,2,3,4]}`, wire.Limits{BatchSize: 3}, nil, 1},
		{"a raw message has no depth", "#[[[[[[", wire.Limits{Depth: 1}, nil, 1},
	}
	var d wire.Decoder
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if err := d.Reset([]byte(tt.msg), tt.lim); !errors.Is(err, tt.want) {
				t.Fatalf("Reset: %v, want %v", err, tt.want)
			}
			if got := collect(&d); len(got) != tt.n {
				t.Errorf("%d packets, want %d", len(got), tt.n)
			}
		})
	}
}

// TestDecoderReuse checks that nothing of a message survives in the next one.
func TestDecoderReuse(t *testing.T) {
	var d wire.Decoder
	var p wire.Packet
	if d.Next(&p) {
		t.Error("a new decoder has a packet")
	}
	reset := func(msg string) {
		t.Helper()
		if err := d.Reset([]byte(msg), wire.Limits{Depth: 10}); err != nil {
			t.Fatal(err)
		}
	}
	reset(`[{"event":"a","cid":1,"data":2},{"event":"b"}]`)
	d.Next(&p)
	reset(`{"rid":5}`) // with an element of the batch left
	diff(t, "second message", []packet{response(5, absent, absent)}, collect(&d))

	reset(`[{"event":"a"}]`)
	if err := d.Reset([]byte(strings.Repeat("[", 11)), wire.Limits{Depth: 10}); err == nil {
		t.Fatal("no error")
	}
	diff(t, "after an error", []packet(nil), collect(&d))

	reset(`{"event":"` + strings.Repeat(`\n`, 1<<16) + `"}`)
	diff(t, "large name", []packet{transmit(strings.Repeat("\n", 1<<16), absent)}, collect(&d))
	reset(`{"event":"\n"}`)
	diff(t, "small name", []packet{transmit("\n", absent)}, collect(&d))
	if d.Next(&p) {
		t.Error("a packet behind the last one")
	}
}

// TestDecoderAliases checks that the decoder neither copies nor changes the
// message, and that appending to a slice of a packet does not reach into it.
func TestDecoderAliases(t *testing.T) {
	msg := []byte(`[{"event":"abc","data":[1,2],"cid":1},{"rid":1,"error":{"m":1}}]`)
	before := slices.Clone(msg)
	var d wire.Decoder
	if err := d.Reset(msg, wire.Limits{}); err != nil {
		t.Fatal(err)
	}
	var p wire.Packet
	inside := func(b []byte) {
		t.Helper()
		at := strings.Index(string(msg), string(b))
		if &msg[at] != &b[0] {
			t.Errorf("%q is a copy", b)
		}
		_ = append(b, "XXXX"...)
	}
	d.Next(&p)
	inside(p.Event)
	inside(p.Data)
	d.Next(&p)
	inside(p.Error)
	if !slices.Equal(msg, before) {
		t.Errorf("the message became %q", msg)
	}
}

// TestDecoderAllocates pins the budget of no allocation in steady state. Broken
// JSON is not part of it: the tokenizer describes what is wrong.
func TestDecoderAllocates(t *testing.T) {
	messages := []string{
		`{"event":"#publish","data":{"channel":"room","data":{"text":"hello","n":[1,2,3]}},"cid":17}`,
		`{"event":"t"}`,
		`{"rid":12,"data":{"a":1}}`,
		`[{"event":"#subscribe","data":{"channel":"a"},"cid":2},{"event":"#subscribe","data":{"channel":"b"},"cid":3},{"rid":1.5}]`,
		`{"event":"name with \"escapes\"","data":"\u00e9"}`,
		`#2`,
		``,
		`{"event":"deep","data":[[[[]]]]}`,
	}
	for _, m := range messages {
		msg := []byte(m)
		var d wire.Decoder
		var p wire.Packet
		allocs := testing.AllocsPerRun(100, func() {
			if err := d.Reset(msg, wire.Limits{BatchSize: 100, Depth: 6}); err != nil {
				t.Fatal(err)
			}
			for d.Next(&p) {
			}
		})
		if allocs != 0 {
			t.Errorf("%q: %v allocations", m, allocs)
		}
	}
}

func TestKindString(t *testing.T) {
	want := []string{"raw", "transmit", "invoke", "response", "raw"}
	for k, w := range want {
		if got := wire.Kind(k).String(); got != w {
			t.Errorf("Kind(%d) = %q, want %q", k, got, w)
		}
	}
}
