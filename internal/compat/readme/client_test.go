package main

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/browser"
	"github.com/socketcluster-go/socketcluster/internal/compat/browsertest"
)

// The samples of docs/CLIENT.md run one after the other in one page. After
// them a login brings back the subscription that the logout has suspended.
func TestSamplesOfTheClient(t *testing.T) {
	text, err := os.ReadFile("../../../docs/CLIENT.md")
	if err != nil {
		t.Fatal(err)
	}
	var script strings.Builder
	for _, m := range regexp.MustCompile("(?s)```js\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		script.WriteString(m[1])
	}
	srv, err := socketcluster.New(socketcluster.Config{Auth: auth.Options{Key: "a key of the test with 32 letters"}})
	if err != nil {
		t.Fatal(err)
	}
	type credentials struct {
		Username string `json:"username"`
		Password string `json:"password"`
	}
	type claims struct {
		Username string `json:"username"`
	}
	srv.Handle("login", socketcluster.Proc(func(ctx context.Context, in credentials) error {
		return socketcluster.FromContext(ctx).SetAuthToken(ctx, claims{in.Username})
	}))
	mux := http.NewServeMux()
	mux.Handle("GET "+socketcluster.DefaultPath, srv)
	mux.Handle("GET /socketcluster.js", browser.Handler())
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		io.WriteString(w, `<!DOCTYPE html><link rel="icon" href="data:,"><output></output><script type="module">
			console.log = (value) => document.querySelector('output').append(JSON.stringify(value));
			const username = 'alice', password = 'secret';
			`+script.String()+`
			await socket.invoke('login', {username, password});
			await socket.invokePublish('user/alice', 'after the login');
		</script>`)
	})
	site := httptest.NewServer(mux)
	t.Cleanup(func() { srv.Close(); site.Close() })

	tab := browsertest.Start(t).NewTab(t)
	tab.Navigate(site.URL)
	tab.WaitText("output", `"after the login"`)
	if seen := tab.Text("output"); !strings.HasPrefix(seen, `{"username":"alice",`) {
		t.Errorf("the page shows %s", seen)
	}
	if errors := tab.Errors(); len(errors) > 0 {
		t.Errorf("the page reports %q", errors)
	}
}
