package wire_test

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/socketcluster-go/socketcluster/wire"
)

// packet is a wire.Packet in a form that is easy to write down and compare. The
// text "absent" stands for a slice that is nil.
type packet struct {
	Kind  wire.Kind
	Event string
	ID    float64
	Data  string
	Error string
}

const absent = "absent"

func text(b []byte) string {
	if b == nil {
		return absent
	}
	return string(b)
}

func raw() packet { return packet{Kind: wire.KindRaw, Data: absent, Error: absent} }

func transmit(event, data string) packet {
	return packet{Kind: wire.KindTransmit, Event: event, Data: data, Error: absent}
}

func invoke(event string, id float64, data string) packet {
	return packet{Kind: wire.KindInvoke, Event: event, ID: id, Data: data, Error: absent}
}

func response(id float64, data, err string) packet {
	return packet{Kind: wire.KindResponse, ID: id, Data: data, Error: err}
}

// collect drains the decoder.
func collect(d *wire.Decoder) []packet {
	var all []packet
	p := wire.Packet{Event: []byte("stale"), Data: []byte("stale"), Error: []byte("stale"), ID: 99}
	for d.Next(&p) {
		all = append(all, packet{p.Kind, string(p.Event), p.ID, text(p.Data), text(p.Error)})
	}
	return all
}

// decode decodes one message without limits with a fresh decoder.
func decode(t *testing.T, msg string) []packet {
	t.Helper()
	var d wire.Decoder
	if err := d.Reset([]byte(msg), wire.Limits{}); err != nil {
		t.Fatalf("Reset(%q): %v", msg, err)
	}
	return collect(&d)
}

func diff(t *testing.T, msg string, want, got any) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("%q (-want +got):\n%s", msg, d)
	}
}

// oracle classifies a message by means of encoding/json, slowly and without any
// code of the package under test.
func oracle(msg []byte) []packet {
	body := bytes.TrimLeft(msg, " \t\r\n")
	if len(body) == 0 || body[0] != '{' && body[0] != '[' || !utf8.Valid(msg) || !json.Valid(msg) {
		return []packet{raw()}
	}
	if body[0] == '{' {
		return []packet{oracleElement(body)}
	}
	var elements []json.RawMessage
	if err := json.Unmarshal(body, &elements); err != nil {
		panic(err)
	}
	var all []packet
	for _, e := range elements {
		all = append(all, oracleElement(e))
	}
	return all
}

func oracleElement(element []byte) packet {
	var keys map[string]json.RawMessage
	if json.Unmarshal(element, &keys) != nil || keys == nil {
		return raw()
	}
	value := func(key string) string {
		if v, ok := keys[key]; ok {
			return string(v)
		}
		return absent
	}
	number := func(key string) (float64, bool) {
		v := keys[key]
		if len(v) == 0 || !strings.ContainsRune("-0123456789", rune(v[0])) {
			return 0, false
		}
		f, _ := strconv.ParseFloat(string(v), 64)
		return f, true
	}
	if event := keys["event"]; len(event) > 0 && event[0] == '"' {
		if hasLoneSurrogate(string(event)) {
			return raw()
		}
		var name string
		if err := json.Unmarshal(event, &name); err != nil {
			panic(err)
		}
		if cid, ok := number("cid"); ok {
			return invoke(name, cid, value("data"))
		}
		return transmit(name, value("data"))
	}
	if rid, ok := number("rid"); ok {
		return response(rid, value("data"), value("error"))
	}
	return raw()
}

var (
	surrogatePair = regexp.MustCompile(`\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}`)
	anySurrogate  = regexp.MustCompile(`\\u[dD][89a-fA-F]`)
)

func hasLoneSurrogate(literal string) bool {
	literal = strings.ReplaceAll(literal, `\\`, "__")
	return anySurrogate.MatchString(surrogatePair.ReplaceAllString(literal, ""))
}
