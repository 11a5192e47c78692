package rules_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/rules"
	"github.com/socketcluster-go/socketcluster/wire"
)

var members = map[string]any{"channels": []string{"staff", "kitchen"}}

func chatRules() *rules.Set {
	return rules.MustNew([]rules.Rule{
		{Channel: "chat", Subscribe: rules.Anyone, Publish: rules.Authenticated},
		{In: "channels"},
	}...)
}

func TestMiddleware(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.UseInbound(chatRules().Middleware(w.log))
		guest, member := w.connect(nil), w.connect(members)
		for _, c := range []struct{ name, got, want string }{
			{"guest chat", guest.subscribe("chat"), ""},
			{"guest staff", guest.subscribe("staff"), "SubscribeError: You are not authorized to subscribe to the staff channel"},
			{"guest publish", guest.publish("chat"), "PublishError: You are not authorized to publish to the chat channel"},
			{"member staff", member.subscribe("staff"), ""},
			{"member publish", member.publish("staff"), ""},
			{"member chat", member.publish("chat"), ""},
			{"member other", member.publish("other"), "PublishError: You are not authorized to publish to the other channel"},
			{"other actions", member.call("#unsubscribe", "staff"), ""},
		} {
			if c.got != c.want {
				t.Errorf("%s\ngot  %s\nwant %s", c.name, c.got, c.want)
			}
		}
	})
}

func TestMaySee(t *testing.T) {
	inBubble(t, func(w *world) {
		set := rules.MustNew(rules.Rule{Channel: "room/*", Presence: rules.Authenticated}, rules.Rule{Channel: "presence/*", Subscribe: rules.Anyone})
		w.srv.UseInbound(set.Middleware(w.log))
		guest := w.connect(nil)
		if err := set.MaySee(t.Context(), w.socket(), "room/1"); err == nil || err.Error() != "PresenceError: You are not authorized to see who is on the room/1 channel" {
			t.Errorf("a guest may see who is there: %v", err)
		}
		if got, want := guest.subscribe("presence/room/1"), "SubscribeError: You are not authorized to subscribe to the presence/room/1 channel"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	})
	inBubble(t, func(w *world) {
		set := rules.MustNew(rules.Rule{Channel: "room/*", Presence: rules.Authenticated})
		w.srv.UseInbound(set.Middleware(w.log))
		member := w.connect(members)
		if err := set.MaySee(t.Context(), w.socket(), "room/1"); err != nil {
			t.Error(err)
		}
		if got := member.subscribe("presence/room/1"); got != "" {
			t.Error(got)
		}
	})
}

func TestDenialsAreLogged(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.UseInbound(chatRules().Middleware(w.log))
		p := w.connect(members)
		id := w.socket().ID()
		p.subscribe("staff")
		p.subscribe("other")
		p.publish("more")
		w.wantLog(
			`level=INFO msg="denied to subscribe" socket=`+id+` channel=other reason="rule 1 (* in channels): the claim channels does not list it" tokenExpired=false`,
			`level=INFO msg="denied to publish" socket=`+id+` channel=more reason="rule 1 (* in channels): the claim channels does not list it" tokenExpired=false`,
		)
		// However many denials a client provokes, only some come at level Info.
		for i := range 100 {
			p.publish(fmt.Sprint(i))
		}
		info := 0
		for _, line := range w.logged() {
			if strings.HasPrefix(line, "level=INFO") {
				info++
			}
		}
		if info != 18 { // 20 in this second, of which two have been used
			t.Errorf("%d of 100 denials at level Info", info)
		}
		time.Sleep(time.Second)
		p.publish("later")
		if lines := w.logged(); len(lines) != 1 || !strings.HasPrefix(lines[0], "level=INFO") {
			t.Errorf("a second later: %q", lines)
		}
	})
}

// A set that was not made causes a panic at once.
func TestMiddlewareOfNil(t *testing.T) {
	defer func() {
		if recover() != "rules: Middleware of a nil Set" {
			t.Error("a nil set makes middleware")
		}
	}()
	(*rules.Set)(nil).Middleware(nil)
}

// AUTH-43: who is denied something because the token has just expired is told
// so, and who needs no token is not bothered.
func TestExpiredToken(t *testing.T) {
	inBubble(t, func(w *world) {
		expired := &wire.Error{Name: wire.NameAuthTokenExpired}
		guard := chatRules().Middleware(w.log)
		p := w.connect(nil)
		socket := w.socket()
		if err := guard(t.Context(), &socketcluster.Subscribe{Socket: socket, Channel: "staff", AuthTokenExpired: expired}); err != error(expired) {
			t.Errorf("subscribe: %v", err)
		}
		if err := guard(t.Context(), &socketcluster.PublishIn{Socket: socket, Channel: "chat", AuthTokenExpired: expired}); err != error(expired) {
			t.Errorf("publish: %v", err)
		}
		if err := guard(t.Context(), &socketcluster.Subscribe{Socket: socket, Channel: "chat", AuthTokenExpired: expired}); err != nil {
			t.Errorf("subscribe to what is for all: %v", err)
		}
		for _, line := range w.logged() {
			if !strings.HasSuffix(line, "tokenExpired=true") {
				t.Error(line)
			}
		}
		p.Close()
	})
}

func TestSubscriptionsEndWithTheRightToThem(t *testing.T) {
	const kickedOut = "staff: You are not authorized to subscribe to the staff channel"
	for name, lose := range map[string]func(w *world, p *peer){
		"logout":        func(w *world, p *peer) { w.socket().Deauthenticate(t.Context()) },
		"expiry":        func(w *world, p *peer) { time.Sleep(10 * time.Second) },
		"another token": func(w *world, p *peer) { p.call("#authenticate", w.sign(map[string]any{"channels": []string{"x"}})) },
		"set token":     func(w *world, p *peer) { w.socket().SetAuthToken(t.Context(), map[string]any{"channels": []string{}}) },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(w *world) {
				w.srv.UseInbound(chatRules().Middleware(w.log))
				var why string
				socketcluster.On(w.srv, func(e socketcluster.WarningEvent) { why = e.Err.Error() })
				p := w.connect(members, auth.ExpiresIn(5*time.Second))
				for _, c := range []string{"chat", "staff"} {
					if err := p.subscribe(c); err != "" {
						t.Fatal(err)
					}
				}
				lose(w, p)
				if got := p.kickedOut(); got != kickedOut {
					t.Errorf("got  %s\nwant %s", got, kickedOut)
				}
				if s := w.socket(); s.IsSubscribed("staff") || !s.IsSubscribed("chat") {
					t.Error("not out of staff, or out of chat")
				}
				// The reason is for the server, which logs it.
				if lines := w.logged(); len(lines) > 0 {
					t.Errorf("logged %q", lines)
				}
				if !strings.HasPrefix(why, "SubscribeError: You are not authorized to subscribe to the staff channel: rule ") {
					t.Errorf("the server gets %q", why)
				}
			})
		})
	}
}

// A right can be lost between the middleware and the subscription.
func TestRightLostWhileSubscribing(t *testing.T) {
	inBubble(t, func(w *world) {
		w.srv.UseInbound(chatRules().Middleware(w.log))
		socketcluster.Use(w.srv, func(_ context.Context, a *socketcluster.Subscribe) error {
			a.Socket.DeauthenticateSelf()
			return nil
		})
		p := w.connect(members)
		if got := p.subscribe("staff"); !strings.Contains(got, "You are not authorized to subscribe to the staff channel") {
			t.Errorf("got %q", got)
		}
		if w.socket().IsSubscribed("staff") {
			t.Error("still subscribed")
		}
	})
}
