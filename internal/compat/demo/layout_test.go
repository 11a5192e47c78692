package demo_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/socketcluster-go/socketcluster/internal/compat/browsertest"
)

// distance is how far a log is from its end, in pixels.
func distance(tab *browsertest.Tab, log string) int {
	return eval[int](tab, fmt.Sprintf(`(() => {
		const log = document.getElementById(%q);
		return Math.round(log.scrollHeight - log.scrollTop - log.clientHeight);
	})()`, log))
}

// A log stays at its end when something above or below makes it lower, goes on
// to follow, and leaves a reader who has scrolled up where that one is.
func TestLogsFollow(t *testing.T) {
	t.Parallel()
	d, b := start(t), browsertest.Start(t)
	for _, width := range []int{1280, 390} {
		tab := b.NewTab(t)
		tab.Resize(width, 844)
		tab.Navigate(d.url)
		tab.WaitText("#connection", "open")
		if !eval[bool](tab, `document.getElementById('login-form').hidden`) {
			d.login(tab, "#login-ws", "alice")
		}
		tab.WaitText("#chat-state", "subscribed")
		say := func(text string) {
			send(tab, "chat", text)
			tab.WaitText("#chat-log", text)
		}
		for i := range 15 {
			say(fmt.Sprint("message ", i))
		}
		waitFor(tab, atEnd("chat-log"))
		before := eval[int](tab, `document.getElementById('chat-log').clientHeight`)
		tab.Eval(`(() => {
			const alert = document.getElementById('chat-error');
			alert.textContent = 'An alert of several lines. '.repeat(20);
			alert.hidden = false;
			// That of the last message, which may come only now.
			document.getElementById('chat-log').dispatchEvent(new Event('scroll'));
		})()`, nil)
		if after := eval[int](tab, `document.getElementById('chat-log').clientHeight`); width == 1280 && after >= before-40 {
			t.Fatalf("the alert has not made the log lower: %d, %d before", after, before)
		}
		waitFor(tab, atEnd("chat-log"))
		say("after the alert")
		waitFor(tab, atEnd("chat-log"))
		tab.Eval(`document.getElementById('chat-error').hidden = true`, nil)
		waitFor(tab, atEnd("chat-log"))

		tab.Eval(`document.getElementById('chat-log').scrollTop = 10`, nil)
		tab.Eval(`new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)))`, nil)
		say("while somebody reads")
		if top := eval[int](tab, `document.getElementById('chat-log').scrollTop`); top != 10 {
			t.Errorf("at %d pixels a reader was moved to %d", width, top)
		}
		if distance(tab, "chat-log") < 40 {
			t.Error("the log has nothing to scroll")
		}
		tab.Close()
	}
}

func atEnd(log string) string {
	return fmt.Sprintf(`(() => {
		const log = document.getElementById(%q);
		return log.scrollHeight > log.clientHeight && log.scrollHeight - log.scrollTop - log.clientHeight < 2;
	})()`, log)
}

// On a phone, the token and the events are one touch away.
func TestPhoneReachesEverything(t *testing.T) {
	t.Parallel()
	d, b := start(t), browsertest.Start(t)
	tab := b.NewTab(t)
	tab.Resize(390, 844)
	tab.Navigate(d.url)
	tab.WaitText("#connection", "open")
	d.login(tab, "#login-ws", "alice")
	for _, part := range []string{"events", "token", "private", "account", "chat"} {
		tab.Click(`.jump a[href="#` + part + `"]`)
		// Not below the links, and the links are still there.
		waitFor(tab, fmt.Sprintf(`(() => {
			const [links, part] = [document.querySelector('.jump'), document.querySelector('#%s h2')].map((e) => e.getBoundingClientRect());
			return links.top >= 0 && links.bottom <= part.top && part.bottom < innerHeight;
		})()`, part))
	}
	tab.Resize(1280, 860)
	waitFor(tab, `getComputedStyle(document.querySelector('.jump')).display === 'none'`)
}

// A long name, of whatever characters, makes nothing wider than the page and
// leaves room for the rest.
func TestLongNames(t *testing.T) {
	t.Parallel()
	d, b := start(t), browsertest.Start(t)
	for _, name := range []string{strings.Repeat("W", 100), strings.Repeat("long name ", 30), "\u202e" + strings.Repeat("ع", 100)} {
		guest, tab := open(t, d, b), open(t, d, b)
		tab.SetLocalStorage(tokenName, sign(t, authKey, map[string]any{"username": name, "channels": []string{"user/" + name}, "exp": time.Now().Add(time.Hour).Unix()}))
		tab.Navigate(d.url)
		tab.WaitText("#status", "logged in as ")
		tab.WaitText(`[data-channel^="user/"]`, "subscribed")
		for _, tab := range []*browsertest.Tab{guest, tab} {
			tab.WaitText("#chat-state", "subscribed")
		}
		for _, form := range []string{"chat", "private"} {
			send(tab, form, "hello")
			tab.WaitText("#"+form+"-log", "hello")
		}
		guest.WaitText("#chat-log", "hello")
		for _, width := range []int{1280, 390} {
			guest.Resize(width, 860)
			tab.Resize(width, 860)
			for selector, most := range map[string]int{".account": 220, "#chat-log .meta": 24} {
				if height := eval[int](tab, `Math.round(document.querySelector(`+quote(selector)+`).getBoundingClientRect().height)`); height > most {
					t.Errorf("at %d pixels %s is %d pixels high", width, selector, height)
				}
			}
			for who, tab := range map[string]*browsertest.Tab{"the guest": guest, "the user": tab} {
				if wide := eval[int](tab, `document.documentElement.scrollWidth - document.documentElement.clientWidth`); wide > 0 {
					t.Errorf("at %d pixels the page of %s is %d pixels too wide", width, who, wide)
				}
				if inside := eval[bool](tab, `(() => {
					const log = document.getElementById('chat-log').getBoundingClientRect();
					const time = document.querySelector('#chat-log time').getBoundingClientRect();
					return time.width > 0 && time.left >= log.left && time.right <= log.right;
				})()`); !inside {
					t.Errorf("at %d pixels %s does not see when the message was sent", width, who)
				}
			}
		}
		tab.Eval(`localStorage.clear()`, nil)
		guest.Close()
		tab.Close()
	}
}
