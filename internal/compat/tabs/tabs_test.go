// Package tabs_test opens the page of examples/multi-tab in several tabs of a
// real browser, with both browser clients, and with and without its tabs.js.
package tabs_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/internal/compat/browsertest"
	"github.com/socketcluster-go/socketcluster/internal/compat/npm"
	"github.com/socketcluster-go/socketcluster/internal/compat/proc"
)

const (
	key      = "a key of these tests, 32 bytes or more"
	password = "correct horse"
)

// startExample builds and runs the example as its users do, and returns its
// address.
func startExample(t *testing.T) *url.URL {
	t.Helper()
	root, err := proc.ModuleRoot()
	if err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(t.TempDir(), "multi-tab")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "./multi-tab")
	build.Dir = filepath.Join(root, "..", "..", "examples")
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", build, err, output)
	}
	cmd := proc.Binary(binary, "PASSWORD="+password, "AUTH_KEY="+key)
	cmd.Args = append(cmd.Args, "-addr", "127.0.0.1:0")
	example, err := proc.Launch(t.Context(), cmd)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := example.Stop(); err != nil {
			t.Errorf("%v\n%s", err, example.Logs())
		}
	})
	return &url.URL{Scheme: "http", Host: example.Addr()}
}

// site is the example with other scripts in the place of some of its own.
func site(t *testing.T, example *url.URL, scripts map[string]http.HandlerFunc) string {
	t.Helper()
	mux := http.NewServeMux()
	mux.Handle("/", &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(example)
		r.Out.Host = r.In.Host
	}})
	for path, script := range scripts {
		mux.HandleFunc("GET "+path, script)
	}
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL
}

// clients replace the client of the page, or leave it as it is.
func clients(t *testing.T) map[string]map[string]http.HandlerFunc {
	stock := filepath.Join(npm.Dir(t), "node_modules", "socketcluster-client", "socketcluster-client.min.js")
	return map[string]map[string]http.HandlerFunc{
		"our module":                 nil,
		"stock socketcluster-client": {"/client.js": func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, stock) }},
	}
}

// browser is a browser on the page of a site.
type browser struct {
	*browsertest.Browser
	t    *testing.T
	site string
}

// tokenName is where the clients keep the token of this site by default.
func (b *browser) tokenName() string {
	return "socketcluster.authToken." + strings.TrimPrefix(b.site, "http://")
}

func (b *browser) open() *browsertest.Tab {
	b.t.Helper()
	tab := b.NewTab(b.t)
	b.reload(tab)
	return tab
}

func (b *browser) reload(tab *browsertest.Tab) {
	b.t.Helper()
	tab.Navigate(b.site)
	tab.WaitText("#user", "logged")
}

func (b *browser) login(tab *browsertest.Tab, user string) {
	b.t.Helper()
	tab.SetValue("input[name=username]", user)
	tab.SetValue("input[name=password]", password)
	tab.Click("form button")
	tab.WaitText("#user", "logged in as "+user)
}

// The page of the example: all tabs are the same user at any time.
func TestTabsFollowEachOther(t *testing.T) {
	example := startExample(t)
	for name, scripts := range clients(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // most of it is waiting
			b := &browser{browsertest.Start(t), t, site(t, example, scripts)}
			first, second, third := b.open(), b.open(), b.open()
			tabs := []*browsertest.Tab{first, second, third}
			all := func(state string) {
				t.Helper()
				for _, tab := range tabs {
					tab.WaitText("#user", state)
				}
			}
			all("logged out")
			b.login(first, "alice")
			all("logged in as alice")
			b.login(second, "bob") // without a logout before
			all("logged in as bob")
			if _, ok := first.LocalStorage(b.tokenName()); !ok {
				t.Error("no token is stored")
			}
			third.Click("#logout")
			all("logged out")
			if token, ok := first.LocalStorage(b.tokenName()); ok {
				t.Errorf("a token is left: %s", token)
			}
			b.reload(second)
			all("logged out")

			// Whoever clears the storage logs the other tabs out.
			b.login(first, "alice")
			all("logged in as alice")
			second.Eval("localStorage.clear()", nil)
			first.WaitText("#user", "logged out")
			third.WaitText("#user", "logged out")
		})
	}
}

// A token of the same user is no reason to authenticate again: tabs whose
// tokens are renewed would otherwise do so for each other, and perhaps without
// an end. One of another user is, wherever it comes from.
func TestTabsKeepTheirOwnRenewedTokens(t *testing.T) {
	example := startExample(t)
	engine, err := auth.NewJWT(auth.Options{Key: key})
	if err != nil {
		t.Fatal(err)
	}
	for name, scripts := range clients(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // most of it is waiting
			b := &browser{browsertest.Start(t), t, site(t, example, scripts)}
			first, second := b.open(), b.open()
			b.login(first, "alice")
			second.WaitText("#user", "logged in as alice")
			second.Eval(`(() => {
				const send = WebSocket.prototype.send;
				window.sent = [];
				WebSocket.prototype.send = function (text) {
					window.sent.push(text);
					send.call(this, text);
				};
			})()`, nil)
			sign := func(user, id string) string {
				t.Helper()
				token, err := engine.Sign(t.Context(), map[string]any{"username": user}, auth.JWTID(id))
				if err != nil {
					t.Fatal(err)
				}
				return token.Signed()
			}
			var last string
			for i, user := range []string{"alice", "alice", "alice", "bob"} {
				last = sign(user, strconv.Itoa(i))
				first.SetLocalStorage(b.tokenName(), last)
			}
			second.WaitText("#user", "logged in as bob")
			authenticated := func() []string {
				var sent []string
				second.Eval("window.sent", &sent)
				return slices.DeleteFunc(sent, func(text string) bool { return !strings.Contains(text, "#authenticate") })
			}
			if sent := authenticated(); len(sent) != 1 || !strings.Contains(sent[0], last) {
				t.Errorf("the second tab has sent %q, want the token of bob alone", sent)
			}

			// Two events that find the same token are one change.
			second.Eval(fmt.Sprintf(`(() => {
				localStorage.setItem(%q, %q);
				for (let i = 0; i < 2; i++) {
					dispatchEvent(new StorageEvent('storage', {key: %[1]q, storageArea: localStorage}));
				}
			})()`, b.tokenName(), sign("carol", "4")), nil)
			second.WaitText("#user", "logged in as carol")
			if sent := authenticated(); len(sent) != 2 {
				t.Errorf("the second tab has sent %q, want one message for carol", sent[1:])
			}
		})
	}
}

// The token of one tab ends while another tab has a newer one of the same user. Our
// client leaves the newer one alone, and the first tab takes it over. The stock
// client removes it, as PORTING says, and logs the other tab out.
func TestOldTokenEndsInOneTab(t *testing.T) {
	example := startExample(t)
	engine, err := auth.NewJWT(auth.Options{Key: key})
	if err != nil {
		t.Fatal(err)
	}
	sign := func(life time.Duration) string {
		t.Helper()
		token, err := engine.Sign(t.Context(), map[string]any{"username": "alice"}, auth.ExpiresIn(life))
		if err != nil {
			t.Fatal(err)
		}
		return token.Signed()
	}
	for name, scripts := range clients(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // most of it is waiting
			b := &browser{browsertest.Start(t), t, site(t, example, scripts)}
			first, second := b.open(), b.open()
			newer := sign(time.Hour)
			first.SetLocalStorage(b.tokenName(), sign(10*time.Second))
			b.reload(first)
			first.WaitText("#user", "logged in as alice")
			first.SetLocalStorage(b.tokenName(), newer)
			b.reload(second)
			second.WaitText("#user", "logged in as alice")
			first.Eval(`(() => {
				const show = document.querySelector('#user');
				window.shown = [show.textContent];
				new MutationObserver(() => window.shown.push(show.textContent)).observe(show, {childList: true});
			})()`, nil)
			if scripts != nil {
				second.WaitText("#user", "logged out")
				if token, ok := first.LocalStorage(b.tokenName()); ok {
					t.Errorf("the stock client has left %s", token)
				}
				return
			}
			first.Eval(`new Promise((done) => {
				const look = () => (window.shown.length >= 3 ? done() : setTimeout(look, 20));
				look();
			})`, nil)
			var shown []string
			first.Eval("window.shown", &shown)
			if want := []string{"logged in as alice", "logged out", "logged in as alice"}; !slices.Equal(shown, want) {
				t.Errorf("the first tab has shown %q, want %q", shown, want)
			}
			if token, _ := first.LocalStorage(b.tokenName()); token != newer {
				t.Errorf("stored is %s, want the newer token", token)
			}
			if state := second.Text("#user"); state != "logged in as alice" {
				t.Errorf("the second tab is %s", state)
			}
			b.reload(second)
			second.WaitText("#user", "logged in as alice")
		})
	}
}

// Without tabs.js: a tab finds out about the others when it connects the next
// time, and not before.
func TestTabsAlone(t *testing.T) {
	example := startExample(t)
	for name, scripts := range clients(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // most of it is waiting
			alone := map[string]http.HandlerFunc{"/tabs.js": func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "text/javascript")
				w.Write([]byte("export function followTabs() { addEventListener('storage', () => { window.told = true; }); }"))
			}}
			for path, script := range scripts {
				alone[path] = script
			}
			b := &browser{browsertest.Start(t), t, site(t, example, alone)}
			first, second := b.open(), b.open()

			b.login(first, "alice")
			b.waitTold(second)
			if state := second.Text("#user"); state != "logged out" {
				t.Errorf("the other tab is %s", state)
			}
			b.reload(second)
			second.WaitText("#user", "logged in as alice")

			first.Click("#logout")
			first.WaitText("#user", "logged out")
			b.waitTold(second)
			if state := second.Text("#user"); state != "logged in as alice" {
				t.Errorf("the other tab is %s", state)
			}
			b.reload(second)
			second.WaitText("#user", "logged out")
		})
	}
}

// waitTold waits until a tab has been told of a change of the storage.
func (b *browser) waitTold(tab *browsertest.Tab) {
	b.t.Helper()
	tab.Eval(`new Promise((done) => {
		const look = () => (window.told ? done() : setTimeout(look, 20));
		look();
	})`, nil)
}
