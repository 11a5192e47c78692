// Package demo_test drives the demo's page in a real browser, with both
// browser clients.
package demo_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/socketcluster-go/socketcluster/internal/compat/browsertest"
	"github.com/socketcluster-go/socketcluster/internal/compat/npm"
)

// tokenName is where the page keeps the token: the name of the guide.
const tokenName = "socketcluster.authToken"

// clients are the browser clients that the page runs on.
var clients = []struct {
	name, kind string
	flags      func(t *testing.T) []string
}{
	{"our module", "browser module", func(*testing.T) []string { return nil }},
	{"stock socketcluster-client", "stock npm", func(t *testing.T) []string {
		return []string{"--client-js", filepath.Join(npm.Dir(t), "node_modules", "socketcluster-client", "socketcluster-client.min.js")}
	}},
}

// withClients runs a test on a demo and a browser for each client.
func withClients(t *testing.T, flags []string, test func(t *testing.T, d *demo, b *browsertest.Browser)) {
	for _, c := range clients {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel() // most of it is waiting
			d := start(t, append(c.flags(t), flags...)...)
			d.kind = c.kind
			test(t, d, browsertest.Start(t))
		})
	}
}

// open opens the page and waits for the connection of its client.
func open(t *testing.T, d *demo, b *browsertest.Browser) *browsertest.Tab {
	t.Helper()
	tab := b.NewTab(t)
	tab.Navigate(d.url)
	tab.WaitText("#connection", "open")
	if d.kind != "" {
		tab.WaitText("#client-kind", d.kind)
	}
	return tab
}

func (d *demo) login(tab *browsertest.Tab, button, user string) {
	d.t.Helper()
	tab.SetValue("#username", user)
	tab.SetValue("#password", d.users[user])
	tab.Click(button)
	tab.WaitText("#status", "logged in as "+user)
}

// Row 4 of the guide in a browser: login over the WebSocket, refused first
// with one text for a wrong user and a wrong password.
func TestLoginOverWebSocket(t *testing.T) { testLogin(t, "#login-ws") }

// Row 2 of the guide in a browser: a route signs, the page stores, and the
// client picks the token up with its next connection.
func TestLoginOverHTTP(t *testing.T) { testLogin(t, "#login-http") }

func testLogin(t *testing.T, button string) {
	withClients(t, nil, func(t *testing.T, d *demo, b *browsertest.Browser) {
		tab := open(t, d, b)
		tab.WaitText("#status", "logged out")
		for _, wrong := range [][2]string{{"alice", "wrong"}, {"nobody", "wrong"}} {
			tab.SetValue("#username", wrong[0])
			tab.SetValue("#password", wrong[1])
			tab.Click(button)
			tab.WaitText("#auth-error", "Invalid user credentials")
		}
		d.login(tab, button, "alice")
		tab.WaitText("#token-claims", "user/alice")
		token, ok := tab.LocalStorage(tokenName)
		if !ok || token == "" {
			t.Fatal("no token in localStorage")
		}

		// A tab opened later is logged in too, and so is a reloaded one.
		second := open(t, d, b)
		second.WaitText("#status", "logged in as alice")
		tab.Navigate(d.url)
		tab.WaitText("#status", "logged in as alice")

		// The chat, from one tab to the other.
		second.WaitText("#chat-state", "subscribed")
		tab.WaitText("#chat-state", "subscribed")
		tab.SetValue("#chat-input", "hello from the first tab")
		tab.Click("#chat-send")
		second.WaitText("#chat-log", "hello from the first tab")

		tab.Click("#logout")
		tab.WaitText("#status", "logged out")
		if token, ok := tab.LocalStorage(tokenName); ok {
			t.Errorf("logout left the token %q", token)
		}
		tab.Navigate(d.url)
		tab.WaitText("#connection", "open")
		tab.WaitText("#status", "logged out")
	})
}

// A claim decides who may use a private channel.
func TestPrivateChannels(t *testing.T) {
	withClients(t, nil, func(t *testing.T, d *demo, b *browsertest.Browser) {
		const staff = `[data-testid=channel-state][data-channel="room/staff"]`
		const refused, subscribed = staff + `[data-state=refused]`, staff + `[data-state=subscribed]`
		tab := open(t, d, b)
		d.login(tab, "#login-ws", "bob")
		tab.WaitText(refused, "no access")
		tab.Click("#logout")
		tab.WaitText("#status", "logged out")
		d.login(tab, "#login-ws", "alice")
		tab.WaitText(subscribed, "subscribed")
		tab.Click("#logout")
		tab.WaitText("#status", "logged out")
		tab.WaitText(staff, "after login")
	})
}

// Row 3 of the guide in a browser: an expired token shows as logged out, with
// the reason, and is gone from the storage; so is a forged one.
func TestBadStoredToken(t *testing.T) {
	withClients(t, nil, func(t *testing.T, d *demo, b *browsertest.Browser) {
		for _, bad := range []struct{ key, want string }{{authKey, "jwt expired"}, {authKey + "x", "invalid signature"}} {
			exp := time.Now().Add(time.Hour)
			if bad.key == authKey {
				exp = time.Now().Add(-time.Hour)
			}
			token := sign(t, bad.key, map[string]any{"username": "alice", "exp": exp.Unix()})
			tab := open(t, d, b)
			tab.SetLocalStorage(tokenName, token)
			tab.Navigate(d.url)
			tab.WaitText("#auth-error", bad.want)
			tab.WaitText("#status", "logged out")
			if _, ok := tab.LocalStorage(tokenName); ok {
				t.Errorf("%s: the token is still stored", bad.want)
			}
			tab.Close()
		}
	})
}

// Row 10 of the guide in a browser: a token dies at its exp while nothing is
// being sent.
func TestTokenExpiresWhileOpen(t *testing.T) {
	withClients(t, []string{"--token-expiry", "3s", "--token-renewal", "0"}, func(t *testing.T, d *demo, b *browsertest.Browser) {
		tab := open(t, d, b)
		d.login(tab, "#login-ws", "alice")
		tab.WaitText("#status", "logged out")
		tab.WaitText("#event-log", "removeAuthToken")
		if _, ok := tab.LocalStorage(tokenName); ok {
			t.Error("the token is still stored")
		}
	})
}

// Row 7 of the guide in a browser: the token is renewed while the page is
// open, and the new one is what the page stores.
func TestTokenIsRenewed(t *testing.T) {
	withClients(t, []string{"--token-renewal", "1s"}, func(t *testing.T, d *demo, b *browsertest.Browser) {
		tab := open(t, d, b)
		d.login(tab, "#login-http", "alice")
		first, _ := tab.LocalStorage(tokenName)
		tab.WaitText(`#token-renewed:not([data-count="0"])`, "renewed")
		if renewed, _ := tab.LocalStorage(tokenName); renewed == "" || renewed == first {
			t.Error("the stored token is still the first one")
		}
	})
}

// The picture of the README, on a desktop, and the same page on a phone's
// width, which must not scroll sideways. With DEMO_SCREENSHOTS the pictures
// are kept in that folder.
func TestScreenshots(t *testing.T) {
	t.Parallel()
	dir := os.Getenv("DEMO_SCREENSHOTS")
	if dir == "" {
		dir = t.TempDir()
	}
	d := start(t)
	for _, size := range []struct {
		file          string
		width, height int
	}{{"demo.png", 1280, 860}, {"demo-phone.png", 390, 844}} {
		b := browsertest.Start(t)
		tab := b.NewTab(t)
		tab.Resize(size.width, size.height)
		tab.Navigate(d.url)
		tab.WaitText("#connection", "open")
		d.login(tab, "#login-ws", "alice")
		tab.WaitText("#chat-state", "subscribed")
		other := browsertest.Start(t).NewTab(t) // of a browser of its own, as it has another login
		other.Navigate(d.url)
		other.WaitText("#connection", "open")
		d.login(other, "#login-ws", "bob")
		other.WaitText("#chat-state", "subscribed")
		tab.WaitText(`[data-channel="user/alice"]`, "subscribed")
		for _, line := range []struct {
			from       *browsertest.Tab
			form, text string
		}{
			{tab, "chat", "Hello! Is anybody here?"},
			{other, "chat", "Yes, hello!"},
			{tab, "chat", "This page is one ES module and a Go server."},
			{other, "private", "Only you can read this."},
		} {
			send(line.from, line.form, line.text)
			for _, reader := range []*browsertest.Tab{tab, other} {
				reader.WaitText("#"+line.form+"-log", line.text)
			}
		}
		tab.Screenshot(filepath.Join(dir, size.file))
		var overflow int
		tab.Eval(`document.documentElement.scrollWidth - document.documentElement.clientWidth`, &overflow)
		if overflow > 0 {
			t.Errorf("at %d pixels the page is %d pixels too wide", size.width, overflow)
		}
		if errs := tab.Errors(); len(errs) > 0 {
			t.Error(fmt.Errorf("the page reported %q", errs))
		}
	}
}
