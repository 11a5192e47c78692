package demo_test

import (
	"testing"

	"github.com/socketcluster-go/socketcluster/internal/compat/browsertest"
)

// While the server is away, the page says so and when the next try is. What
// was written meanwhile stays, can be sent again, and leaves no error behind.
func TestServerIsAway(t *testing.T) {
	withClients(t, nil, func(t *testing.T, d *demo, b *browsertest.Browser) {
		tab := open(t, d, b)
		d.login(tab, "#login-ws", "alice")
		waitFor(tab, `document.getElementById('away').hidden`)

		d.stop()
		tab.WaitText("#away:not([hidden])", "The server is away.")
		tab.WaitText("#away-next", "Next try in ")
		send(tab, "chat", "written in the meantime")
		const unsent = "#chat-unsent li"
		tab.WaitText(unsent, "written in the meantime")
		tab.WaitText(unsent, "Not sent.")
		if value := eval[string](tab, `document.getElementById('chat-input').value`); value != "" {
			t.Errorf("the field still has %q", value)
		}

		d.restart()
		tab.WaitText("#connection", "open")
		waitFor(tab, `document.getElementById('away').hidden`)
		tab.WaitText("#status", "logged in as alice")
		tab.WaitText(unsent, "Not sent.")
		if errs := eval[string](tab, `[...document.querySelectorAll('.alert')].map((alert) => alert.textContent).join('')`); errs != "" {
			t.Errorf("after the reconnect there is still the error %q", errs)
		}
		clickButton(tab, unsent, "Send again")
		tab.WaitText("#chat-log", "written in the meantime")
		waitFor(tab, `document.querySelector('#chat-unsent li') === null`)
		if focus := focused(tab); focus != "chat-input" {
			t.Errorf("the focus is on %q", focus)
		}
	})
}

// A login that meets a server that is away has no error left either.
func TestLoginWhileServerIsAway(t *testing.T) {
	withClients(t, nil, func(t *testing.T, d *demo, b *browsertest.Browser) {
		for _, button := range []string{"#login-ws", "#login-http"} {
			tab := open(t, d, b)
			tab.SetValue("#username", "alice")
			tab.SetValue("#password", "secret")
			d.stop()
			tab.WaitText("#away:not([hidden])", "The server is away.")
			tab.Click(button)
			tab.WaitText("#auth-error:not([hidden])", "There is no connection to the server.")
			d.restart()
			tab.WaitText("#connection", "open")
			waitFor(tab, `document.getElementById('auth-error').hidden`)
			tab.Close()
		}
	})
}

// One author's unsent message is not there for the next user to send.
func TestUnsentMessagesAreTheirAuthors(t *testing.T) {
	withClients(t, nil, func(t *testing.T, d *demo, b *browsertest.Browser) {
		tab := open(t, d, b)
		d.login(tab, "#login-ws", "alice")
		d.stop()
		tab.WaitText("#away:not([hidden])", "The server is away.")
		send(tab, "chat", "by alice")
		tab.WaitText("#chat-unsent li", "Not sent.")
		d.restart()
		tab.WaitText("#connection", "open")
		tab.Click("#logout")
		d.login(tab, "#login-ws", "bob")
		if text := tab.Text("#chat-unsent"); text != "" {
			t.Errorf("the next user finds %q", text)
		}
	})
}

// A message that the server is slow to confirm is shown as on its way, and as
// not confirmed when the client gives up: it may have arrived, as here.
func TestSlowServer(t *testing.T) {
	t.Parallel()
	d, b := start(t), browsertest.Start(t)
	tab := open(t, d, b)
	d.login(tab, "#login-ws", "alice")
	tab.WaitText("#chat-state", "subscribed")
	d.pause()
	send(tab, "chat", "is it slow?")
	const unsent = "#chat-unsent li"
	tab.WaitText(unsent, "Sending…")
	tab.WaitText(unsent, "Not confirmed by the server.")
	d.resume()
	tab.WaitText("#chat-log", "is it slow?")
	clickButton(tab, unsent, "Discard")
	waitFor(tab, `document.querySelector('#chat-unsent li') === null`)
	if focus := focused(tab); focus != "chat-input" {
		t.Errorf("the focus is on %q", focus)
	}
}
