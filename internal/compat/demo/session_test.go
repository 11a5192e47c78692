package demo_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"testing"

	"github.com/socketcluster-go/socketcluster/internal/compat/browsertest"
)

// A logout is for all tabs of the user, and for no other user's.
func TestLogoutIsForAllTabs(t *testing.T) {
	withClients(t, nil, func(t *testing.T, d *demo, b *browsertest.Browser) {
		other := open(t, d, b)
		first := open(t, d, b)
		d.login(first, "#login-ws", "alice")
		second := open(t, d, b)
		second.WaitText("#status", "logged in as alice")
		d.login(other, "#login-ws", "bob")

		first.Click("#logout")
		first.WaitText("#status", "logged out")
		second.WaitText("#status", "logged out")
		second.WaitText("#status-note", "You have logged out in another tab.")
		// The server knows it, too.
		second.WaitText("#event-log", "deauthenticate")
		if alert := second.Text("#auth-error"); alert != "" {
			t.Errorf("the second tab shows the error %q", alert)
		}
		if status := other.Text("#status"); status != "logged in as bob" {
			t.Errorf("the tab of bob is %s", status)
		}
	})
}

// A login that came too often is answered with the time to wait, over both
// ways.
func TestLoginLimitTellsTheWait(t *testing.T) {
	withClients(t, nil, func(t *testing.T, d *demo, b *browsertest.Browser) {
		body, err := json.Marshal(map[string]string{"username": "nobody", "password": "wrong"})
		if err != nil {
			t.Fatal(err)
		}
		for range 10 {
			resp, err := http.Post(d.url+"login", "application/json", bytes.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
		}
		tab := open(t, d, b)
		tab.SetValue("#username", "nobody")
		tab.SetValue("#password", "wrong")
		for _, button := range []string{"#login-ws", "#login-http"} {
			tab.Click(button)
			tab.WaitText("#auth-error", "Too many login attempts. Try again in ")
			first := tab.Text("#login-wait")
			waitFor(tab, `document.getElementById('login-wait').textContent !== `+quote(first))
		}
	})
}

// Whoever works with the keyboard goes on at a sensible place.
func TestFocusAfterLoginAndLogout(t *testing.T) {
	withClients(t, nil, func(t *testing.T, d *demo, b *browsertest.Browser) {
		tab := open(t, d, b)
		if focus := focused(tab); focus != "" {
			t.Errorf("at the start the focus is on %q", focus)
		}
		for _, button := range []string{"login-ws", "login-http"} {
			tab.Eval(`document.getElementById('`+button+`').focus()`, nil)
			d.login(tab, "#"+button, "alice")
			waitFor(tab, `document.activeElement.id === 'chat-input'`)
			tab.Eval(`document.getElementById('logout').focus()`, nil)
			tab.Click("#logout")
			waitFor(tab, `document.activeElement.id === 'username'`)
		}
		// Where the focus is of use, it stays.
		d.login(tab, "#login-ws", "alice")
		tab.Eval(`document.getElementById('events-clear').focus()`, nil)
		tab.Eval(`document.getElementById('logout').click()`, nil)
		tab.WaitText("#status", "logged out")
		if focus := focused(tab); focus != "events-clear" {
			t.Errorf("the logout has moved the focus to %q", focus)
		}
		// A failure lets one try another password.
		tab.SetValue("#username", "alice")
		tab.SetValue("#password", "wrong")
		tab.Click("#login-ws")
		waitFor(tab, `document.activeElement.id === 'password'`)
	})
}

// The two ways to log in explain themselves, also to a screen reader.
func TestLoginWaysAreExplained(t *testing.T) {
	t.Parallel()
	d, b := start(t), browsertest.Start(t)
	tab := open(t, d, b)
	for button, want := range map[string]string{"login-ws": "a call on the connection", "login-http": "a POST request"} {
		tab.WaitText("#"+eval[string](tab, `document.getElementById('`+button+`').getAttribute('aria-describedby')`), want)
	}
}
