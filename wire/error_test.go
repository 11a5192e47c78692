package wire_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/socketcluster-go/socketcluster/wire"
)

func TestErrorText(t *testing.T) {
	tests := []struct {
		name string
		err  *wire.Error
		want string
	}{
		{"ERR-7: name and message", &wire.Error{Name: "InvalidActionError", Message: "no"}, "InvalidActionError: no"},
		{"ERR-7: no name", &wire.Error{Message: "no"}, "Error: no"},
		{"ERR-7: no message", &wire.Error{Name: "E"}, "E"},
		{"ERR-7: nothing", &wire.Error{}, "Error"},
	}
	for _, tt := range tests {
		if got := tt.err.Error(); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

// TestErrorNames pins the table ERR-1.
func TestErrorNames(t *testing.T) {
	sentinels := map[string]*wire.Error{
		"AuthTokenExpiredError":        wire.ErrAuthTokenExpired,
		"AuthTokenInvalidError":        wire.ErrAuthTokenInvalid,
		"AuthTokenNotBeforeError":      wire.ErrAuthTokenNotBefore,
		"AuthTokenError":               wire.ErrAuthToken,
		"AuthError":                    wire.ErrAuth,
		"SilentMiddlewareBlockedError": wire.ErrSilentMiddlewareBlocked,
		"InvalidActionError":           wire.ErrInvalidAction,
		"InvalidArgumentsError":        wire.ErrInvalidArguments,
		"InvalidOptionsError":          wire.ErrInvalidOptions,
		"InvalidMessageError":          wire.ErrInvalidMessage,
		"SocketProtocolError":          wire.ErrSocketProtocol,
		"ServerProtocolError":          wire.ErrServerProtocol,
		"HTTPServerError":              wire.ErrHTTPServer,
		"ResourceLimitError":           wire.ErrResourceLimit,
		"ProcessExitError":             wire.ErrProcessExit,
		"UnknownError":                 wire.ErrUnknown,
		"TimeoutError":                 wire.ErrTimeout,
		"BadConnectionError":           wire.ErrBadConnection,
		"BrokerError":                  wire.ErrBroker,
	}
	for name, sentinel := range sentinels {
		if sentinel.Name != name || sentinel.Message != "" || sentinel.Fields != nil {
			t.Errorf("ERR-1: %q: %+v", name, sentinel)
		}
		err := fmt.Errorf("wrapped: %w", wire.ParseError([]byte(`{"message":"m","name":"`+name+`"}`)))
		for other, s := range sentinels {
			if got := errors.Is(err, s); got != (other == name) {
				t.Errorf("ERR-2: %s is %s: %v", name, other, got)
			}
		}
	}
}

func TestErrorIs(t *testing.T) {
	e := &wire.Error{Name: "N", Message: "m"}
	tests := []struct {
		name   string
		target error
		want   bool
	}{
		{"ERR-2: by name", &wire.Error{Name: "N"}, true},
		{"same message", &wire.Error{Name: "N", Message: "m"}, true},
		{"other message", &wire.Error{Name: "N", Message: "x"}, false},
		{"other name", &wire.Error{Name: "M", Message: "m"}, false},
		{"no name", &wire.Error{Message: "m"}, false},
		{"other type", errors.New("N: m"), false},
		{"nil pointer", (*wire.Error)(nil), false},
		{"fields do not count", (&wire.Error{Name: "N"}).With("a", 1), true},
	}
	for _, tt := range tests {
		if got := errors.Is(e, tt.target); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestErrorWith(t *testing.T) {
	a := (&wire.Error{Name: "N"}).With("x", 1).With("y", 2)
	b := a.With("x", 3)
	c := a.With("z", 4)
	d := a.With("z", 5)
	want := map[*wire.Error]string{
		a: `{"message":"","name":"N","x":1,"y":2}`,
		b: `{"message":"","name":"N","x":3,"y":2}`,
		c: `{"message":"","name":"N","x":1,"y":2,"z":4}`,
		d: `{"message":"","name":"N","x":1,"y":2,"z":5}`,
	}
	for e, w := range want {
		if got := string(e.AppendJSON(nil)); got != w {
			t.Errorf("QK-30: got %s, want %s", got, w)
		}
	}
	if v, ok := b.Field("x"); !ok || v != 3 {
		t.Errorf("Field(x) = %v, %v", v, ok)
	}
	if v, ok := b.Field("name"); ok {
		t.Errorf("Field(name) = %v", v)
	}
}

// TestErrorJSON pins RPC-15 and the texts of HS-11.
func TestErrorJSON(t *testing.T) {
	at := time.Date(2026, 11, 23, 12, 4, 56, 0, time.FixedZone("CET", 3600))
	tests := []struct {
		name string
		err  *wire.Error
		want string
	}{
		{"RPC-15: no name", &wire.Error{Message: "m"}, `{"message":"m"}`},
		{"RPC-15: message first", &wire.Error{Message: "m", Name: "N"}, `{"message":"m","name":"N"}`},
		{"RPC-15: empty message", &wire.Error{Name: "N"}, `{"message":"","name":"N"}`},
		{
			"HS-11 row 3: expired",
			(&wire.Error{Name: wire.NameAuthTokenExpired, Message: "jwt expired"}).With("expiry", at).With("isBadToken", true),
			`{"message":"jwt expired","name":"AuthTokenExpiredError","expiry":"2026-11-23T11:04:56.000Z","isBadToken":true}`,
		},
		{
			"HS-11 row 7: not active",
			(&wire.Error{Name: wire.NameAuthTokenNotBefore, Message: "jwt not active"}).With("date", at).With("isBadToken", false),
			`{"message":"jwt not active","name":"AuthTokenNotBeforeError","date":"2026-11-23T11:04:56.000Z","isBadToken":false}`,
		},
		{
			"HS-22: silent",
			(&wire.Error{Name: wire.NameSilentMiddlewareBlocked, Message: "The handshakeSC AGAction was blocked by handshake middleware"}).With("type", "handshake").With("statusCode", 4008),
			`{"message":"The handshakeSC AGAction was blocked by handshake middleware","name":"SilentMiddlewareBlockedError","type":"handshake","statusCode":4008}`,
		},
		{"message and name cannot be overridden", (&wire.Error{Message: "m"}).With("message", 1).With("name", "x").With("a", 1), `{"message":"m","a":1}`},
		{"nil is null", (&wire.Error{Message: "m"}).With("a", nil), `{"message":"m","a":null}`},
		{"raw JSON", (&wire.Error{Message: "m"}).With("a", json.RawMessage(`{"x":1}`)), `{"message":"m","a":{"x":1}}`},
		{"absent raw JSON", (&wire.Error{Message: "m"}).With("a", json.RawMessage(nil)), `{"message":"m","a":null}`},
		{"broken raw JSON is dropped", (&wire.Error{Message: "m"}).With("a", json.RawMessage(`{"x":`)).With("b", 1), `{"message":"m","b":1}`},
		{"values without JSON are dropped", (&wire.Error{Message: "m"}).With("a", make(chan int)).With("b", 1), `{"message":"m","b":1}`},
		{"TR-21: not finite", (&wire.Error{Message: "m"}).With("a", math.NaN()), `{"message":"m","a":null}`},
		{"RPC-16: a text", (&wire.Error{Message: "boom"}).With("value", "boom"), `"boom"`},
		{"RPC-16: a number", (&wire.Error{Message: "5"}).With("value", 5.0), `5`},
		{"RPC-16: true", (&wire.Error{Message: "true"}).With("value", true), `true`},
		{"a list", (&wire.Error{Message: "Invalid error message format"}).With("value", json.RawMessage(`[1]`)), `[1]`},
		{"QK-26: false stays an error", (&wire.Error{Message: "false"}).With("value", false), `{"message":"false","value":false}`},
		{"QK-26: no text stays an error", (&wire.Error{}).With("value", ""), `{"message":"","value":""}`},
		{"a value beside a message", (&wire.Error{Message: "Too large"}).With("value", 5.0), `{"message":"Too large","value":5}`},
		{"a value beside a name", (&wire.Error{Name: "N", Message: "5"}).With("value", 5.0), `{"message":"5","name":"N","value":5}`},
		{"escapes", (&wire.Error{Message: "a\"<\xff", Name: "\n"}).With("\t", "&"), `{"message":"a\"<` + "\ufffd" + `","name":"\n","\t":"&"}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := string(tt.err.AppendJSON([]byte("x"))); got != "x"+tt.want {
				t.Errorf("got %s\nwant x%s", got, tt.want)
			}
			got, err := tt.err.MarshalJSON()
			if err != nil || string(got) != tt.want {
				t.Errorf("MarshalJSON: %s, %v", got, err)
			}
		})
	}
}

// TestErrorWithinData pins RPC-19: an Error within other data (the authError of
// HS-12) looks as it does on its own.
func TestErrorWithinData(t *testing.T) {
	got, err := wire.Marshal(map[string]any{"authError": &wire.Error{Name: "N", Message: "<m>"}})
	if want := `{"authError":{"message":"<m>","name":"N"}}`; err != nil || string(got) != want {
		t.Errorf("got %s, %v; want %s", got, err, want)
	}
}

// TestParseError pins RPC-18, with the results of hydrateError in sc-errors
// 3.0.0 where Go can have the same.
func TestParseError(t *testing.T) {
	const malformed = "Invalid error message format"
	fields := func(kv ...any) (f []wire.Field) {
		for i := 0; i < len(kv); i += 2 {
			f = append(f, wire.Field{Key: kv[i].(string), Value: kv[i+1]})
		}
		return f
	}
	tests := []struct {
		name, raw string
		want      *wire.Error // nil means success
	}{
		{"RPC-18: absent", "", nil},
		{"RPC-18: null", "null", nil},
		{"RPC-18: zero", "0", nil},
		{"RPC-18: empty text", `""`, nil},
		{"RPC-18: false", "false", nil},
		{"RPC-18: text", `"boom"`, &wire.Error{Message: "boom", Fields: fields("value", "boom")}},
		{"RPC-18: number", "5", &wire.Error{Message: "5", Fields: fields("value", 5.0)}},
		{"RPC-18: true", "true", &wire.Error{Message: "true", Fields: fields("value", true)}},
		{"RPC-18: array", "[1,2]", &wire.Error{Message: malformed, Fields: fields("value", json.RawMessage("[1,2]"))}},
		{"RPC-18: empty object", "{}", &wire.Error{Message: malformed}},
		{"RPC-18: message alone", `{"message":"m"}`, &wire.Error{Message: "m"}},
		{"RPC-18: name and fields", `{"message":"m","name":"N","x":1}`, &wire.Error{Name: "N", Message: "m", Fields: fields("x", 1.0)}},
		{"RPC-18: other types", `{"message":5,"name":7}`, &wire.Error{Message: malformed}},
		{"RPC-18: defined keys", `{"message":"m","stack":"s","a":null}`, &wire.Error{Message: "m", Fields: fields("a", nil)}},
		{"order and kinds of fields", `{"z":"t","name":"N","b":true,"f":false,"o":{"x":[1, 2]},"message":"m","n":-1.5e3}`, &wire.Error{Name: "N", Message: "m", Fields: fields("z", "t", "b", true, "f", false, "o", json.RawMessage(`{"x":[1, 2]}`), "n", -1500.0)}},
		{"RPC-17: $ref is data", `{"message":"m","a":{"$ref":"$[\"b\"]"}}`, &wire.Error{Message: "m", Fields: fields("a", json.RawMessage(`{"$ref":"$[\"b\"]"}`))}},
		{"the last of repeated keys counts", `{"message":"a","x":1,"y":2,"x":3,"message":"b"}`, &wire.Error{Message: "b", Fields: fields("x", 3.0, "y", 2.0)}},
		{"escapes and lone surrogates", `{"mess\u0061ge":"a\n\ud800","name":"N"}`, &wire.Error{Name: "N", Message: "a\n\ufffd"}},
		{"broken", `{"message":"m"`, &wire.Error{Message: malformed}},
		{"not UTF-8", "\"\xff\"", &wire.Error{Message: malformed}},
		{"no number", "100A", &wire.Error{Message: malformed}},
		{"no zero", "0A", &wire.Error{Message: malformed}},
		{"space around success", " null\n", nil},
		{"space around an object", "\t{\"message\":\"m\"} ", &wire.Error{Message: "m"}},
		{"space around a number", " 5 ", &wire.Error{Message: "5", Fields: fields("value", 5.0)}},
		{"no JSON", "x", &wire.Error{Message: malformed}},
		{"too deep", strings.Repeat("[", wire.MaxDepth+1) + strings.Repeat("]", wire.MaxDepth+1), &wire.Error{Message: malformed}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			msg := bytesOf(tt.raw)
			err := wire.ParseError(msg)
			clear(msg) // the error must not alias the message
			if tt.want == nil {
				if err != nil {
					t.Fatalf("%s: %v, want success", tt.raw, err)
				}
				return
			}
			if d := cmp.Diff(error(tt.want), err); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

// TestErrorRoundTrip: an error that is passed on stays the same text.
func TestErrorRoundTrip(t *testing.T) {
	const msg = `{"message":"m","name":"N","o":{"b":1,"a":[12345678901234567890]},"s":"<\n>","n":1.5,"t":true,"z":null}`
	var e *wire.Error
	if !errors.As(wire.ParseError([]byte(msg)), &e) {
		t.Fatal("not an *Error")
	}
	if got := string(e.AppendJSON(nil)); got != msg {
		t.Errorf("got %s\nwant %s", got, msg)
	}
}
