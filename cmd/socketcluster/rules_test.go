package main

import (
	"context"
	"encoding/json"
	"io"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/wire"
)

// rights lists who may do what: g is a guest, a is alice, b is bob.
var rights = []struct{ channel, read, write string }{
	{"chat", "gab", "ab"},
	{"user/alice", "a", "ab"},
	{"user/bob", "b", "ab"},
	{"room/staff", "a", "a"},
	{"room/other", "", ""},
	{"user/", "", ""},
	{"user/Alice", "", "ab"},
	{"user/alice/inbox", "", ""},
	{"chat2", "", ""},
	{"Chat", "", ""},
	{"news", "", ""},
	{"*", "", ""},
}

func TestChannelRights(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *world) {
		for who, p := range map[string]*peer{"g": w.connect(""), "a": w.login("alice"), "b": w.login("bob")} {
			for _, r := range rights {
				read, write := p.subscribe(r.channel), p.publish(r.channel, map[string]string{"text": "hello"})
				if strings.Contains(r.read, who) != (read == nil) {
					t.Errorf("%s subscribes to %s: %+v", who, r.channel, read)
				}
				if strings.Contains(r.write, who) != (write == nil) {
					t.Errorf("%s publishes on %s: %+v", who, r.channel, write)
				}
				if read != nil && read.Name != "SubscribeError" || write != nil && write.Name != "PublishError" {
					t.Errorf("%s on %s: the errors are %+v and %+v", who, r.channel, read, write)
				}
			}
		}
	})
}

// Whatever a client says, the message is from the user of its token.
func TestMessagesAreFromTheirPublisher(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *world) {
		guest, alice := w.connect(""), w.login("alice")
		if err := guest.subscribe("chat"); err != nil {
			t.Fatalf("subscribe: %+v", err)
		}
		data := map[string]any{"from": "bob", "text": "  hello <b>you</b> ", "at": "yesterday", "more": true}
		if err := alice.publish("chat", data); err != nil {
			t.Fatalf("publish: %+v", err)
		}
		type publication struct {
			Channel string
			Data    message
		}
		var got publication
		decoder := json.NewDecoder(strings.NewReader(string(guest.event("#publish").Data)))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&got); err != nil {
			t.Fatal(err)
		}
		want := publication{"chat", message{From: "alice", Text: "hello <b>you</b>", At: time.Now().UnixMilli()}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
}

func TestBadMessages(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *world) {
		p := w.login("alice")
		if err := p.subscribe("chat"); err != nil {
			t.Fatalf("subscribe: %+v", err)
		}
		p.event("#setAuthToken")
		for _, data := range []any{
			nil, "hello", 1, []string{"text"}, map[string]any{}, map[string]any{"text": 1}, map[string]any{"text": " \n"},
			map[string]any{"text": strings.Repeat("ä", maxText+1)},
		} {
			if err := p.publish("chat", data); err == nil || err.Name != "PublishError" {
				t.Errorf("publish %v: %+v", data, err)
			}
		}
		if got := p.received(); got != nil {
			t.Errorf("bad messages were followed by %v", got)
		}
		if err := p.publish("chat", map[string]any{"text": strings.Repeat("ä", maxText)}); err != nil {
			t.Errorf("the longest message: %+v", err)
		}
	})
}

// Private messages stop with the right to them, also for a client that does
// nothing about it.
func TestSubscriptionsEndWithTheLogin(t *testing.T) {
	const private = "user/alice"
	kicked := func(t *testing.T, p *peer) {
		t.Helper()
		var data struct{ Channel, Message string }
		if err := json.Unmarshal(p.event("#kickOut").Data, &data); err != nil {
			t.Fatal(err)
		}
		if data.Channel != private || data.Message == "" {
			t.Errorf("kicked out of %+v", data)
		}
	}
	for name, end := range map[string]func(w *world, p *peer){
		"logout":                func(_ *world, p *peer) { p.call("logout", nil) },
		"logout by the client":  func(_ *world, p *peer) { p.Transmit("#removeAuthToken", nil) },
		"login of another user": func(w *world, p *peer) { p.call("login", w.account("bob")) },
		"a token with less": func(w *world, p *peer) {
			token, err := w.demo.sockets.Auth().Sign(w.t.Context(), claims{Username: "alice", Channels: []string{"chat"}})
			if err != nil {
				w.t.Fatal(err)
			}
			p.call("#authenticate", token.Signed())
		},
		"expiry": func(*world, *peer) {}, // AUTH-44
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, []string{"--token-expiry=10m", "--token-renewal=0"}, func(t *testing.T, w *world) {
				p, other := w.login("alice"), w.login("alice")
				for _, channel := range []string{"chat", private} {
					if err := p.subscribe(channel); err != nil {
						t.Fatalf("subscribe to %s: %+v", channel, err)
					}
				}
				end(w, p)
				kicked(t, p)
				p.received()
				if name == "expiry" {
					other = w.login("alice")
				}
				if err := other.publish(private, map[string]string{"text": "secret"}); err != nil {
					t.Fatalf("publish: %+v", err)
				}
				if err := other.publish("chat", map[string]string{"text": "hello"}); err != nil {
					t.Fatalf("publish: %+v", err)
				}
				// Of the two, the public one has come.
				if diff := cmp.Diff([]string{"#publish"}, p.received()); diff != "" {
					t.Error(diff)
				}
			})
		})
	}
}

// A right that is lost after it was checked, and before the subscription is
// made, is lost.
func TestSubscriptionThatComesTooLate(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *world) {
		p := w.login("alice")
		socketcluster.Use(w.demo.sockets, func(_ context.Context, a *socketcluster.Subscribe) error {
			a.Socket.DeauthenticateSelf()
			return nil
		})
		if err := p.subscribe("user/alice"); err == nil {
			t.Error("subscribed")
		}
		if n := w.demo.sockets.Exchange().NumSubscribers("user/alice"); n != 0 {
			t.Errorf("the channel has %d subscribers", n)
		}
	})
}

// A token of somebody else who has the key need not have a user.
func TestTokenWithoutUser(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *world) {
		for _, payload := range []string{`{}`, `{"username":""}`, `{"username":7}`, `{"channels":"chat"}`, `{"channels":["user/alice"]}`} {
			token, err := w.demo.sockets.Auth().Sign(t.Context(), json.RawMessage(payload), auth.ExpiresIn(time.Hour))
			if err != nil {
				t.Fatal(err)
			}
			p := w.connect(token.Signed())
			if err := p.publish("chat", map[string]string{"text": "hello"}); err == nil || err.Name != "PublishError" {
				t.Errorf("publish with %s: %+v", payload, err)
			}
		}
	})
}

// AUTH-43: a client that is refused because its token has just expired receives
// that error.
func TestRefusalTellsOfExpiry(t *testing.T) {
	expired := &wire.Error{Name: wire.NameAuthTokenExpired}
	guest := new(socketcluster.Socket)
	for _, c := range []struct {
		when error
		want error
	}{{expired, expired}, {nil, errAnonymous}} {
		err := signPublication(t.Context(), &socketcluster.PublishIn{Socket: guest, Channel: "chat", AuthTokenExpired: c.when})
		if err != c.want {
			t.Errorf("publish: %v, want %v", err, c.want)
		}
	}
}

// Rules of a file take the place of the demo's, and messages are still from
// their publishers.
func TestRulesOfFiles(t *testing.T) {
	for name, args := range map[string][]string{
		"JSON": {"--rules=" + writeFile(t, "rules.json", `[{"channel":"news","subscribe":"anyone","publish":"anyone"},{"channel":"user/{username}"}]`)},
		"TOML": {"--config=" + writeFile(t, "c.toml", "[[rules]]\nchannel='news'\nsubscribe='anyone'\npublish='anyone'\n[[rules]]\nchannel='user/{username}'")},
		"both": {
			"--rules=" + writeFile(t, "rules.json", `[{"channel":"news","subscribe":"anyone","publish":"anyone"},{"channel":"user/{username}"}]`),
			"--config=" + writeFile(t, "c.toml", "[[rules]]\nchannel='chat'"),
		},
	} {
		t.Run(name, func(t *testing.T) {
			clearSettings(t)
			inBubble(t, args, func(t *testing.T, w *world) {
				guest, alice := w.connect(""), w.login("alice")
				for channel, want := range map[string]bool{"news": true, "user/alice": true, "chat": false, "room/staff": false, "user/bob": false} {
					err := alice.publish(channel, map[string]string{"text": "hello", "from": "bob"})
					if want != (err == nil) {
						t.Errorf("publish to %s: %+v", channel, err)
					}
				}
				if err := guest.subscribe("news"); err != nil {
					t.Fatalf("subscribe: %+v", err)
				}
				// The rules allow it, but there is nobody whom it could be from.
				if err := guest.publish("news", map[string]string{"text": "hello"}); err == nil || err.Message != errAnonymous.Message {
					t.Errorf("publish by a guest: %+v", err)
				}
				if err := alice.publish("news", map[string]string{"text": "hello", "from": "bob"}); err != nil {
					t.Fatalf("publish: %+v", err)
				}
				if data := string(guest.event("#publish").Data); !strings.Contains(data, `"from":"alice"`) {
					t.Errorf("received %s", data)
				}
			})
		})
	}
}

// An empty list is the way to deny everything, but only where it cannot stand for
// the demo's rules.
func TestNoRulesDenyEverything(t *testing.T) {
	clearSettings(t)
	inBubble(t, []string{"--rules=" + writeFile(t, "rules.json", "[]")}, func(t *testing.T, w *world) {
		p := w.login("alice")
		if err := p.subscribe("chat"); err == nil {
			t.Error("chat is allowed")
		}
		if err := p.publish("chat", map[string]string{"text": "hello"}); err == nil {
			t.Error("publishing is allowed")
		}
	})
	file := writeFile(t, "c.toml", "rules = []")
	for _, args := range [][]string{{"serve", "--config", file}, {"check", "--config", file, "--no-token"}} {
		if err := run(t.Context(), args, streams{strings.NewReader(""), io.Discard, io.Discard}); err == nil || !strings.Contains(err.Error(), `c.toml:1: "rules" is empty`) {
			t.Errorf("%v: %v", args, err)
		}
	}
}

// Denials are explained in the log, and without the token.
func TestDenialsAreLogged(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *world) {
		w.login("bob").subscribe("room/staff")
		text := w.logs.String()
		if !strings.Contains(text, "denied to subscribe") || !strings.Contains(text, `rule 1 (* in channels)`) || strings.Contains(text, "eyJ") {
			t.Errorf("log:\n%s", text)
		}
	})
}

func FuzzSignMessage(f *testing.F) {
	f.Add(`{"text":"hello"}`)
	f.Add(`{"text":"hello","from":"bob","at":1}`)
	f.Add(`{"text":"\ud800","TEXT":"x"}`)
	f.Add(`null`)
	f.Add(``)
	f.Fuzz(func(t *testing.T, data string) {
		at := time.UnixMilli(1700000000000)
		signed, err := signMessage(json.RawMessage(data), "alice", at)
		if err != nil {
			if err != error(errMessage) {
				t.Fatal(err)
			}
			return
		}
		var got message
		if err := json.Unmarshal(signed, &got); err != nil {
			t.Fatalf("%s: %v", signed, err)
		}
		if n := utf8.RuneCountInString(got.Text); got.From != "alice" || got.At != at.UnixMilli() || n < 1 || n > maxText {
			t.Fatalf("%q became %s", data, signed)
		}
	})
}
