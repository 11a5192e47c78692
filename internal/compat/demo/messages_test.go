package demo_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/socketcluster-go/socketcluster/internal/compat/browsertest"
)

// choice is what the private select offers.
const choice = `[...document.getElementById('private-channel').options].map((option) => option.value)`

// Each user is offered those channels that are open to that user, and the
// other users. A message to one of them is read there and nowhere else.
func TestDirectMessages(t *testing.T) {
	withClients(t, nil, func(t *testing.T, d *demo, b *browsertest.Browser) {
		alice, bob, guest := open(t, d, b), open(t, d, b), open(t, d, b)
		d.login(alice, "#login-ws", "alice")
		d.login(bob, "#login-ws", "bob")
		for _, channel := range []string{"room/staff", "user/alice"} {
			alice.WaitText(`[data-channel="`+channel+`"]`, "subscribed")
		}
		bob.WaitText(`[data-channel="room/staff"]`, "no access")
		bob.WaitText(`[data-channel="user/bob"]`, "subscribed")
		if diff := cmp.Diff([]string{"user/bob", "room/staff", "user/alice"}, eval[[]string](alice, choice)); diff != "" {
			t.Errorf("alice is offered: %s", diff)
		}
		if diff := cmp.Diff([]string{"user/alice", "user/bob"}, eval[[]string](bob, choice)); diff != "" {
			t.Errorf("bob is offered: %s", diff)
		}
		if diff := cmp.Diff([]string{}, eval[[]string](guest, choice)); diff != "" {
			t.Errorf("a guest is offered: %s", diff)
		}

		bob.SetValue("#private-channel", "user/alice")
		send(bob, "private", "for alice alone")
		alice.WaitText("#private-log", "for alice alone")
		alice.WaitText("#private-log", "bob · to you")
		bob.WaitText("#private-log .mine", "for alice alone")
		bob.WaitText("#private-log .mine", "bob · to alice")
		send(bob, "chat", "for everybody")
		guest.WaitText("#chat-log", "for everybody")
		if text := guest.Text("#private-log"); text != "" {
			t.Errorf("a guest has read %q", text)
		}
	})
}

// With rules of the operator's own, the page offers no direct messages: it
// cannot know whether they are allowed.
func TestDirectMessagesNeedTheDemoRules(t *testing.T) {
	rules := writeFile(t, "rules.json", `[{"channel":"chat","subscribe":"anyone","publish":"authenticated"},{"channel":"user/{username}"}]`)
	d, b := start(t, "--rules", rules), browsertest.Start(t)
	tab := open(t, d, b)
	d.login(tab, "#login-ws", "alice")
	tab.WaitText(`[data-channel="user/alice"]`, "subscribed")
	if diff := cmp.Diff([]string{"user/alice"}, eval[[]string](tab, choice)); diff != "" {
		t.Error(diff)
	}
}

// Text that is too long is neither cut nor sent. The limit counts characters,
// as the server does.
func TestTextThatIsTooLong(t *testing.T) {
	withClients(t, nil, func(t *testing.T, d *demo, b *browsertest.Browser) {
		tab := open(t, d, b)
		d.login(tab, "#login-ws", "alice")
		tab.WaitText("#chat-state", "subscribed")
		long := strings.Repeat("🙂", 511)
		paste(tab, "chat-input", long)
		tab.WaitText("#chat-length", "511 of 500 characters")
		tab.Click("#chat-send")
		if value := eval[string](tab, `document.getElementById('chat-input').value`); value != long {
			t.Errorf("the field has %d bytes, want %d", len(value), len(long))
		}
		tab.SetValue("#chat-input", strings.Repeat("🙂", 500))
		waitFor(tab, `document.getElementById('chat-length').textContent === ''`)
		tab.Click("#chat-send")
		tab.WaitText("#chat-log", strings.Repeat("🙂", 500))
		if n := eval[int](tab, `document.querySelectorAll('#chat-log article').length`); n != 1 {
			t.Errorf("%d messages were sent", n)
		}
		// A password is not cut either.
		tab.Click("#logout")
		tab.WaitText("#status", "logged out")
		paste(tab, "password", strings.Repeat("x", 1000))
		if n := eval[int](tab, `document.getElementById('password').value.length`); n != 1000 {
			t.Errorf("the password has %d characters", n)
		}
	})
}
