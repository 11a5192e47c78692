package oidc_test

import (
	"context"
	"encoding/json"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/socketcluster-go/socketcluster/auth/oidc"
	"github.com/socketcluster-go/socketcluster/internal/logtest"
)

func TestOptions(t *testing.T) {
	for name, c := range map[string]struct {
		issuer        string
		ids           []string
		field, reason string
	}{
		"no issuer":        {"", []string{client}, "Issuer", "must not be empty"},
		"no URL":           {"https://secret\x7f", []string{client}, "Issuer", "not a URL"},
		"no scheme":        {"login.example", []string{client}, "Issuer", "has no host"},
		"http":             {"http://login.example", []string{client}, "Issuer", "is not https"},
		"http on a LAN":    {"http://10.0.0.1", []string{client}, "Issuer", "is not https"},
		"like localhost":   {"http://localhost.login.example", []string{client}, "Issuer", "is not https"},
		"user information": {"https://me:secret@login.example", []string{client}, "Issuer", "user information"},
		"query":            {"https://login.example?secret", []string{client}, "Issuer", "a query or a fragment"},
		"empty query":      {"https://login.example?", []string{client}, "Issuer", "a query or a fragment"},
		"fragment":         {"https://login.example#secret", []string{client}, "Issuer", "a query or a fragment"},
		"no client":        {issuer, nil, "ClientIDs", "must hold a name"},
		"empty client":     {issuer, []string{client, ""}, "ClientIDs", "none that is empty"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWeb(newSigner(t, "1"))
			p, err := oidc.Discover(t.Context(), oidc.Options{Issuer: c.issuer, ClientIDs: c.ids, Transport: w})
			if p != nil {
				p.Close()
				t.Fatal("a provider came")
			}
			wantOption(t, err, c.field, c.reason)
			if strings.Contains(err.Error(), "secret") {
				t.Errorf("a secret is in %v", err)
			}
			if len(w.paths) > 0 {
				t.Errorf("requests: %q", w.paths)
			}
		})
	}
}

// Responses of providers that cannot be used as a document.
func TestDiscoverFails(t *testing.T) {
	answer := func(status int, text string) func(*web) {
		return func(w *web) {
			w.handlers[document] = func(rw http.ResponseWriter, _ *http.Request) {
				rw.Header().Set("Content-Type", "application/json")
				rw.WriteHeader(status)
				io.WriteString(rw, text)
			}
		}
	}
	set := func(name string, value any) func(*web) { return func(w *web) { w.doc[name] = value } }
	hang := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	for name, c := range map[string]struct {
		spoil func(*web)
		want  string
	}{
		"another issuer":                    {set("issuer", "https://other.example"), `its issuer is "https://other.example"`},
		"a slash more":                      {set("issuer", issuer+"/"), "Options.Issuer must be exactly that"},
		"no issuer":                         {set("issuer", nil), `its issuer is ""`},
		"status 404":                        {answer(404, "secret"), "status 404"},
		"status 500":                        {answer(500, "secret"), "status 500"},
		"no JSON":                           {answer(200, "<html>"), "failed to decode"},
		"oversize":                          {answer(200, `{"issuer":"`+issuer+`"}`+strings.Repeat(" ", 1<<20)), "more than 1048576 bytes"},
		"hangs":                             {func(w *web) { w.handlers[document] = hang }, "deadline exceeded"},
		"no address of keys":                {set("jwks_uri", nil), "its jwks_uri has no host"},
		"keys over http":                    {set("jwks_uri", "http://keys.example/secret"), "its jwks_uri is not https"},
		"keys on this machine":              {set("jwks_uri", "http://127.0.0.1/jwks"), "its jwks_uri is not https, but the issuer is"},
		"keys on localhost":                 {set("jwks_uri", "http://localhost:8080/jwks"), "its jwks_uri is not https, but the issuer is"},
		"logins on this machine":            {set("authorization_endpoint", "http://[::1]/auth"), "its authorization_endpoint is not https, but the issuer is"},
		"codes on this machine":             {set("token_endpoint", "http://127.0.0.1/token"), "its token_endpoint is not https, but the issuer is"},
		"keys on this machine over https":   {set("jwks_uri", "https://127.0.0.1/secret"), "its jwks_uri cannot be used: its address is on this machine"},
		"keys on localhost over https":      {set("jwks_uri", "https://localhost/secret"), "its jwks_uri cannot be used: its address is on this machine"},
		"keys in a private network":         {set("jwks_uri", "https://10.0.0.1/secret"), "its jwks_uri cannot be used: its address is in a private network"},
		"keys of a cloud":                   {set("jwks_uri", "https://169.254.169.254/secret"), "its jwks_uri cannot be used: its address is on this machine"},
		"logins on this machine over https": {set("authorization_endpoint", "https://[::1]/secret"), "its authorization_endpoint cannot be used: its address is on this machine"},
		"codes on this machine over https":  {set("token_endpoint", "https://[::ffff:127.0.0.1]/secret"), "its token_endpoint cannot be used: its address is on this machine"},
		"keys in a file":                    {set("jwks_uri", "file:///secret"), "its jwks_uri has no host"},
		"keys with a password":              {set("jwks_uri", "https://me:secret@keys.example"), "its jwks_uri has user information"},
		"keys that are no URL":              {set("jwks_uri", "https://secret\x7f"), "its jwks_uri is not a URL"},
		"keys that are a list":              {set("jwks_uri", []string{"https://keys.example"}), "failed to decode"},
		"logins over http":                  {set("authorization_endpoint", "http://login.example/secret"), "its authorization_endpoint is not https"},
		"codes over http":                   {set("token_endpoint", "http://login.example/secret"), "its token_endpoint is not https"},
		"only symmetric or none":            {set("id_token_signing_alg_values_supported", []string{"HS256", "none", "xx"}), "none of its id_token_signing_alg_values_supported"},
		"no keys":                           {func(w *web) { w.keys = `{"keys":[]}` }, "no usable key"},
		"keys not there":                    {set("jwks_uri", "https://keys.example/other"), "cannot be fetched: the response has status 404"},
		"keys hang":                         {func(w *web) { w.handlers["/jwks"] = hang }, "deadline exceeded"},
		"not modified":                      {answer(304, ""), "status 304"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWeb(newSigner(t, "1"))
				c.spoil(w)
				var logged logtest.Buffer
				began := time.Now()
				p, err := oidc.Discover(t.Context(), oidc.Options{Issuer: issuer, ClientIDs: []string{client}, Transport: w, Logger: logged.Logger()})
				if p != nil {
					p.Close()
					t.Fatal("a provider came")
				}
				if !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "oidc: ") {
					t.Errorf("got %v, want …%s…", err, c.want)
				}
				if text := err.Error() + logged.Take(); strings.Contains(text, "secret") {
					t.Errorf("a secret is in %s", text)
				}
				if d := time.Since(began); d > 5*time.Second {
					t.Errorf("it took %v", d)
				}
			})
		})
	}
}

// Discover ends with its context.
func TestDiscoverIsCanceled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWeb(newSigner(t, "1"))
		w.handlers["/jwks"] = func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := oidc.Discover(ctx, oidc.Options{Issuer: issuer, ClientIDs: []string{client}, Transport: w, Logger: slog.New(slog.DiscardHandler)})
		if err == nil || ctx.Err() == nil || !strings.Contains(err.Error(), "deadline exceeded") {
			t.Errorf("got %v", err)
		}
	})
}

// Without the code flow, a provider needs no addresses for it.
func TestEndpoint(t *testing.T) {
	w := newWeb(newSigner(t, "1"))
	p, _ := discover(t, w)
	if e := p.Endpoint(); e.AuthURL != issuer+"/auth" || e.TokenURL != issuer+"/token" {
		t.Errorf("endpoint %+v", e)
	}
	delete(w.doc, "authorization_endpoint")
	delete(w.doc, "token_endpoint")
	p, _ = discover(t, w)
	if e := p.Endpoint(); e.AuthURL != "" || e.TokenURL != "" {
		t.Errorf("endpoint %+v", e)
	}
}

// Over real connections: TLS, loopback addresses, redirects.
func TestHTTP(t *testing.T) {
	s := newSigner(t, "1")
	for _, c := range []struct {
		name     string
		redirect func(plain, secure string) string // of the document, "" for none
		http     bool                              // the issuer is at http
		want     string
	}{
		{"https", nil, false, ""},
		{"http on a loopback address", nil, true, ""},
		{"redirected", func(_, secure string) string { return secure + "/moved" }, false, ""},
		{"redirected to https", func(_, secure string) string { return secure + "/moved" }, true, ""},
		{"redirected in a circle", func(_, secure string) string { return secure + document }, false, "more than 3 redirects"},
		{"from https to http", func(plain, _ string) string { return plain + "/moved?secret" }, false, "leads from https to http"},
		{"to http elsewhere", func(string, string) string { return "http://login.example/secret" }, true, "the address of a redirect is not https"},
		{"to a file", func(string, string) string { return "file:///secret" }, true, "the address of a redirect has no host"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWeb(s)
			plain := httptest.NewServer(w)
			defer plain.Close()
			secure := httptest.NewUnstartedServer(w)
			secure.Config.ErrorLog = log.New(io.Discard, "", 0)
			secure.StartTLS()
			defer secure.Close()
			at := secure.URL
			if c.http {
				at = plain.URL
			}
			w.doc["issuer"], w.doc["jwks_uri"] = at, at+"/jwks"
			w.doc["authorization_endpoint"], w.doc["token_endpoint"] = at+"/auth", at+"/token"
			if c.redirect != nil {
				w.handlers["/moved"] = func(rw http.ResponseWriter, _ *http.Request) {
					rw.Header().Set("Content-Type", "application/json")
					json.NewEncoder(rw).Encode(w.doc)
				}
				w.handlers[document] = func(rw http.ResponseWriter, r *http.Request) {
					http.Redirect(rw, r, c.redirect(plain.URL, secure.URL), http.StatusFound)
				}
			}
			p, err := oidc.Discover(t.Context(), oidc.Options{Issuer: at, ClientIDs: []string{client}, Transport: secure.Client().Transport, Logger: slog.New(slog.DiscardHandler)})
			defer secure.Client().CloseIdleConnections()
			if c.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				p.Close()
				return
			}
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "secret") {
				t.Errorf("got %v, want …%s…", err, c.want)
			}
		})
	}
	t.Run("a stranger's certificate", func(t *testing.T) {
		secure := httptest.NewUnstartedServer(newWeb(s))
		secure.Config.ErrorLog = log.New(io.Discard, "", 0)
		secure.StartTLS()
		defer secure.Close()
		if _, err := oidc.Discover(t.Context(), oidc.Options{Issuer: secure.URL, ClientIDs: []string{client}}); err == nil || !strings.Contains(err.Error(), "certificate") {
			t.Errorf("got %v", err)
		}
	})
}

// remoteConn is a connection that seems to lead to another address.
type remoteConn struct {
	net.Conn
	remote net.Addr
}

func (c remoteConn) RemoteAddr() net.Addr { return c.remote }

// A provider does not lead nearer to this machine than it is found itself: not by its
// document, nor by a redirection, nor by what a name stands for, then or later, nor
// when a code is traded.
func TestProviderLeadsNowhereNearer(t *testing.T) {
	for _, c := range []struct {
		name, issuer, keys, token string // where the names stand for
		good, goodToken           bool
	}{
		{"all public", "93.184.215.14", "1.1.1.1", "1.0.0.1", true, true},
		{"keys in a private network", "93.184.215.14", "10.0.0.1", "1.0.0.1", false, false},
		{"keys on this machine", "93.184.215.14", "127.0.0.1", "1.0.0.1", false, false},
		{"codes in a private network", "93.184.215.14", "1.1.1.1", "192.168.0.1", true, false},
		{"all in a private network", "10.0.0.1", "10.0.0.2", "fd00::1", true, true},
		{"from a private network to this machine", "10.0.0.1", "169.254.169.254", "10.0.0.3", false, false},
		{"all on this machine", "127.0.0.1", "127.0.0.1", "127.0.0.1", true, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWeb(newSigner(t, "1"))
			w.doc["token_endpoint"] = "https://token.example/token"
			w.handlers["/token"] = func(rw http.ResponseWriter, _ *http.Request) { io.WriteString(rw, "{}") }
			server := httptest.NewTLSServer(w)
			defer server.Close()
			names := map[string]string{"login.example:443": c.issuer, "keys.example:443": c.keys, "token.example:443": c.token}
			transport := server.Client().Transport.(*http.Transport).Clone()
			transport.TLSClientConfig.ServerName = "example.com" // for which the certificate is
			transport.DialContext = func(ctx context.Context, _, address string) (net.Conn, error) {
				conn, err := new(net.Dialer).DialContext(ctx, "tcp", server.Listener.Addr().String())
				return remoteConn{conn, net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(names[address]), 443))}, err
			}
			var logged logtest.Buffer
			p, err := oidc.Discover(t.Context(), oidc.Options{Issuer: issuer, ClientIDs: []string{client}, Transport: transport, Logger: logged.Logger()})
			if (err == nil) != c.good {
				t.Fatalf("Discover: %v", err)
			}
			if n := w.count("/jwks"); (n > 0) != c.good {
				t.Errorf("%d requests for keys", n)
			}
			if err != nil {
				if text := err.Error(); !strings.Contains(text, "which the configured one is not") || strings.Contains(text, c.keys) {
					t.Errorf("got %v", err)
				}
				return
			}
			defer p.Close()
			response, err := p.Client().Get(p.Endpoint().TokenURL)
			if err == nil {
				response.Body.Close()
			}
			if (err == nil) != c.goodToken || (w.count("/token") > 0) != c.goodToken {
				t.Errorf("trading a code: %v", err)
			}
		})
	}
}

// AllowInsecure is for a network that is trusted.
func TestAllowInsecure(t *testing.T) {
	w := newWeb(newSigner(t, "1"))
	for name, value := range w.doc {
		if text, ok := value.(string); ok {
			w.doc[name] = strings.Replace(text, "https:", "http:", 1)
		}
	}
	p, err := oidc.Discover(t.Context(), oidc.Options{Issuer: "http://login.example", ClientIDs: []string{client}, AllowInsecure: true, Transport: w, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	p.Close()
}

// Any document leads to an error, or to addresses that are safe.
func FuzzDiscover(f *testing.F) {
	w := newWeb(newSigner(f, "1"))
	good, err := json.Marshal(w.doc)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(`{"issuer":"https://login.example","jwks_uri":"https://keys.example/jwks"}`))
	f.Add([]byte(`{"issuer":"https://login.example","jwks_uri":"http://keys.example/jwks"}`))
	f.Add([]byte(`{"issuer":["https://login.example"],"jwks_uri":null,"id_token_signing_alg_values_supported":"none"}`))
	f.Add([]byte(`{"issuer":"https://login.example","jwks_uri":"https://keys.example/jwks","token_endpoint":"http://127.0.0.1/"}`))
	f.Add([]byte(`{"issuer":"https://login.example","jwks_uri":"https://keys.example/jwks","token_endpoint":"https://127.0.0.1/","authorization_endpoint":"https://10.0.0.1/"}`))
	f.Add([]byte(`[]`))
	f.Add([]byte("\xff"))
	f.Fuzz(func(t *testing.T, doc []byte) {
		w := newWeb()
		w.keys = `{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"1","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}`
		w.handlers[document] = func(rw http.ResponseWriter, _ *http.Request) {
			rw.Header().Set("Content-Type", "application/json")
			rw.Write(doc)
		}
		p, err := oidc.Discover(t.Context(), oidc.Options{Issuer: issuer, ClientIDs: []string{client}, Transport: w, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			return
		}
		defer p.Close()
		for _, address := range []string{p.Endpoint().AuthURL, p.Endpoint().TokenURL} {
			u, err := url.Parse(address)
			safe := address == "" || err == nil && u.Scheme == "https"
			if err == nil && safe {
				addr, err := netip.ParseAddr(u.Hostname())
				safe = u.Hostname() != "localhost" && (err != nil || !addr.Unmap().IsLoopback() && !addr.Unmap().IsPrivate())
			}
			if !safe {
				t.Errorf("the endpoint %q", address)
			}
		}
	})
}
