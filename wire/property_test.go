package wire_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/socketcluster-go/socketcluster/wire"
)

// jsonValue generates what encoding/json decodes into an any.
func jsonValue(depth int) *rapid.Generator[any] {
	return rapid.Custom(func(t *rapid.T) any {
		top := 6
		if depth == 0 {
			top = 4
		}
		switch rapid.IntRange(0, top).Draw(t, "kind") {
		case 0:
			return nil
		case 1:
			return rapid.Bool().Draw(t, "bool")
		case 2:
			return rapid.Float64().Draw(t, "number")
		case 3, 4:
			return rapid.String().Draw(t, "string")
		case 5:
			return rapid.SliceOfN(jsonValue(depth-1), 0, 4).Draw(t, "array")
		default:
			return rapid.MapOfN(rapid.String(), jsonValue(depth-1), 0, 4).Draw(t, "object")
		}
	})
}

// rawData generates the data of a packet, absent included.
func rawData(t *rapid.T) []byte {
	if rapid.Bool().Draw(t, "absent") {
		return nil
	}
	data, err := json.Marshal(jsonValue(2).Draw(t, "data"))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// drawPacket encodes one packet and says what must be decoded.
func drawPacket(t *rapid.T) ([]byte, packet) {
	data := rawData(t)
	name := rapid.String().Draw(t, "name")
	id := rapid.Float64().Draw(t, "id")
	switch rapid.IntRange(0, 5).Draw(t, "packet") {
	case 0:
		return wire.AppendTransmit(nil, name, data), transmit(name, text(data))
	case 1:
		return wire.AppendInvoke(nil, name, id, data), invoke(name, id, text(data))
	case 2:
		return wire.AppendResponse(nil, id, data), response(id, text(data), absent)
	case 3:
		e := (&wire.Error{Name: name, Message: name}).AppendJSON(nil)
		return wire.AppendErrorResponse(nil, id, e, nil), response(id, absent, string(e))
	case 4:
		msg := wire.AppendPublish(nil, name, data)
		return msg, transmit("#publish", string(msg[len(`{"event":"#publish","data":`):len(msg)-1]))
	default:
		element, err := json.Marshal(rapid.OneOf(rapid.Just[any](nil), rapid.Just[any](1.5), rapid.Just[any]("event"), rapid.Just[any]([]any{map[string]any{"event": "x"}})).Draw(t, "element"))
		if err != nil {
			t.Fatal(err)
		}
		return element, raw()
	}
}

func drawSpace(t *rapid.T) string {
	return rapid.StringOfN(rapid.RuneFrom([]rune(" \t\r\n")), 0, 2, -1).Draw(t, "space")
}

// drawBatch encodes a batch with random space.
func drawBatch(t *rapid.T) ([]byte, []packet) {
	var want []packet
	msg := []byte(drawSpace(t) + "[" + drawSpace(t))
	for i := range rapid.IntRange(0, 6).Draw(t, "size") {
		if i > 0 {
			msg = append(msg, drawSpace(t)+","+drawSpace(t)...)
		}
		element, p := drawPacket(t)
		msg = append(msg, element...)
		want = append(want, p)
	}
	return append(msg, drawSpace(t)+"]"+drawSpace(t)...), want
}

// TestRoundTrip: what is encoded comes back, a batch in its order (TR-23).
func TestRoundTrip(t *testing.T) {
	var d wire.Decoder // shared, so that leftovers of a message would show
	rapid.Check(t, func(t *rapid.T) {
		msg, want := drawBatch(t)
		if err := d.Reset(msg, wire.Limits{}); err != nil {
			t.Fatal(err)
		}
		if got := collect(&d); !slices.Equal(got, want) {
			t.Fatalf("%s:\n got %+v\nwant %+v", msg, got, want)
		}
		if err := d.Reset(msg, wire.Limits{BatchSize: max(1, len(want)-1)}); len(want) > 1 != errors.Is(err, wire.ErrBatchTooLarge) {
			t.Fatalf("limit below %d packets: %v", len(want), err)
		}
	})
}

// TestDecoderAgainstOracle breaks messages at random: a message that is not
// valid JSON in UTF-8 is one raw packet and never yields another one, and all
// others are classified as encoding/json sees them.
func TestDecoderAgainstOracle(t *testing.T) {
	pieces := []string{`"`, `\`, `{`, `}`, `[`, `]`, `,`, `:`, ` `, `"event":`, `"cid":1`, `"rid":-2e3,`, `null`, `0`, `1`, `\ud800`, `\u0065`, "\xff", "\x00", `"data":{}`, "é"}
	var d wire.Decoder
	rapid.Check(t, func(t *rapid.T) {
		msg, _ := drawBatch(t)
		if rapid.Bool().Draw(t, "single") {
			msg, _ = drawPacket(t)
		}
		for range rapid.IntRange(0, 4).Draw(t, "edits") {
			at := rapid.IntRange(0, len(msg)).Draw(t, "at")
			cut := min(len(msg)-at, rapid.IntRange(0, 3).Draw(t, "cut"))
			piece := ""
			if rapid.Bool().Draw(t, "insert") {
				piece = rapid.SampledFrom(pieces).Draw(t, "piece")
			}
			msg = slices.Concat(msg[:at], []byte(piece), msg[at+cut:])
		}
		checkAgainstOracle(t, &d, msg)
	})
}

type fataler interface{ Fatalf(string, ...any) }

// checkAgainstOracle decodes a message of any bytes and checks all that holds
// for every message.
func checkAgainstOracle(t fataler, d *wire.Decoder, msg []byte) {
	before := bytes.Clone(msg)
	if err := d.Reset(msg, wire.Limits{}); err != nil {
		if !errors.Is(err, wire.ErrTooDeep) || bytes.Count(msg, []byte("["))+bytes.Count(msg, []byte("{")) <= wire.MaxDepth {
			t.Fatalf("%q: %v", msg, err)
		}
		return
	}
	var got []packet
	var p wire.Packet
	for d.Next(&p) {
		for _, b := range [][]byte{p.Data, p.Error} {
			if b != nil && (!json.Valid(b) || !utf8.Valid(b)) {
				t.Fatalf("%q yields %q", msg, b)
			}
		}
		if !utf8.Valid(p.Event) {
			t.Fatalf("%q yields the name %q", msg, p.Event)
		}
		got = append(got, packet{p.Kind, string(p.Event), p.ID, text(p.Data), text(p.Error)})
	}
	if want := oracle(msg); !slices.Equal(got, want) {
		t.Fatalf("%q:\n got %+v\nwant %+v", msg, got, want)
	}
	if !bytes.Equal(msg, before) {
		t.Fatalf("%q was changed to %q", before, msg)
	}
}

// TestDepthIsExact: a valid message is refused if and only if it nests deeper
// than the limit.
func TestDepthIsExact(t *testing.T) {
	var d wire.Decoder
	rapid.Check(t, func(t *rapid.T) {
		msg, _ := drawBatch(t)
		depth, deepest := 0, 0
		dec := json.NewDecoder(bytes.NewReader(msg))
		for {
			tok, err := dec.Token()
			if err != nil {
				break
			}
			switch tok {
			case json.Delim('['), json.Delim('{'):
				depth++
				deepest = max(deepest, depth)
			case json.Delim(']'), json.Delim('}'):
				depth--
			}
		}
		limit := rapid.IntRange(1, 5).Draw(t, "limit")
		if err := d.Reset(msg, wire.Limits{Depth: limit}); errors.Is(err, wire.ErrTooDeep) != (deepest > limit) {
			t.Fatalf("%s: depth %d, limit %d: %v", msg, deepest, limit, err)
		}
	})
}

// TestStringRoundTrip: AppendString is the inverse of ParseString, and for any
// bytes it gives JSON in UTF-8.
func TestStringRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.String().Draw(t, "s")
		if got, ok := wire.ParseString(wire.AppendString(nil, s)); !ok || got != s {
			t.Fatalf("%q came back as %q, %v", s, got, ok)
		}
		b := string(rapid.SliceOf(rapid.SampledFrom([]byte("a\"\\\n\x00\xed\xa0\x80\xbd\xff\xc3\xa9\xf0"))).Draw(t, "bytes"))
		lit := wire.AppendString(nil, b)
		if !utf8.Valid(lit) || !json.Valid(lit) {
			t.Fatalf("%q gives %q", b, lit)
		}
	})
}

// TestNumberRoundTrip: AppendNumber is the shortest text that reads back, in the
// notation that encoding/json has in common with JavaScript.
func TestNumberRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := rapid.Float64().Draw(t, "f")
		want, err := json.Marshal(f)
		if err != nil {
			t.Fatal(err)
		}
		if f == 0 {
			want = []byte("0")
		}
		if got := wire.AppendNumber(nil, f); !bytes.Equal(got, want) {
			t.Fatalf("%g: %s, want %s", f, got, want)
		}
	})
}

// TestPublishRoundTrip: a publication passes a server as it was (PS-6).
func TestPublishRoundTrip(t *testing.T) {
	var d wire.Decoder
	rapid.Check(t, func(t *rapid.T) {
		channel, data := rapid.String().Draw(t, "channel"), rawData(t)
		msg := wire.AppendPublish(nil, channel, data)
		if err := d.Reset(msg, wire.Limits{}); err != nil {
			t.Fatal(err)
		}
		var p wire.Packet
		if !d.Next(&p) || p.Kind != wire.KindTransmit {
			t.Fatalf("%s: %v", msg, p.Kind)
		}
		pub, ok := wire.ParsePublish(p.Data)
		if !ok || pub.Channel != channel || text(pub.Data) != text(data) {
			t.Fatalf("%s: %q %q %v", msg, pub.Channel, pub.Data, ok)
		}
		if again := wire.AppendPublish(nil, pub.Channel, pub.Data); !bytes.Equal(again, msg) {
			t.Fatalf("%s became %s", msg, again)
		}
	})
}

// TestSubscribeOptions: the options are the payload without its channel, as a
// generic decoder sees both (PS-12).
func TestSubscribeOptions(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		payload := rapid.MapOfN(rapid.SampledFrom(strings.Split("a b c d e f g h i j k l data waitForAuth \n channels", " ")), jsonValue(1), 0, 14).Draw(t, "payload")
		payload["channel"] = "room"
		raw, err := json.Marshal(payload)
		if err != nil {
			t.Fatal(err)
		}
		s, ok := wire.ParseSubscribe(raw)
		if !ok || s.Channel != "room" {
			t.Fatalf("%s: %q %v", raw, s.Channel, ok)
		}
		delete(payload, "channel")
		want, err := json.Marshal(payload)
		if err != nil {
			t.Fatal(err)
		}
		var got bytes.Buffer
		json.HTMLEscape(&got, s.Options)
		// encoding/json sorts the keys of the payload, so their order is known.
		if !bytes.Equal(got.Bytes(), want) {
			t.Fatalf("%s: options %s, want %s", raw, got.Bytes(), want)
		}
	})
}
