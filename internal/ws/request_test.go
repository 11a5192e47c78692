package ws

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// upgradeRequest is a good request with changes: "-Name" removes a header,
// "Name: value" replaces it, "+Name: value" adds a line.
func upgradeRequest(changes ...string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/socketcluster/", nil)
	r.Header = http.Header{
		"Connection":            {"Upgrade"},
		"Upgrade":               {"websocket"},
		"Sec-Websocket-Version": {"13"},
		"Sec-Websocket-Key":     {sampleKey},
	}
	for _, change := range changes {
		name, value, _ := strings.Cut(change, ": ")
		switch name[0] {
		case '-':
			r.Header.Del(name[1:])
		case '+':
			r.Header.Add(name[1:], value)
		default:
			r.Header.Set(name, value)
		}
	}
	return r
}

func with(r *http.Request, f func(*http.Request)) *http.Request { f(r); return r }

func TestCheckRequest(t *testing.T) {
	const (
		badUpgrade  = "400 Invalid Upgrade header"
		badKey      = "400 Missing or invalid Sec-WebSocket-Key header"
		badVersion  = "400 Missing or invalid Sec-WebSocket-Version header"
		badProtocol = "400 Invalid Sec-WebSocket-Protocol header"
	)
	for _, tc := range []struct {
		name string
		r    *http.Request
		want string
	}{
		{"TR-1 version 13", upgradeRequest(), ""},
		{"TR-1 version 8", upgradeRequest("Sec-WebSocket-Version: 8"), ""},
		{"tokens in lists, any case", upgradeRequest("Connection: keep-alive, UPGRADE", "Upgrade: h2c ,WebSocket"), ""},
		{"tokens over lines", upgradeRequest("Connection: keep-alive", "+Connection: upgrade"), ""},
		{"TR-6 subprotocols", upgradeRequest("Sec-WebSocket-Protocol: a, b!", "+Sec-WebSocket-Protocol: c"), ""},
		{"TR-7 extensions are ignored", upgradeRequest("Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"), ""},

		{"TR-5 POST", with(upgradeRequest(), func(r *http.Request) { r.Method = http.MethodPost }), "405 Invalid HTTP method"},
		{"TR-5 HEAD comes before the headers", with(upgradeRequest("-Upgrade"), func(r *http.Request) { r.Method = http.MethodHead }),
			"405 Invalid HTTP method"},
		{"TR-5 no Upgrade", upgradeRequest("-Upgrade"), badUpgrade},
		{"TR-5 other Upgrade", upgradeRequest("Upgrade: h2c"), badUpgrade},
		{"TR-5 Upgrade with a suffix", upgradeRequest("Upgrade: websocket2"), badUpgrade},
		{"TR-5 no Connection", upgradeRequest("-Connection"), badUpgrade},
		{"TR-5 other Connection", upgradeRequest("Connection: keep-alive"), badUpgrade},
		{"TR-5 HTTP/1.0", with(upgradeRequest(), func(r *http.Request) { r.Proto, r.ProtoMinor = "HTTP/1.0", 0 }), badUpgrade},
		{"a body", with(upgradeRequest(), func(r *http.Request) { r.ContentLength = 3 }), "400 Bad Request"},
		{"a chunked body", with(upgradeRequest(), func(r *http.Request) { r.ContentLength = -1 }), "400 Bad Request"},
		{"TR-5 Upgrade comes before the key", upgradeRequest("-Upgrade", "-Sec-WebSocket-Key"), badUpgrade},
		{"TR-5 no key", upgradeRequest("-Sec-WebSocket-Key"), badKey},
		{"TR-5 short key", upgradeRequest("Sec-WebSocket-Key: " + sampleKey[1:]), badKey},
		{"TR-5 key without padding", upgradeRequest("Sec-WebSocket-Key: " + strings.Repeat("a", 24)), badKey},
		{"TR-5 key in another alphabet", upgradeRequest("Sec-WebSocket-Key: -" + sampleKey[1:]), badKey},
		{"TR-5 two keys", upgradeRequest("+Sec-WebSocket-Key: " + sampleKey), badKey},
		{"TR-5 the key comes before the version", upgradeRequest("-Sec-WebSocket-Key", "-Sec-WebSocket-Version"), badKey},
		{"TR-5 no version", upgradeRequest("-Sec-WebSocket-Version"), badVersion},
		{"TR-5 old version", upgradeRequest("Sec-WebSocket-Version: 7"), badVersion},
		{"TR-5 list of versions", upgradeRequest("Sec-WebSocket-Version: 13, 8"), badVersion},
		{"TR-5 empty subprotocol", upgradeRequest("Sec-WebSocket-Protocol: "), badProtocol},
		{"TR-5 empty subprotocol in a list", upgradeRequest("Sec-WebSocket-Protocol: a,,b"), badProtocol},
		{"TR-5 subprotocol that is no token", upgradeRequest("Sec-WebSocket-Protocol: a b"), badProtocol},
		{"TR-5 subprotocol beyond ASCII", upgradeRequest("Sec-WebSocket-Protocol: é"), badProtocol},
		{"TR-5 repeated subprotocol", upgradeRequest("Sec-WebSocket-Protocol: a, a"), badProtocol},
		{"TR-5 endless subprotocols", upgradeRequest("Sec-WebSocket-Protocol: " + manyNames(65)), badProtocol},
		{"many subprotocols", upgradeRequest("Sec-WebSocket-Protocol: " + manyNames(64)), ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := ""
			if refusal := CheckRequest(tc.r); refusal != nil {
				got = fmt.Sprint(refusal.Status, " ", refusal.Text)
			}
			if got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

func manyNames(n int) string {
	var names []string
	for i := range n {
		names = append(names, fmt.Sprint("p", i))
	}
	return strings.Join(names, ", ")
}

// TR-5: the form of a refusal.
func TestRefusalWriteTo(t *testing.T) {
	for _, tc := range []struct {
		name string
		r    *http.Request
		want http.Header
	}{
		{"405 names the method", with(upgradeRequest(), func(r *http.Request) { r.Method = http.MethodPut }),
			http.Header{"Allow": {"GET"}, "Content-Length": {"19"}}},
		{"the versions are named", upgradeRequest("-Sec-WebSocket-Version"),
			http.Header{"Sec-Websocket-Version": {"13, 8"}, "Content-Length": {"47"}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			refusal := CheckRequest(tc.r)
			w := httptest.NewRecorder()
			refusal.WriteTo(w)
			tc.want.Set("Connection", "close")
			tc.want.Set("Content-Type", "text/plain; charset=utf-8")
			tc.want.Set("X-Content-Type-Options", "nosniff")
			if diff := cmp.Diff(tc.want, w.Result().Header); diff != "" {
				t.Errorf("header (-want +got):\n%s", diff)
			}
			if w.Code != refusal.Status || w.Body.String() != refusal.Text {
				t.Errorf("got %d %q, want %v", w.Code, w.Body, refusal)
			}
		})
	}
}

func TestSubprotocols(t *testing.T) {
	for header, want := range map[string][]string{
		"a":         {"a"},
		"b ,a,\tc ": {"b", "a", "c"},
		"a,,b":      nil,
	} {
		got := Subprotocols(upgradeRequest("Sec-WebSocket-Protocol: " + header))
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", header, diff)
		}
	}
	if got := Subprotocols(upgradeRequest()); got != nil {
		t.Errorf("without the header: %q", got)
	}
}
