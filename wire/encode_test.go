package wire_test

import (
	"math"
	"strings"
	"testing"

	"github.com/socketcluster-go/socketcluster/wire"
)

// TestEncodeGolden pins the exact texts of the server side (CV-2, RPC-1, PS-6,
// PS-7, chapter 16).
func TestEncodeGolden(t *testing.T) {
	r := func(s string) []byte { return []byte(s) }
	tests := []struct {
		name string
		got  []byte
		want string
	}{
		{"RPC-1: transmit", wire.AppendTransmit(nil, "ev", nil), `{"event":"ev"}`},
		{"RPC-1: transmit null", wire.AppendTransmit(nil, "ev", r("null")), `{"event":"ev","data":null}`},
		{"RPC-1: transmit 1", wire.AppendTransmit(nil, "t", r("1")), `{"event":"t","data":1}`},
		{"RPC-1: invoke", wire.AppendInvoke(nil, "p", 1, nil), `{"event":"p","cid":1}`},
		{"RPC-1: invoke null", wire.AppendInvoke(nil, "p", 2, r("null")), `{"event":"p","cid":2,"data":null}`},
		{"RPC-8: end()", wire.AppendResponse(nil, 10, nil), `{"rid":10}`},
		{"RPC-8: end(null)", wire.AppendResponse(nil, 11, r("null")), `{"rid":11,"data":null}`},
		{"RPC-1: response 0", wire.AppendResponse(nil, 12, r("0")), `{"rid":12,"data":0}`},
		{"RPC-1: error text", wire.AppendErrorResponse(nil, 16, r(`"boom"`), nil), `{"rid":16,"error":"boom"}`},
		{"RPC-1: error object", wire.AppendErrorResponse(nil, 20, r(`{"message":"m"}`), nil), `{"rid":20,"error":{"message":"m"}}`},
		{"CV-4: rid 1e3", wire.AppendResponse(nil, 1e3, nil), `{"rid":1000}`},
		{"CV-4: rid -1.5", wire.AppendResponse(nil, -1.5, nil), `{"rid":-1.5}`},
		{"CV-4: rid 0", wire.AppendResponse(nil, 0, nil), `{"rid":0}`},
		{"CV-4: rid -0", wire.AppendResponse(nil, math.Copysign(0, -1), nil), `{"rid":0}`},
		{"CV-4: rid 1e400", wire.AppendResponse(nil, math.Inf(1), nil), `{"rid":null}`},
		{"CV-3: empty data is absent", wire.AppendTransmit(nil, "t", r("")), `{"event":"t"}`},
		{"PS-6: publish", wire.AppendPublish(nil, "a", r("1")), `{"event":"#publish","data":{"channel":"a","data":1}}`},
		{"PS-6: publish without data", wire.AppendPublish(nil, "a", nil), `{"event":"#publish","data":{"channel":"a"}}`},
		{"PS-6: publish null", wire.AppendPublish(nil, "a", r("null")), `{"event":"#publish","data":{"channel":"a","data":null}}`},
		{"PS-7: kick out", wire.AppendKickOut(nil, "k1", r(`"bye"`)), `{"event":"#kickOut","data":{"channel":"k1","message":"bye"}}`},
		{"PS-7: kick out without message", wire.AppendKickOut(nil, "k1", nil), `{"event":"#kickOut","data":{"channel":"k1"}}`},
		{"PS-7: kick out with an object", wire.AppendKickOut(nil, "k1", r(`{"a":1}`)), `{"event":"#kickOut","data":{"channel":"k1","message":{"a":1}}}`},
		{"names are escaped", wire.AppendPublish(nil, "a\"\n<b>", nil), `{"event":"#publish","data":{"channel":"a\"\n<b>"}}`},
		{"append keeps what is there", wire.AppendTransmit(r("[1,"), "t", nil), `[1,{"event":"t"}`},

		{"GT-1: handshake", wire.AppendResponse(nil, 1, r(`{"id":"X","pingTimeout":30000,"isAuthenticated":false}`)), `{"rid":1,"data":{"id":"X","pingTimeout":30000,"isAuthenticated":false}}`},
		{"GT-2: token", wire.AppendTransmit(nil, "#setAuthToken", r(`{"token":"J"}`)), `{"event":"#setAuthToken","data":{"token":"J"}}`},
		{"GT-3: token removed", wire.AppendTransmit(nil, "#removeAuthToken", nil), `{"event":"#removeAuthToken"}`},
		{"GT-4: authenticated", wire.AppendResponse(nil, 3, r(`{"isAuthenticated":true,"authError":null}`)), `{"rid":3,"data":{"isAuthenticated":true,"authError":null}}`},
		{"GT-4: bad token", wire.AppendErrorResponse(nil, 3, (&wire.Error{Name: wire.NameAuthTokenInvalid, Message: "invalid signature"}).With("isBadToken", true).AppendJSON(nil), nil), `{"rid":3,"error":{"message":"invalid signature","name":"AuthTokenInvalidError","isBadToken":true}}`},
		{"GT-9: refused handshake", wire.AppendErrorResponse(nil, 1, (&wire.Error{Name: "E", Message: "m"}).With("statusCode", 4501).AppendJSON(nil), nil), `{"rid":1,"error":{"message":"m","name":"E","statusCode":4501}}`},
		{"error with data", wire.AppendErrorResponse(nil, 1, r(`"no"`), r(`{"code":4501}`)), `{"rid":1,"error":"no","data":{"code":4501}}`},
	}
	for _, tt := range tests {
		if string(tt.got) != tt.want {
			t.Errorf("%s:\n got %s\nwant %s", tt.name, tt.got, tt.want)
		}
	}
}

// TestErrorResponseIsFailure pins QK-26 and RPC-16: an error that is no object
// is sent as it is, and one that a JavaScript caller would take for success is
// replaced.
func TestErrorResponseIsFailure(t *testing.T) {
	const want = `{"rid":1,"error":{"message":"Unknown error","name":"UnknownError"}}`
	for _, e := range []string{"", "null", "0", "-0", "0.0", "0e5", "1e-400", "false", `""`} {
		if got := string(wire.AppendErrorResponse(nil, 1, []byte(e), nil)); got != want {
			t.Errorf("error %q: %s", e, got)
		}
	}
	for _, e := range []string{"1", "true", `"0"`, `" "`, "[]", "{}", "-1"} {
		if got, want := string(wire.AppendErrorResponse(nil, 1, []byte(e), nil)), `{"rid":1,"error":`+e+`}`; got != want {
			t.Errorf("error %q: %s", e, got)
		}
	}
}

// TestDecodeGolden decodes what clients send in chapter 16 and in the exact
// texts of PS, RPC and HS.
func TestDecodeGolden(t *testing.T) {
	tests := []struct {
		name, msg string
		want      []packet
	}{
		{"GT-1, HS-2", `{"event":"#handshake","data":{"authToken":null},"cid":1}`, []packet{invoke("#handshake", 1, `{"authToken":null}`)}},
		{"GT-2", `{"event":"login","data":{"username":"bob"},"cid":2}`, []packet{invoke("login", 2, `{"username":"bob"}`)}},
		{"GT-4", `{"event":"#authenticate","data":"J","cid":3}`, []packet{invoke("#authenticate", 3, `"J"`)}},
		{"GT-5", `{"event":"#removeAuthToken"}`, []packet{transmit("#removeAuthToken", absent)}},
		{"GT-6 subscribe", `{"event":"#subscribe","data":{"channel":"a"},"cid":4}`, []packet{invoke("#subscribe", 4, `{"channel":"a"}`)}},
		{"GT-6 publish", `{"event":"#publish","data":{"channel":"a","data":1},"cid":5}`, []packet{invoke("#publish", 5, `{"channel":"a","data":1}`)}},
		{"GT-6 unsubscribe", `{"event":"#unsubscribe","data":"a"}`, []packet{transmit("#unsubscribe", `"a"`)}},
		{"GT-7", `{"event":"earlyRpc","cid":4}`, []packet{invoke("earlyRpc", 4, absent)}},
		{"GT-11 pong v1", wire.Version1.Pong(), []packet{raw()}},
		{"GT-11 pong v2", wire.Version2.Pong(), []packet{raw()}},
		{"TR-23: handshake in a batch", `[{"event":"#handshake","data":{"authToken":null},"cid":1},{"event":"t"}]`, []packet{invoke("#handshake", 1, `{"authToken":null}`), transmit("t", absent)}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { diff(t, tt.msg, tt.want, decode(t, tt.msg)) })
	}
}

func TestAppendAllocates(t *testing.T) {
	dst := make([]byte, 0, 4096)
	data := []byte(`{"a":1}`)
	event := strings.Repeat("é\n", 10)
	allocs := testing.AllocsPerRun(100, func() {
		dst = wire.AppendTransmit(dst[:0], event, data)
		dst = wire.AppendInvoke(dst, event, 1.5e-9, data)
		dst = wire.AppendResponse(dst, 12, data)
		dst = wire.AppendErrorResponse(dst, 12, data, nil)
		dst = wire.AppendPublish(dst, event, data)
		dst = wire.AppendKickOut(dst, event, data)
	})
	if allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}
