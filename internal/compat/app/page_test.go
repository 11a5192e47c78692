// Package app_test opens the page of the complete example in Chromium.
package app_test

import (
	"net"
	"path/filepath"
	"strings"
	"testing"

	"github.com/socketcluster-go/socketcluster/internal/compat/browsertest"
	"github.com/socketcluster-go/socketcluster/internal/compat/proc"
)

// start runs the example with alice, who may enter room/staff, and returns the
// address of its page and a function that starts it anew.
func start(t *testing.T) (site string, restart func()) {
	t.Helper()
	binary := proc.GoBuild(t, "../../examples/app")
	database := filepath.Join(t.TempDir(), "app.db")
	add := proc.Binary(binary)
	add.Args = append(add.Args, "adduser", "-db", database, "alice", "staff")
	add.Stdin = strings.NewReader("secret\n")
	if out, err := add.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	serve := func(addr string) *proc.Process {
		cmd := proc.Binary(binary, "AUTH_KEY=a key of these tests, 32 bytes or more")
		cmd.Args = append(cmd.Args, "serve", "-db", database, "-addr", addr)
		return proc.Start(t, cmd)
	}
	p := serve("127.0.0.1:0")
	_, port, err := net.SplitHostPort(p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	return "http://localhost:" + port, func() {
		t.Helper()
		if err := p.Stop(); err != nil {
			t.Fatal(err)
		}
		p = serve(p.Addr())
	}
}

func logIn(tab *browsertest.Tab, password string) {
	tab.SetValue("[name=username]", "alice")
	tab.SetValue("[name=password]", password)
	tab.Click("#login button")
}

func write(tab *browsertest.Tab, text string) {
	tab.SetValue("[name=text]", text)
	tab.Click("#send button")
}

// enter chooses a room as a user does.
func enter(tab *browsertest.Tab, room string) {
	tab.Eval(`(() => {
		const room = document.getElementById('room');
		room.value = '`+room+`';
		room.dispatchEvent(new Event('change'));
	})()`, nil)
}

func TestPage(t *testing.T) {
	site, restart := start(t)
	b := browsertest.Start(t)
	guest, alice := b.NewTab(t), b.NewTab(t)
	for _, tab := range []*browsertest.Tab{guest, alice} {
		tab.Navigate(site)
		tab.WaitText("#connection", "open")
		tab.WaitText("#user", "You are not logged in.")
	}
	logIn(alice, "wrong")
	alice.WaitText("#error", "Invalid user credentials")
	logIn(alice, "secret")
	alice.WaitText("#user", "You are alice.")
	if text := alice.Text("#error"); text != "" {
		t.Errorf("after the login: %s", text)
	}
	write(alice, "hello, all")
	for _, tab := range []*browsertest.Tab{guest, alice} {
		tab.WaitText("#messages", "alice: hello, all")
	}

	// The other tab of the browser takes the login when it is opened, and the
	// room is that of the staff alone.
	guest.Navigate(site)
	guest.WaitText("#user", "You are alice.")
	for _, tab := range []*browsertest.Tab{guest, alice} {
		enter(tab, "room/staff")
	}
	restart()
	// Again and again, as the other tab may take longer to come back.
	alice.Eval(`setInterval(() => {
		const form = document.getElementById('send');
		form.text.value = 'hello, staff';
		form.requestSubmit();
	}, 300)`, nil)
	guest.WaitText("#messages", "alice: hello, staff")

	alice.Click("#logout-everywhere")
	for _, tab := range []*browsertest.Tab{guest, alice} {
		tab.WaitText("#user", "You are not logged in.")
	}
	var rooms string
	alice.Eval(`[...document.getElementById('room').options].map(option => option.value).join()`, &rooms)
	if rooms != "lobby" {
		t.Errorf("the rooms after the logout are %s", rooms)
	}
	for _, tab := range []*browsertest.Tab{guest, alice} {
		for _, text := range tab.Errors() {
			// While the server was away.
			if !strings.Contains(text, "WebSocket connection to") && !strings.Contains(text, "ERR_CONNECTION_REFUSED") {
				t.Errorf("the page logs %s", text)
			}
		}
	}
}
