package httpauth_test

import (
	"crypto/tls"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/socketcluster-go/socketcluster/auth/httpauth"
)

func origins(t testing.TB, entries ...string) *httpauth.Origins {
	t.Helper()
	list, err := httpauth.ParseOrigins(entries...)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// TR-13: what each form of entry stands for, and which of its pages are trusted
// with cookies.
func TestOriginEntries(t *testing.T) {
	for _, row := range []struct {
		entry   string
		trusts  string // pages, which may connect as well
		admits  string // pages that may connect, and no more
		refuses string
	}{
		{
			entry:   "https://app.example.com",
			trusts:  "https://app.example.com https://app.example.com:443 HTTPS://APP.example.com",
			refuses: "http://app.example.com http://app.example.com:443 https://app.example.com:8443 https://x.app.example.com https://app.example.com.evil.org chrome-extension://app.example.com",
		},
		{
			entry:   "HTTPS://App.Example.com:443",
			trusts:  "https://app.example.com",
			refuses: "http://app.example.com",
		},
		{
			entry:   "http://localhost:*",
			trusts:  "http://localhost http://localhost:3000",
			refuses: "https://localhost capacitor://localhost",
		},
		{
			entry:   "https://*.example.com",
			trusts:  "https://app.example.com https://a.b.example.com",
			refuses: "https://example.com http://app.example.com https://app.example.com:8443 https://evilexample.com https://example.com.evil.org",
		},
		{
			entry:   "https://*.example.com:*",
			trusts:  "https://app.example.com https://app.example.com:8443",
			refuses: "http://app.example.com https://example.com:8443",
		},
		{
			entry:   "*.example.com:443",
			trusts:  "https://app.example.com http://app.example.com:443",
			refuses: "https://example.com http://app.example.com capacitor://app.example.com",
		},
		{
			entry:   "capacitor://localhost",
			trusts:  "capacitor://localhost",
			refuses: "http://localhost https://localhost ionic://localhost capacitor://localhost:80",
		},
		{
			entry:   "chrome-extension://abcdefghijklmnopabcdefghijklmnop",
			trusts:  "chrome-extension://abcdefghijklmnopabcdefghijklmnop",
			refuses: "chrome-extension://ponmlkjihgfedcbaponmlkjihgfedcba https://abcdefghijklmnopabcdefghijklmnop",
		},
		{
			entry:   "vscode-webview://*",
			admits:  "vscode-webview://0a1b2c3d",
			refuses: "https://0a1b2c3d vscode-webview:// null",
		},
		{
			entry:   "file://",
			admits:  "file://",
			refuses: "http://file null",
		},
		{
			entry:   "https://[2001:DB8::1]:8443",
			trusts:  "https://[2001:db8::1]:8443 https://[2001:db8:0::1]:8443",
			refuses: "https://[2001:db8::1] https://[2001:db8::2]:8443",
		},
		{ // http and https; others as if their port were 80, as npm's server has it
			entry:   "localhost:80",
			trusts:  "http://localhost http://localhost:80 https://localhost:80",
			admits:  "capacitor://localhost",
			refuses: "https://localhost http://localhost:8080",
		},
		{
			entry:   "localhost:*",
			trusts:  "http://localhost https://localhost http://localhost:8080",
			admits:  "capacitor://localhost",
			refuses: "http://x.localhost",
		},
		{
			entry:   "*:443",
			admits:  "https://a.com http://a.com:443",
			refuses: "http://a.com https://*",
		},
		{
			entry:   "*:80",
			admits:  "http://a.com capacitor://localhost",
			refuses: "file:// https://a.com",
		},
		{
			entry:  "*:*",
			admits: "https://a.com null file:// nonsense",
		},
	} {
		t.Run(row.entry, func(t *testing.T) {
			list := origins(t, row.entry)
			for _, pages := range []struct {
				text           string
				admits, trusts bool
			}{{row.trusts, true, true}, {row.admits, true, false}, {row.refuses, false, false}} {
				for page := range strings.FieldsSeq(pages.text) {
					r := request("GET", "Origin", page)
					if err := list.Admit(r, false); (err == nil) != pages.admits {
						t.Errorf("%s: admit: %v", page, err)
					}
					if err := list.Trust(r, httpauth.AmbientByHost); (err == nil) != pages.trusts {
						t.Errorf("%s: trust: %v", page, err)
					}
				}
			}
		})
	}
}

func TestParseOriginsRefuses(t *testing.T) {
	const (
		end    = "nothing may follow the host and the port"
		host   = `it must have a host: a name in ASCII, as browsers send it, an address, "*.example.com" or "*"`
		form   = `it must be "host:port" or begin with a scheme, and the host and the port may be "*"`
		port   = `its port must be a number from 1 to 65535 or "*"`
		scheme = "the part before :// is not a scheme"
	)
	for entry, want := range map[string]string{
		"":                       host,
		"a.com":                  form,
		"*":                      form,
		":80":                    host,
		"null":                   form,
		"a.com:":                 port,
		"a.com:http":             port,
		"a.com:0":                port,
		"a.com:080":              port,
		"a.com:65536":            port,
		"a.com:80,b.com:80":      host,
		"a.com:80 b.com:80":      host,
		"user@a.com:443":         end,
		"a.com:443/":             end,
		"https://a.com/":         end,
		"https://a.com/chat":     end,
		"https://a.com?x":        end,
		"https://user@a.com":     end,
		"https://":               host,
		"https://a.com:":         port,
		"https://a*.com":         host,
		"https://*a.com":         host,
		"https://*.*.com":        host,
		"https://*.":             host,
		"https://bücher.de":      host,
		"https://[::1":           host,
		"https://[fe80::1%eth0]": host,
		"https://[a.com]":        host,
		"file:///etc":            end,
		"://a.com":               scheme,
		"1a://a.com":             scheme,
		"*://a.com":              scheme,
		"wss://a.com":            "the scheme must be that of the page, https, not that of its sockets",
		"ws://a.com":             "the scheme must be that of the page, http, not that of its sockets",
	} {
		list, err := httpauth.ParseOrigins("https://good.com", entry)
		if want := `has the entry "` + entry + `": ` + want; list != nil || err == nil || err.Error() != want {
			t.Errorf("got %v\nwant %s", err, want)
		}
	}
}

// Requests without an Origin header, and such as browsers do not send.
func TestOriginIsMissing(t *testing.T) {
	list := origins(t, "https://app.example")
	const missing = "the request has no Origin header; AllowMissingOrigin admits such requests"
	const hidden = "the request has Sec-Fetch-Site, but no Origin header"
	for _, row := range []struct {
		headers      []string
		admit, allow string // the errors without and with allowMissing
		trust        string
	}{
		{nil, missing, "", ""},
		{[]string{"Sec-Fetch-Site", "none"}, missing, "", ""},
		{[]string{"Sec-Fetch-Site", "same-origin"}, missing, "", ""},
		{[]string{"Sec-Fetch-Site", "cross-site"}, hidden, hidden, hidden},
		{[]string{"Sec-Fetch-Site", "same-site"}, hidden, hidden, hidden},
		{[]string{"Sec-Fetch-Site", "same-origin", "Sec-Fetch-Site", "cross-site"}, hidden, hidden, hidden},
		{[]string{"Origin", "null"}, nullOrigin, nullOrigin, nullOrigin},
		{[]string{"Origin", "null", "Sec-Fetch-Site", "same-origin"}, nullOrigin, nullOrigin, ""}, // Referrer-Policy: no-referrer
		{[]string{"Origin", "nonsense"}, malformed, malformed, malformed},
		{[]string{"Origin", ""}, malformed, malformed, malformed},
		{[]string{"Origin", "https://" + strings.Repeat("a", 320)}, malformed, malformed, malformed},
		{[]string{"Origin", "https://app.example", "Origin", "https://app.example", "Sec-Fetch-Site", "same-origin"}, several, several, several},
	} {
		for _, err := range []struct {
			what, want string
			got        error
		}{
			{"admit", row.admit, list.Admit(request("GET", row.headers...), false)},
			{"allow", row.allow, list.Admit(request("GET", row.headers...), true)},
			{"trust", row.trust, list.Trust(request("GET", row.headers...), httpauth.AmbientByHost)},
		} {
			want := err.want
			if want != "" && err.what == "trust" {
				want = crossOrigin + ": " + want
			}
			if text(err.got) != want {
				t.Errorf("%v: %s: %v\nwant %s", row.headers, err.what, err.got, want)
			}
		}
	}
}

const (
	nullOrigin = "the origin is null, as for files and sandboxed frames"
	malformed  = "the Origin header is malformed"
	several    = "the request has several Origin headers"
)

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// Whether a page is the server's own. Sec-Fetch-Site knows better than the
// hosts, where a browser sends it: it knows the scheme, and what a proxy has
// made of the host.
func TestOwnPage(t *testing.T) {
	for _, row := range []struct {
		host, origin, site string
		tls, own           bool
	}{
		{"server", "http://server", "", false, true},
		{"server", "https://server", "", false, true}, // a proxy has ended TLS
		{"server", "http://server", "", true, false},
		{"server:8000", "http://server:8000", "", false, true},
		{"server", "http://server:8000", "", false, false},
		{"server", "capacitor://server", "", false, false},
		{"server", "file://", "", false, false},
		{"", "https://", "", false, false},
		{"server", "https://server:8443", "same-origin", false, true}, // the proxy has cut the port
		{"server", "http://server", "cross-site", false, false},       // of http: on a server of https:
		{"server", "http://server", "same-site", false, false},
		{"server", "http://server", "none", false, false},
	} {
		r := request("POST", "Origin", row.origin)
		r.Host = row.host
		if row.site != "" {
			r.Header.Set("Sec-Fetch-Site", row.site)
		}
		if row.tls {
			r.TLS = new(tls.ConnectionState)
		}
		var none *httpauth.Origins
		if err := none.Trust(r, httpauth.AmbientByHost); (err == nil) != row.own {
			t.Errorf("%+v: %v", row, err)
		}
		if err := none.Trust(r, httpauth.NotAmbient); err != nil {
			t.Errorf("%+v: not ambient: %v", row, err)
		}
	}
}

// DNS rebinding: a stranger's name has the address of the server, so that the
// stranger's page is of the server's own origin.
func TestHostOfRequest(t *testing.T) {
	const remedy = "who is known by address must come to a host that is listed there, to localhost or to an IP address"
	token := token(t, "", `{"username":"alice"}`)
	list := origins(t, "https://app.example", "intranet:8000", "http://*.lan", "*:9000", "*:*")
	a := &httpauth.Authenticator{Engine: newJWT(t), Origins: list}
	for host, refused := range map[string]string{
		"localhost":          "",
		"localhost:8000":     "",
		"LOCALHOST:8000":     "",
		"app.localhost":      "",
		"127.0.0.1:8000":     "",
		"192.168.1.5":        "",
		"[::1]:8000":         "",
		"app.example":        "",
		"app.example:443":    "",
		"app.example:8000":   "The request has come to the host app.example:8000, which is not in Origins: ",
		"intranet:8000":      "",
		"intranet":           "The request has come to the host intranet, which is not in Origins: ",
		"printer.lan":        "",
		"evil.org:8000":      "The request has come to the host evil.org:8000, which is not in Origins: ",
		"evil.org:9000":      "The request has come to the host evil.org:9000, which is not in Origins: ",
		"localhost.evil.org": "The request has come to the host localhost.evil.org, which is not in Origins: ",
		"127.0.0.1.evil.org": "The request has come to the host 127.0.0.1.evil.org, which is not in Origins: ",
		"<b>evil":            "The request has come to a host that is not in Origins: ",
		"":                   "The request has come to a host that is not in Origins: ",
	} {
		want := ""
		if refused != "" {
			want = "CrossOriginError: " + refused + remedy
		}
		for _, headers := range [][]string{nil, {"Origin", "http://" + host}, {"Sec-Fetch-Site", "same-origin"}} {
			for _, method := range []string{"GET", "POST"} {
				r := httptest.NewRequest(method, "http://x/", nil)
				for i := 0; i < len(headers); i += 2 {
					r.Header.Add(headers[i], headers[i+1])
				}
				r.Host = host
				if err := list.Trust(r, httpauth.AmbientByAddress); text(err) != want {
					t.Errorf("%s %s %v: %v\nwant %s", method, host, headers, err, want)
				}
				if refused == "" {
					continue
				}
				r = r.WithContext(httpauth.NewContextByAddress(r.Context(), token))
				if got := ask(t, a.Require(greet), r); got != (answer{403, want, ""}) {
					t.Errorf("%s %s %v: got %v", method, host, headers, got)
				}
				// A cookie is kept to its host by the browser.
				r = r.WithContext(httpauth.NewContext(r.Context(), token))
				if got := ask(t, a.Require(greet), r); method == "GET" && got.status != 200 {
					t.Errorf("%s %s %v: a cookie: got %v", method, host, headers, got)
				}
			}
		}
	}
	// The host is known, and the page is not its own.
	r := request("POST", "Origin", "https://evil.example")
	r.Host = "localhost:8000"
	if err := list.Trust(r, httpauth.AmbientByAddress); text(err) != evilOrigin {
		t.Errorf("another page: %v", err)
	}
}
