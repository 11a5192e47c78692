package browsertest_test

import (
	"bytes"
	"image/png"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/socketcluster-go/socketcluster/internal/compat/browsertest"
)

const page = `<!DOCTYPE html>
<link rel="icon" href="data:,">
<title>harness</title>
<input id="name"><button id="greet">Greet</button><p id="out">waiting</p><p id="typed"></p>
<script>
const byId = (id) => document.getElementById(id);
byId('name').addEventListener('input', (e) => { byId('typed').textContent = e.target.value; });
byId('greet').addEventListener('click', () => {
	setTimeout(() => { byId('out').textContent = 'hello ' + byId('name').value; }, 50);
});
addEventListener('storage', (e) => { byId('out').textContent = e.key + '=' + e.newValue; });
</script>`

func serve(t *testing.T) string {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Write([]byte(page))
	}))
	t.Cleanup(s.Close)
	return s.URL
}

func TestHarness(t *testing.T) {
	url := serve(t)
	browser := browsertest.Start(t)
	tab := browser.NewTab(t)
	tab.Navigate(url)

	t.Run("form and text", func(t *testing.T) {
		tab.WaitText("#out", "waiting")
		tab.SetValue("#name", "wörld")
		tab.WaitText("#typed", "wörld")
		tab.Click("#greet")
		tab.WaitText("#out", "hello wörld")
		if got := tab.Text("#out"); got != "hello wörld" {
			t.Errorf("Text is %q", got)
		}
	})

	t.Run("evaluate", func(t *testing.T) {
		var got struct{ Title string }
		tab.Eval(`Promise.resolve({Title: document.title})`, &got)
		if got.Title != "harness" {
			t.Errorf("got %+v", got)
		}
	})

	t.Run("two tabs share the profile", func(t *testing.T) {
		if _, ok := tab.LocalStorage("key"); ok {
			t.Error("a fresh profile holds an entry")
		}
		other := browser.NewTab(t)
		other.Navigate(url)
		other.SetLocalStorage("key", `va"lue`)
		// The first tab is in the background now; it must still make progress.
		// It sees the entry when it has been told of it, and not before.
		tab.WaitText("#out", `key=va"lue`)
		if got, ok := tab.LocalStorage("key"); !ok || got != `va"lue` {
			t.Errorf("LocalStorage is %q, %v", got, ok)
		}
		other.Close()
		tab.WaitText("#out", "key=")
	})

	t.Run("screenshot", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "page.png")
		tab.Screenshot(file)
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := png.Decode(bytes.NewReader(content)); err != nil {
			t.Errorf("not a picture: %v", err)
		}
	})

	t.Run("errors are collected", func(t *testing.T) {
		if got := tab.Errors(); len(got) != 0 {
			t.Errorf("errors before anything went wrong: %q", got)
		}
		tab.Eval(`console.log('fine'); console.error('went', 'wrong'); setTimeout(() => { throw new TypeError('thrown') }); fetch('/missing')`, nil)
		got := tab.WaitErrors(3)
		for _, want := range []string{"console.error: went wrong", "TypeError: thrown", "404"} {
			if !slices.ContainsFunc(got, func(s string) bool { return strings.Contains(s, want) }) {
				t.Errorf("no %q in %q", want, got)
			}
		}
		if len(got) != 3 {
			t.Errorf("got %d errors: %q", len(got), got)
		}
	})
}

func TestEachBrowserHasAFreshProfile(t *testing.T) {
	url := serve(t)
	first := browsertest.Start(t).NewTab(t)
	first.Navigate(url)
	first.SetLocalStorage("key", "value")
	second := browsertest.Start(t).NewTab(t)
	second.Navigate(url)
	if got, ok := second.LocalStorage("key"); ok {
		t.Errorf("another browser sees %q", got)
	}
}
