package main

import (
	"encoding/json"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/socketcluster-go/socketcluster/browser"
)

func (w *world) get(path string) (*http.Response, string) {
	w.t.Helper()
	r, err := http.NewRequest(http.MethodGet, "http://server"+path, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	return w.do(r)
}

func TestSiteServesThePage(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *world) {
		for path, want := range map[string]struct{ contentType, file string }{
			"/":          {"text/html; charset=utf-8", "index.html"},
			"/app.js":    {"text/javascript; charset=utf-8", "app.js"},
			"/style.css": {"text/css; charset=utf-8", "style.css"},
			"/icon.svg":  {"image/svg+xml", "icon.svg"},
		} {
			resp, body := w.get(path)
			file, err := fs.ReadFile(page(), want.file)
			if err != nil {
				t.Fatal(err)
			}
			if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != want.contentType || body != string(file) {
				t.Errorf("%s: %s, %q, %d bytes", path, resp.Status, resp.Header.Get("Content-Type"), len(body))
			}
		}
	})
}

// The page must not need anything that the policy forbids.
func TestPageFitsThePolicy(t *testing.T) {
	index, err := fs.ReadFile(page(), "index.html")
	if err != nil {
		t.Fatal(err)
	}
	for _, forbidden := range []string{`<script>`, `<style`, ` style="`, ` on[a-z]+="`, `(src|href)="(https?:)?//`, `javascript:`} {
		if found := regexp.MustCompile(forbidden).Find(index); found != nil {
			t.Errorf("index.html has %q", found)
		}
	}
	app, err := fs.ReadFile(page(), "app.js")
	if err != nil {
		t.Fatal(err)
	}
	for _, forbidden := range []string{`innerHTML`, `outerHTML`, `insertAdjacentHTML`, `document\.write`, `\beval\(`, `new Function`, `\.style\b`} {
		if found := regexp.MustCompile(forbidden).Find(app); found != nil {
			t.Errorf("app.js has %q", found)
		}
	}
}

func TestSiteHeaders(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *world) {
		for _, path := range []string{"/", "/app.js", "/client.js", "/config.json", "/login", "/none"} {
			resp, _ := w.get(path)
			for name, want := range siteHeaders {
				got := resp.Header.Get(name)
				if name == "Cache-Control" {
					// Errors need none, and what has secrets is stricter.
					if path == "/config.json" {
						want = "no-store"
					} else if resp.StatusCode != http.StatusOK {
						continue
					}
				}
				if got != want {
					t.Errorf("%s: %s is %q, want %q", path, name, got, want)
				}
			}
		}
	})
}

func TestConfigJSON(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *world) {
		resp, body := w.get("/config.json")
		if got := resp.Header.Get("Content-Type"); got != jsonType {
			t.Errorf("Content-Type is %q", got)
		}
		var got map[string]any
		if err := json.Unmarshal([]byte(body), &got); err != nil {
			t.Fatal(err)
		}
		want := map[string]any{
			"client":         "browser",
			"tokenName":      "socketcluster.authToken", // AUTH-53
			"directMessages": true,
			"users": []any{
				map[string]any{"username": "alice", "password": w.account("alice").Password},
				map[string]any{"username": "bob", "password": w.account("bob").Password},
			},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
}

// Whether users may write to each other is known of the demo's own rules only.
func TestConfigJSONWithRules(t *testing.T) {
	inBubble(t, []string{"--rules=" + writeFile(t, "rules.json", "[]")}, func(t *testing.T, w *world) {
		if _, body := w.get("/config.json"); !strings.Contains(body, `"directMessages":false`) {
			t.Errorf("config.json is %s", body)
		}
	})
}

// The passwords of a database that outlives the demo are not for everybody.
func TestConfigJSONWithFile(t *testing.T) {
	args := []string{"--db=" + filepath.Join(t.TempDir(), "users.db")}
	for _, start := range []struct {
		name     string
		accounts int
	}{{"first", 2}, {"second", 0}} {
		inBubble(t, args, func(t *testing.T, w *world) {
			if _, body := w.get("/config.json"); !strings.Contains(body, `"users":[]`) {
				t.Errorf("%s start: config.json is %s", start.name, body)
			}
			if got := len(w.demo.accounts); got != start.accounts {
				t.Errorf("%s start: %d accounts were made, want %d", start.name, got, start.accounts)
			}
		})
	}
}

func TestClientJS(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *world) {
		if resp, body := w.get("/recovery.js"); body != browser.Recovery() {
			t.Errorf("recovery.js: %s, %d bytes", resp.Status, len(body))
		}
		if resp, body := w.get("/client.js"); body != browser.Client() || resp.Header.Get("Content-Type") != pageTypes[".js"] {
			t.Errorf("client.js: %s, %q, %d bytes", resp.Status, resp.Header.Get("Content-Type"), len(body))
		}
	})
	file := filepath.Join(t.TempDir(), "stock.txt")
	if err := os.WriteFile(file, []byte("export const create = 1;"), 0o600); err != nil {
		t.Fatal(err)
	}
	inBubble(t, []string{"--client-js=" + file}, func(t *testing.T, w *world) {
		if resp, body := w.get("/client.js"); body != "export const create = 1;" || resp.Header.Get("Content-Type") != pageTypes[".js"] {
			t.Errorf("client.js: %s, %q, %q", resp.Status, resp.Header.Get("Content-Type"), body)
		}
		if _, body := w.get("/config.json"); !strings.Contains(body, `"client":"stock"`) {
			t.Errorf("config.json is %s", body)
		}
	})
}

func TestSiteHasNothingElse(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *world) {
		for path, status := range map[string]int{
			"/main.go": http.StatusNotFound, "/page/": http.StatusNotFound, "/..%2fmain.go": http.StatusNotFound,
			"/socketcluster/": http.StatusBadRequest, // no upgrade
		} {
			if resp, _ := w.get(path); resp.StatusCode != status {
				t.Errorf("%s: %s, want %d", path, resp.Status, status)
			}
		}
		r, err := http.NewRequest(http.MethodPost, "http://server/", nil)
		if err != nil {
			t.Fatal(err)
		}
		if resp, _ := w.do(r); resp.StatusCode != http.StatusMethodNotAllowed {
			t.Errorf("POST /: %s", resp.Status)
		}
	})
}
