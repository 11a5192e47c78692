package ws

import (
	"net/http"
	"strings"
	"testing"
)

func TestNegotiateDeflate(t *testing.T) {
	const plain = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
	for _, tc := range []struct {
		name   string
		offers []string
		answer string
	}{
		{"no header", nil, ""},
		{"an empty header", []string{""}, ""},
		{"another extension", []string{"x-webkit-deflate-frame"}, ""},
		{"names are compared with case", []string{"Permessage-Deflate"}, ""},
		{"the bare name", []string{"permessage-deflate"}, plain},
		{"what browsers and ws send", []string{"permessage-deflate; client_max_window_bits"}, plain},
		{"a client's window with a size", []string{"permessage-deflate; client_max_window_bits=9"}, plain},
		{"both hints", []string{"permessage-deflate;client_no_context_takeover;server_no_context_takeover"}, plain},
		{"the largest window", []string{"permessage-deflate; server_max_window_bits=15"}, plain + "; server_max_window_bits=15"},
		{"the largest window, quoted", []string{`permessage-deflate; server_max_window_bits="15"`}, plain + "; server_max_window_bits=15"},
		{"quoted with a backslash", []string{`permessage-deflate; server_max_window_bits="\15"`}, plain + "; server_max_window_bits=15"},
		{"white space", []string{" \tpermessage-deflate \t;\tclient_max_window_bits = 10 \t"}, plain},
		{"empty elements", []string{",, permessage-deflate ,"}, plain},
		{"a second header line", []string{"foo", "permessage-deflate"}, plain},
		{"as long as allowed", []string{deflateName + strings.Repeat(",", maxExtensions-len(deflateName))}, plain},
		{"longer than allowed", []string{deflateName + strings.Repeat(",", maxExtensions-len(deflateName)+1)}, "malformed"},
		{"longer than allowed in all", []string{deflateName, strings.Repeat(",", maxExtensions-len(deflateName)+1)}, "malformed"},
		{"behind one with quotes", []string{`foo; a="b\"; c"`}, "malformed"},
		{"behind others", []string{`foo; a="b"; c, permessage-deflate`}, plain},

		{"a smaller window", []string{"permessage-deflate; server_max_window_bits=14"}, ""},
		{"a window of no size", []string{"permessage-deflate; server_max_window_bits"}, ""},
		{"a window too large", []string{"permessage-deflate; server_max_window_bits=16"}, ""},
		{"a client's window too small", []string{"permessage-deflate; client_max_window_bits=7"}, ""},
		{"a client's window too large", []string{"permessage-deflate; client_max_window_bits=16"}, ""},
		{"a leading zero", []string{"permessage-deflate; client_max_window_bits=09"}, ""},
		{"not a number", []string{"permessage-deflate; client_max_window_bits=x"}, ""},
		{"a flag with a value", []string{"permessage-deflate; server_no_context_takeover=1"}, ""},
		{"the other flag with a value", []string{"permessage-deflate; client_no_context_takeover=true"}, ""},
		{"a parameter twice", []string{"permessage-deflate; client_max_window_bits; client_max_window_bits=10"}, ""},
		{"a flag twice", []string{"permessage-deflate; server_no_context_takeover; server_no_context_takeover"}, ""},
		{"an unknown parameter", []string{"permessage-deflate; window=15"}, ""},
		{"a parameter with case", []string{"permessage-deflate; Client_max_window_bits"}, ""},

		{"the second offer", []string{"permessage-deflate; server_max_window_bits=10, permessage-deflate; server_max_window_bits=15"},
			plain + "; server_max_window_bits=15"},
		{"the second offer without parameters", []string{"permessage-deflate; server_max_window_bits=10, permessage-deflate"}, plain},
		{"the first of two good ones", []string{"permessage-deflate, permessage-deflate; server_max_window_bits=15"}, plain},
		{"an offer on the next line", []string{"permessage-deflate; server_max_window_bits=9", "permessage-deflate"}, plain},

		{"TR-5 only a semicolon", []string{";"}, "malformed"},
		{"TR-5 a parameter of no name", []string{"permessage-deflate;"}, "malformed"},
		{"TR-5 a parameter of no name before another", []string{"permessage-deflate; ;client_max_window_bits"}, "malformed"},
		{"TR-5 a value of nothing", []string{"permessage-deflate; client_max_window_bits="}, "malformed"},
		{"TR-5 an empty quoted value", []string{`permessage-deflate; client_max_window_bits=""`}, "malformed"},
		{"TR-5 an open quote", []string{`permessage-deflate; client_max_window_bits="10`}, "malformed"},
		{"TR-5 an open backslash", []string{`permessage-deflate; client_max_window_bits="10\`}, "malformed"},
		{"TR-5 a quoted value that is no token", []string{`permessage-deflate; client_max_window_bits="1 0"`}, "malformed"},
		{"TR-5 two names", []string{"permessage-deflate client_max_window_bits"}, "malformed"},
		{"TR-5 text behind a quote", []string{`permessage-deflate; client_max_window_bits="10"x`}, "malformed"},
		{"TR-5 a name that is no token", []string{"permessage/deflate"}, "malformed"},
		{"TR-5 behind a good offer", []string{"permessage-deflate, a="}, "malformed"},
		{"TR-5 on the next line", []string{"permessage-deflate", "="}, "malformed"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := http.Header{}
			for _, line := range tc.offers {
				h.Add("Sec-WebSocket-Extensions", line)
			}
			answer, ok := negotiateDeflate(h)
			if !ok {
				answer = "malformed"
			}
			if answer != tc.answer {
				t.Errorf("%q is answered with %q, want %q", tc.offers, answer, tc.answer)
			}
		})
	}
}

// An extension that has been answered is in force, and one that has not is not.
func TestAcceptNegotiatesDeflate(t *testing.T) {
	const offer = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"
	const answer = "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover\r\n"
	for _, tc := range []struct {
		name     string
		o        Options
		request  string
		response string
		deflate  bool
	}{
		{"TR-7 off", Options{}, request + offer, response, false},
		{"TR-7 off, and the header not read", Options{}, request + "Sec-WebSocket-Extensions: ;\r\n", response, false},
		{"on, and not offered", Options{Deflate: true}, request, response, false},
		{"on, and declined", Options{Deflate: true}, request + strings.Replace(offer, "client", "server", 1), response, false},
		{"on", Options{Deflate: true}, request + offer, response + answer, true},
		{"the application's header is not asked", Options{Header: http.Header{"Sec-Websocket-Extensions": {"x"}}}, request, response, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, got, err := exchange(t, tc.o, tc.request+"\r\n")
			if err != nil || got != tc.response+"\r\n" {
				t.Fatalf("answer %q, %v; want %q", got, err, tc.response)
			}
			if c.Compressed() != tc.deflate {
				t.Errorf("Compressed is %v", c.Compressed())
			}
		})
	}
	t.Run("TR-5 malformed", func(t *testing.T) {
		_, got, err := exchange(t, Options{Deflate: true}, request+"Sec-WebSocket-Extensions: ;\r\n\r\n")
		if err == nil || !strings.HasPrefix(got, "HTTP/1.1 400 ") {
			t.Errorf("answer %q, %v", got, err)
		}
	})
}

// FuzzNegotiateDeflate: the answer holds nothing but what this server can
// keep, whatever the header says.
func FuzzNegotiateDeflate(f *testing.F) {
	f.Add("permessage-deflate; client_max_window_bits")
	f.Add(`permessage-deflate; server_max_window_bits="1\5", foo; a=b`)
	f.Add(`,;="\`)
	f.Fuzz(func(t *testing.T, line string) {
		answer, ok := negotiateDeflate(http.Header{"Sec-Websocket-Extensions": {line}})
		switch answer {
		case "":
		case deflateAnswer, deflateAnswer + "; server_max_window_bits=15":
			if !ok || !strings.Contains(line, deflateName) {
				t.Errorf("%q is answered with %q, %v", line, answer, ok)
			}
		default:
			t.Errorf("%q is answered with %q", line, answer)
		}
	})
}
