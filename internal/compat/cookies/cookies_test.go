// Package cookies_test drives the example cookies in Chromium: a login that no
// script can read, and that no other origin can use.
package cookies_test

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/socketcluster-go/socketcluster/internal/compat/browsertest"
	"github.com/socketcluster-go/socketcluster/internal/compat/proc"
)

// start runs the example, and answers its port.
func start(t *testing.T, flags ...string) (port string) {
	t.Helper()
	cmd := proc.Binary(proc.GoBuild(t, "../../examples/cookies"), "AUTH_KEY=a key of these tests, 32 bytes or more", "PASSWORD=secret")
	cmd.Args = append(append(cmd.Args, "-addr", "127.0.0.1:0"), flags...)
	_, port, err := net.SplitHostPort(proc.Start(t, cmd).Addr())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// A page that refreshes its cookie keeps the login of its socket beyond the end of
// the first cookie: without a reconnect, and without a gap.
func TestRefresh(t *testing.T) {
	t.Parallel()
	site := "http://localhost:" + start(t, "-token-life", "3s")
	tab := loggedIn(t, browsertest.Start(t), site)
	tab.Eval(`(async () => {
		const {create} = await import('./client.js');
		const socket = create();
		await socket.listener('connect').once();
		window.seen = {lost: 0, id: socket.id, socket};
		for (const event of ['deauthenticate', 'disconnect']) {
			(async () => { for await (const _ of socket.listener(event)) window.seen.lost++; })();
		}
	})()`, nil)
	var after struct {
		Lost     int
		Same     bool
		Username string
	}
	tab.Eval(`(async () => {
		await new Promise(resolve => setTimeout(resolve, 7000));
		const {lost, id, socket} = window.seen;
		return {Lost: lost, Same: id === socket.id, Username: await socket.invoke('whoami')};
	})()`, &after)
	if after.Lost != 0 || !after.Same || after.Username != "alice" {
		t.Errorf("after two lives of a cookie: %+v", after)
	}
}

// loggedIn opens the page and logs alice in.
func loggedIn(t *testing.T, b *browsertest.Browser, site string) *browsertest.Tab {
	t.Helper()
	tab := b.NewTab(t)
	tab.Navigate(site)
	tab.WaitText("#status", "logged out")
	tab.WaitText("#me", "Unauthorized")
	tab.SetValue("[name=username]", "alice")
	tab.SetValue("[name=password]", "secret")
	tab.Click("#login")
	tab.WaitText("#status", "logged in as alice")
	tab.WaitText("#me", "you are alice")
	return tab
}

func TestCookieLogin(t *testing.T) {
	t.Parallel()
	site := "http://localhost:" + start(t)
	b := browsertest.Start(t)
	wrong := b.NewTab(t)
	wrong.Navigate(site)
	wrong.SetValue("[name=username]", "alice")
	wrong.SetValue("[name=password]", "wrong")
	wrong.Click("#login")
	wrong.WaitText("#error", "Invalid user credentials")
	wrong.WaitText("#status", "logged out")
	wrong.Close()

	tab := loggedIn(t, b, site)
	var seen struct {
		Cookie          string
		Stored, Session int
	}
	tab.Eval(`({Cookie: document.cookie, Stored: localStorage.length, Session: sessionStorage.length})`, &seen)
	if seen.Cookie != "" || seen.Stored != 0 || seen.Session != 0 {
		t.Errorf("a script sees %+v", seen)
	}

	// Another tab is logged in from the start, and loses its login with this one.
	other := b.NewTab(t)
	other.Navigate(site)
	other.WaitText("#status", "logged in as alice")
	tab.Click("#logout")
	tab.WaitText("#status", "logged out")
	other.WaitText("#status", "logged out")
	other.WaitText("#me", "Unauthorized")
	other.Navigate(site)
	other.WaitText("#status", "logged out")

	// The next login is a new one.
	tab.Close()
	loggedIn(t, b, site)
	other.Navigate(site)
	other.WaitText("#status", "logged in as alice")
}

// Cookies do not distinguish ports, and to browsers all ports of localhost are
// one site: they do send the cookie along when a page of another port asks. The
// origin decides.
func TestPagesOfOtherOrigins(t *testing.T) {
	t.Parallel()
	port := start(t)
	site := "http://localhost:" + port
	stranger := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprint(w, `<!doctype html><link rel="icon" href="data:,"><title>A stranger</title>`)
	}))
	t.Cleanup(stranger.Close)
	_, strangePort, err := net.SplitHostPort(stranger.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	b := browsertest.Start(t)
	own := loggedIn(t, b, site)

	const open = `new Promise((resolve) => {
		const socket = new WebSocket('ws://localhost:%s/socketcluster/');
		socket.onopen = () => resolve('open');
		socket.onerror = () => resolve('refused');
	})`
	var outcome string
	own.Eval(fmt.Sprintf(open, port), &outcome)
	if outcome != "open" {
		t.Fatalf("the own page: %s", outcome)
	}

	t.Run("another port of localhost", func(t *testing.T) {
		tab := b.NewTab(t)
		tab.Navigate("http://localhost:" + strangePort)
		tab.Eval(fmt.Sprintf(open, port), &outcome)
		if outcome != "refused" {
			t.Errorf("the socket is %s", outcome)
		}
		refused := func(s string) bool { return strings.Contains(s, "403") }
		if got := tab.WaitErrors(1); !slices.ContainsFunc(got, refused) {
			t.Errorf("no 403 in %q", got)
		}
		// A form of a stranger's page ends no login either.
		tab.Eval(fmt.Sprintf(`fetch('http://localhost:%s/logout', {method: 'POST', mode: 'no-cors', credentials: 'include'})`, port), nil)
	})
	t.Run("another host", func(t *testing.T) {
		// From there the browser does not send the cookie: the socket is open,
		// and nobody's.
		tab := b.NewTab(t)
		tab.Navigate("http://127.0.0.1:" + strangePort)
		tab.Eval(fmt.Sprintf(`new Promise((resolve) => {
			const socket = new WebSocket('ws://localhost:%s/socketcluster/');
			socket.onopen = () => socket.send('{"event":"#handshake","data":{"authToken":null},"cid":1}');
			socket.onmessage = (e) => resolve(String(JSON.parse(e.data).data.isAuthenticated));
			socket.onerror = () => resolve('refused');
		})`, port), &outcome)
		if outcome != "false" {
			t.Errorf("authenticated: %s", outcome)
		}
	})
	own.Navigate(site)
	own.WaitText("#status", "logged in as alice")
	own.WaitText("#me", "you are alice")
}
