package rfc6455

import (
	"strings"
	"testing"

	"github.com/socketcluster-go/socketcluster/internal/ws/rfc6455"
)

type message struct {
	Name    string `json:"name"`
	Binary  bool   `json:"binary"`
	Payload []byte `json:"payload"`
}

func messages() (all []message) {
	for _, m := range rfc6455.Messages() {
		all = append(all, message{m.Name, m.Binary, []byte(m.Payload)})
	}
	return all
}

var pingPayloads = [][]byte{{}, []byte("p"), []byte(strings.Repeat("x", 125)), {0, 0xff, 0xfe}}

// TestWS: the npm package ws agrees with the server about every message, whole
// and in fragments, every ping and every close code, whatever it offers.
func TestWS(t *testing.T) {
	for _, test := range []struct {
		name    string
		secure  bool
		deflate any // option perMessageDeflate
		want    bool
	}{
		{"plain", false, false, false},
		{"plain over TLS", true, false, false},
		{"as by default", false, true, true},
		{"over TLS", true, true, true},
		{"everything compressed", false, map[string]any{"threshold": 0}, true},
		{"a small window of its own", false, map[string]any{"threshold": 0, "clientMaxWindowBits": 9}, true},
		{"no context on either side", false, map[string]any{"serverNoContextTakeover": true, "clientNoContextTakeover": true}, true},
		{"the largest window", false, map[string]any{"serverMaxWindowBits": 15}, true},
		{"a window that is not to be had", false, map[string]any{"serverMaxWindowBits": 10}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, url := echoServer(t, test.secure)
			var result struct {
				Extensions string
				Checked    int
				Failures   []string
			}
			all := messages()
			runNode(t, "exchange.js", map[string]any{
				"url": url, "perMessageDeflate": test.deflate, "messages": all, "pings": pingPayloads, "codes": rfc6455.ValidCloseCodes,
			}, &result)
			if len(result.Failures) > 0 {
				t.Errorf("ws differs about %q", result.Failures)
			}
			if want := 2*len(all) + 2 + len(pingPayloads) + len(rfc6455.ValidCloseCodes); result.Checked != want {
				t.Errorf("%d checks, want %d", result.Checked, want)
			}
			if got := result.Extensions == "permessage-deflate"; got != test.want {
				t.Errorf("extensions %q", result.Extensions)
			}
		})
	}
}

// TestStockClient: TR-7, what the stock client sends and gets is the same with
// compression, and less.
func TestStockClient(t *testing.T) {
	for _, test := range []struct {
		name    string
		level   int
		deflate any
		want    bool
	}{
		{"on", 1, true, true},
		{"on, and everything compressed", 9, map[string]any{"threshold": 0}, true},
		{"off by default", 0, true, false},
		{"not offered", 1, false, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			web := startServer(t, compression(test.level))
			var result struct {
				Extensions    string
				Echoed        bool
				Published     bool
				Read, Written int
			}
			runNode(t, "client.js", map[string]any{"port": port(t, web), "perMessageDeflate": test.deflate, "size": 2000}, &result)
			if !result.Echoed || !result.Published {
				t.Errorf("%+v", result)
			}
			// Twice 2000 rows of some 40 bytes in each direction.
			if got := result.Extensions != ""; got != test.want || (result.Read < 50_000) != test.want || (result.Written < 50_000) != test.want {
				t.Errorf("%+v, want compression %v", result, test.want)
			}
		})
	}
}
