package pairs

import "fmt"

func subscribed(channel string) []string {
	return []string{"subscribeRequest " + channel, "subscribeStateChange " + channel + " pending>subscribed", "subscribe " + channel}
}

func left(channel, to string) []string {
	return []string{fmt.Sprintf("subscribeStateChange %s subscribed>%s", channel, to), "unsubscribe " + channel}
}

func channelCases() []testCase {
	logout := []string{"authStateChange authenticated>unauthenticated", "deauthenticate alice"}
	const again = "this server asks its middleware again, and kicks the client out"
	return []testCase{
		{name: "subscribing", steps: connected(
			do("subscribe", "@news"),
			do("channelState", "@news").gives(`"subscribed"`),
			happens(append([]string{"connecting", "connect"}, subscribed("@news")...)...),
		)},
		{name: "a publisher gets its own publications", steps: connected(
			do("subscribe", "@news"),
			do("publish", "@news", map[string]any{"n": 1}),
			do("transmitPublish", "@news", nil),
			do("publish", "@news", "three"),
			do("publications", "@news").gives(`[{"n":1},null,"three"]`),
		)},
		{name: "publications reach other clients in order", steps: append(connected(do("subscribe", "@news")),
			create(options{}, "").by("b"),
			do("connect").by("b").gives(guest),
			do("publish", "@news", 1).by("b"),
			do("transmitPublish", "@news", 2).by("b"),
			do("publish", "@news", 3).by("b"),
			do("publications", "@news").gives(`[1,2,3]`),
		)},
		{name: "the server publishes", steps: connected(
			do("subscribe", "@news"),
			do("invoke", "publish", map[string]any{"channel": "@news", "data": []any{nil, true}}),
			do("publications", "@news").gives(`[[null,true]]`),
		)},
		{name: "a refused subscription", steps: connected(
			do("subscribe", "private.@").fails(`{"name":"SubscribeError","message":"Log in first"}`),
			do("channelState", "private.@").gives(`"unsubscribed"`),
			happens("connecting", "connect", "subscribeRequest private.@", "subscribeFail private.@ SubscribeError"),
		)},
		{name: "a subscription that is refused without a reason", steps: connected(
			do("subscribe", "secret.@").fails(`{"name":"SilentMiddlewareBlockedError","message":"The subscribe AGAction was blocked by inbound middleware","type":"inbound"}`).
				but("version 1 says it in other words", failure(`{"name":"SilentMiddlewareBlockedError","message":"Action was silently blocked by subscribe middleware","type":"subscribe"}`), goTo14),
		)},
		{name: "a subscription after a refusal and a login", steps: connected(
			do("subscribe", "private.@").fails(`{"name":"SubscribeError","message":"Log in first"}`),
			do("invoke", "loginConfirmed", "alice"),
			do("subscribe", "private.@"),
			do("publish", "private.@", 1),
			do("publications", "private.@").gives("[1]"),
		)},
		{name: "data with a subscription", steps: connected(
			do("subscribe", "@news", map[string]any{"data": []any{1, "two"}}),
			do("invoke", "requested").gives(`["@news [1,\"two\"]"]`),
		)},
		{name: "a channel is requested once", steps: connected(
			do("want", "@news"), do("want", "@news"), do("want", "@news", map[string]any{"priority": 3}),
			do("publish", "@news", 1),
			do("invoke", "requested").gives(`["@news"]`),
		)},
		{name: "names of channels", steps: connected(
			do("subscribe", "@\u00fc/\U0001f30d \"#publish\" \\ <&>\u2028"),
			do("publish", "@\u00fc/\U0001f30d \"#publish\" \\ <&>\u2028", 1),
			do("publications", "@\u00fc/\U0001f30d \"#publish\" \\ <&>\u2028").gives("[1]"),
			do("unsubscribe", "@\u00fc/\U0001f30d \"#publish\" \\ <&>\u2028"),
			do("channelState", "@\u00fc/\U0001f30d \"#publish\" \\ <&>\u2028").gives(`"unsubscribed"`),
		)},
		{name: "a refused publication", steps: connected(
			do("publish", "private.@", 1).fails(`{"name":"PublishError","message":"Log in first"}`),
		)},
		{name: "waitForAuth waits for a login", steps: connected(
			do("want", "private.@", map[string]any{"waitForAuth": true}),
			do("channelState", "private.@").gives(`"pending"`),
			do("invoke", "requested").gives("[]"),
			do("invoke", "login", "alice"),
			happens("connecting", "connect", "subscribeRequest private.@", "authStateChange unauthenticated>authenticated",
				"authenticate alice", "subscribeStateChange private.@ pending>subscribed", "subscribe private.@"),
			do("publish", "private.@", 1),
			do("publications", "private.@").gives("[1]"),
		)},
		{name: "waitForAuth with the token of the handshake", steps: []step{
			create(options{}, "$alice"),
			do("want", "private.@", map[string]any{"waitForAuth": true}),
			do("channelState", "private.@").gives(`"pending"`),
			do("connect").gives(`{"isAuthenticated":true,"authToken":"$alice"}`),
			happens("connecting", "authStateChange unauthenticated>authenticated", "authenticate alice", "subscribeRequest private.@",
				"connect", "subscribeStateChange private.@ pending>subscribed", "subscribe private.@"),
		}},
		{name: "a logout with a subscription that needs a login", steps: connected(
			do("invoke", "loginConfirmed", "alice"),
			do("subscribe", "private.@"),
			happens(append([]string{"connecting", "connect", "authStateChange unauthenticated>authenticated", "authenticate alice"},
				subscribed("private.@")...)...),
			do("deauthenticate"),
			happens(logout...).but(again, events(append(logout, append([]string{"kickOut private.@ \"Log in first\""}, left("private.@", "unsubscribed")...)...)...), ourServers...),
			do("invoke", "echo", 1).gives("1"),
			do("channelState", "private.@").gives(`"subscribed"`).but(again, value(`"unsubscribed"`), ourServers...),
		)},
		{name: "waitForAuth after a logout and another login", steps: connected(
			do("invoke", "loginConfirmed", "alice"),
			do("subscribe", "private.@", map[string]any{"waitForAuth": true}),
			do("deauthenticate"),
			do("invoke", "loginConfirmed", "bob"),
			do("publish", "private.@", 1),
			do("publications", "private.@").gives("[1]"),
		)},
		{name: "waitForAuth is given up", steps: connected(
			do("want", "private.@", map[string]any{"waitForAuth": true}),
			do("unsubscribe", "private.@"),
			do("invoke", "loginConfirmed", "alice"),
			do("invoke", "requested").gives("[]"),
			do("channelState", "private.@").gives(`"unsubscribed"`),
		)},
		{name: "subscriptions are requested by priority", steps: []step{
			create(options{}, ""),
			do("want", "@plain"),
			do("want", "@low", map[string]any{"priority": -1}),
			do("want", "@high", map[string]any{"priority": 2}),
			do("want", "@plain too"),
			do("connect").gives(guest),
			do("publish", "@low", 1),
			do("publications", "@low").gives("[1]"),
			do("invoke", "requested").gives(`["@high","@plain","@plain too","@low"]`),
			do("disconnect"),
			do("connect").gives(guest),
			do("publish", "@low", 2),
			do("publications", "@low").gives("[2]"),
			do("invoke", "requested").gives(`["@high","@plain","@plain too","@low"]`),
		}},
		{name: "subscriptions that wait to be processed", steps: []step{
			create(options{AutoSubscribe: new(false)}, ""),
			do("want", "@news"),
			do("connect").gives(guest),
			do("invoke", "requested").gives("[]"),
			do("processPendingSubscriptions"),
			happens(append([]string{"connecting", "connect"}, subscribed("@news")...)...),
		}},
		{name: "a kick-out", steps: connected(
			do("subscribe", "@news"),
			do("invoke", "kick", map[string]any{"channel": "@news", "message": map[string]any{"why": "noise"}}),
			happens(append(append([]string{"connecting", "connect"}, subscribed("@news")...),
				append([]string{`kickOut @news {"why":"noise"}`}, left("@news", "unsubscribed")...)...)...),
			do("disconnect"),
			do("connect").gives(guest),
			do("invoke", "requested").gives("[]"),
		)},
		{name: "unsubscribing", steps: append(connected(
			do("subscribe", "@news"),
			happens(append([]string{"connecting", "connect"}, subscribed("@news")...)...),
			do("unsubscribe", "@news"),
			happens(left("@news", "unsubscribed")...)),
			do("subscribe", "@other"),
			do("invoke", "subscriptions").gives(`["@other"]`),
			do("publish", "@news", 1),
			do("publish", "@other", 2),
			do("publications", "@other").gives("[2]"),
			do("publications", "@news").gives("[]"),
			do("channelState", "@news").gives(`"unsubscribed"`),
		)},
		{name: "a prefix of all channels", steps: append([]step{
			create(options{ChannelPrefix: "@ours/"}, ""),
			do("connect").gives(guest),
			do("subscribe", "news"),
			do("invoke", "requested").gives(`["@ours/news"]`),
			do("publish", "news", 1),
			do("publications", "news").gives("[1]"),
			do("invoke", "kick", map[string]any{"channel": "@ours/news", "message": "out"})},
			happens(append(append([]string{"connecting", "connect"}, subscribed("news")...),
				append([]string{`kickOut news "out"`}, left("news", "unsubscribed")...)...)...),
		)},
	}
}
