package jwks_test

import (
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/auth/jwks"
	"github.com/socketcluster-go/socketcluster/internal/logtest"
)

func TestOptions(t *testing.T) {
	for name, c := range map[string]struct {
		o             jwks.Options
		field, reason string
	}{
		"no address":       {jwks.Options{}, "URLs", "must not be empty"},
		"http":             {jwks.Options{URLs: []string{"http://example.com/jwks"}}, "URLs", "is not https"},
		"http on a LAN":    {jwks.Options{URLs: []string{"http://192.168.0.1/jwks"}}, "URLs", "is not https"},
		"like a loopback":  {jwks.Options{URLs: []string{"http://127.0.0.1.example.com/"}}, "URLs", "is not https"},
		"like localhost":   {jwks.Options{URLs: []string{"http://localhost.example.com/"}}, "URLs", "is not https"},
		"file":             {jwks.Options{URLs: []string{"file://localhost/etc/passwd"}, AllowInsecure: true}, "URLs", "neither https nor http"},
		"no host":          {jwks.Options{URLs: []string{"https:///jwks"}}, "URLs", "has no host"},
		"no scheme":        {jwks.Options{URLs: []string{"example.com/jwks"}}, "URLs", "has no host"},
		"user information": {jwks.Options{URLs: []string{"https://me:secret@example.com"}}, "URLs", "user information"},
		"no URL":           {jwks.Options{URLs: []string{"https://secret\x7f"}}, "URLs", "not a URL"},
		"the second one":   {jwks.Options{URLs: []string{"https://example.com", "http://example.com?secret"}}, "URLs", "is not https"},
		"interval":         {jwks.Options{URLs: []string{"https://example.com"}, Interval: -1}, "Interval", "negative"},
		"no unit":          {jwks.Options{URLs: []string{"https://example.com"}, Interval: 900}, "Interval", "nanoseconds"},
		"no unit, timeout": {jwks.Options{URLs: []string{"https://example.com"}, Timeout: 5}, "Timeout", "nanoseconds"},
		"least interval":   {jwks.Options{URLs: []string{"https://example.com"}, MinInterval: -1}, "MinInterval", "negative"},
		"timeout":          {jwks.Options{URLs: []string{"https://example.com"}, Timeout: -1}, "Timeout", "negative"},
		"greatest age":     {jwks.Options{URLs: []string{"https://example.com"}, MaxAge: -1}, "MaxAge", "negative"},
		"too young":        {jwks.Options{URLs: []string{"https://example.com"}, MaxAge: 15*time.Minute + 4*time.Second}, "MaxAge", "Interval and Timeout"},
		"body":             {jwks.Options{URLs: []string{"https://example.com"}, MaxBody: -1}, "MaxBody", "negative"},
	} {
		t.Run(name, func(t *testing.T) {
			client, err := jwks.New(c.o)
			if client != nil {
				client.Close()
				t.Fatal("a client came")
			}
			o, ok := errors.AsType[*auth.OptionError](err)
			if !ok || o.Field != c.field || !strings.Contains(o.Reason, c.reason) {
				t.Errorf("got %v, want %s: …%s…", err, c.field, c.reason)
			}
			if strings.Contains(err.Error(), "secret") {
				t.Errorf("a secret is in %v", err)
			}
		})
	}
	for _, address := range []string{"http://localhost:1/", "http://127.0.0.1:1/", "http://[::1]:1/"} {
		c, err := jwks.New(jwks.Options{URLs: []string{address}, Transport: &web{err: errors.New("down")}, Logger: new(logtest.Buffer).Logger()})
		if err != nil {
			t.Errorf("%s: %v", address, err)
			continue
		}
		c.Close()
	}
}

// Over real connections: TLS, the request itself, and redirects.
func TestHTTP(t *testing.T) {
	i := newIssuer(t, "1")
	mux := http.NewServeMux()
	requests := make(chan *http.Request, 100)
	mux.HandleFunc("/jwks", func(w http.ResponseWriter, r *http.Request) {
		requests <- r
		io.WriteString(w, set(i))
	})
	plain := httptest.NewServer(mux)
	defer plain.Close()
	secure := httptest.NewUnstartedServer(mux)
	secure.Config.ErrorLog = log.New(io.Discard, "", 0) // one test breaks off the TLS handshake
	secure.StartTLS()
	defer secure.Close()
	redirect := func(path, to string) {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, to, http.StatusFound) })
	}
	redirect("/once", "/jwks")
	redirect("/twice", "/once")
	redirect("/thrice", "/twice")
	redirect("/often", "/thrice")
	redirect("/loop", "/loop")
	redirect("/down", plain.URL+"/jwks?secret")
	redirect("/up", secure.URL+"/jwks")
	redirect("/away", "http://example.com/jwks?secret")
	redirect("/file", "file:///etc/passwd")
	redirect("/user", "https://me:secret@example.com/")
	mux.HandleFunc("/huge", func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, set(i)+strings.Repeat(" ", 1<<20))
	})
	mux.HandleFunc("/endless", func(w http.ResponseWriter, _ *http.Request) {
		for {
			if _, err := w.Write(make([]byte, 4096)); err != nil {
				return
			}
		}
	})

	transport := secure.Client().Transport
	for _, c := range []struct{ name, url, want, log string }{
		{"https", secure.URL + "/jwks", "", ""},
		{"http on a loopback address", plain.URL + "/jwks", "", ""},
		{"redirected once", secure.URL + "/once", "", ""},
		{"redirected three times", secure.URL + "/thrice", "", ""},
		{"redirected four times", secure.URL + "/often", unavailable, "more than 3 redirects"},
		{"redirected in a circle", secure.URL + "/loop", unavailable, "more than 3 redirects"},
		{"from http to https", plain.URL + "/up", "", ""},
		{"from https to http", secure.URL + "/down", unavailable, "leads from https to http"},
		{"from a loopback address to http elsewhere", plain.URL + "/away", unavailable, "the address of a redirect is not https"},
		{"to a file", plain.URL + "/file", unavailable, "the address of a redirect has no host"},
		{"to an address with a password", secure.URL + "/user", unavailable, "the address of a redirect has user information"},
		{"too large", secure.URL + "/huge", unavailable, "more than 1048576 bytes"},
		{"endless", secure.URL + "/endless", unavailable, "more than 1048576 bytes"},
		{"missing", secure.URL + "/missing", unavailable, "status 404"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var logged logtest.Buffer
			client, j := start(t, jwks.Options{URLs: []string{c.url}, Transport: transport, Logger: logged.Logger()})
			want(t, verify(t, j, i.token(t)), c.want)
			client.Close()
			text := logged.Take()
			if !strings.Contains(text, c.log) {
				t.Errorf("%q is not in the log: %s", c.log, text)
			}
			if strings.Contains(text, "secret") {
				t.Errorf("a secret is in the log: %s", text)
			}
			if c.want == "" {
				r := <-requests
				if r.Method != "GET" || r.Header.Get("Accept") != "application/jwk-set+json, application/json" || r.Header.Get("Cookie") != "" {
					t.Errorf("%s %v", r.Method, r.Header)
				}
			}
		})
	}
	t.Run("a stranger's certificate", func(t *testing.T) {
		client, j := start(t, jwks.Options{URLs: []string{secure.URL + "/jwks"}})
		want(t, verify(t, j, i.token(t)), unavailable)
		client.Close()
	})
	t.Run("AllowInsecure does not lead from https to http", func(t *testing.T) {
		client, j := start(t, jwks.Options{URLs: []string{secure.URL + "/down"}, Transport: transport, AllowInsecure: true})
		want(t, verify(t, j, i.token(t)), unavailable)
		client.Close()
	})
	if len(requests) > 0 {
		t.Errorf("%d requests came through that must not", len(requests))
	}
	secure.Client().CloseIdleConnections()
}

// AllowInsecure is for a network that is trusted.
func TestAllowInsecure(t *testing.T) {
	i := newIssuer(t, "1")
	client, j := start(t, jwks.Options{URLs: []string{"http://10.0.0.1/jwks"}, AllowInsecure: true, Transport: &web{body: set(i)}})
	want(t, verify(t, j, i.token(t)), "")
	client.Close()
}
