package browser_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/socketcluster-go/socketcluster/browser"
)

func serve(t *testing.T, method string, header http.Header) *http.Response {
	t.Helper()
	r := httptest.NewRequest(method, "/any/path.js", nil)
	for name, values := range header {
		r.Header[name] = values
	}
	w := httptest.NewRecorder()
	browser.Handler().ServeHTTP(w, r)
	return w.Result()
}

func body(t *testing.T, res *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestHandlerServesTheModule(t *testing.T) {
	res := serve(t, http.MethodGet, nil)
	if res.StatusCode != http.StatusOK {
		t.Fatalf("status %d", res.StatusCode)
	}
	for name, want := range map[string]string{
		"Content-Type":           "text/javascript; charset=utf-8",
		"Cache-Control":          "no-cache",
		"X-Content-Type-Options": "nosniff",
	} {
		if got := res.Header.Get(name); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	if got := body(t, res); got != browser.Client() {
		t.Errorf("the body is not the module: %d bytes, want %d", len(got), len(browser.Client()))
	}
}

func TestHandlerAnswersConditionalRequests(t *testing.T) {
	etag := serve(t, http.MethodGet, nil).Header.Get("ETag")
	if !regexp.MustCompile(`^"[0-9a-f]{32}"$`).MatchString(etag) {
		t.Fatalf("ETag %q is not a strong validator", etag)
	}
	res := serve(t, http.MethodGet, http.Header{"If-None-Match": {etag}})
	if res.StatusCode != http.StatusNotModified || body(t, res) != "" {
		t.Errorf("same ETag: status %d", res.StatusCode)
	}
	if res := serve(t, http.MethodGet, http.Header{"If-None-Match": {`"other"`}}); res.StatusCode != http.StatusOK {
		t.Errorf("another ETag: status %d", res.StatusCode)
	}
}

func TestHandlerMethods(t *testing.T) {
	if res := serve(t, http.MethodHead, nil); res.StatusCode != http.StatusOK || body(t, res) != "" {
		t.Errorf("HEAD: status %d", res.StatusCode)
	}
	res := serve(t, http.MethodPost, nil)
	if res.StatusCode != http.StatusMethodNotAllowed || res.Header.Get("Allow") != "GET, HEAD" {
		t.Errorf("POST: status %d, Allow %q", res.StatusCode, res.Header.Get("Allow"))
	}
}

func TestRecoveryIsServed(t *testing.T) {
	w := httptest.NewRecorder()
	browser.RecoveryHandler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/recovery.js", nil))
	if w.Code != http.StatusOK || w.Body.String() != browser.Recovery() || w.Header().Get("Content-Type") != "text/javascript; charset=utf-8" {
		t.Errorf("status %d, header %v", w.Code, w.Header())
	}
	for name, text := range map[string]string{"module": browser.Recovery(), "types": browser.RecoveryTypes()} {
		if !strings.Contains(text, "export function recovery(") {
			t.Errorf("the %s do not export recovery", name)
		}
	}
}

// The module must load on its own: an import would ask the server for a file that nobody serves.
func TestModuleStandsAlone(t *testing.T) {
	if regexp.MustCompile(`(?m)^\s*import\b|\bimport\(`).MatchString(browser.Client() + browser.Recovery()) {
		t.Error("the module imports something")
	}
	for name, text := range map[string]string{"module": browser.Client(), "types": browser.Types()} {
		if !strings.Contains(text, "export function create(") {
			t.Errorf("the %s do not export create", name)
		}
	}
}
