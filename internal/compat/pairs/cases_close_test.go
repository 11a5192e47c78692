package pairs

// named names a client, for others to ask how the server has seen it leave.
func named() step { return do("invoke", "name", "@a") }

// witness is a second client, which asks.
func witness(seen string) []step {
	return []step{
		create(options{}, "").by("b"),
		do("connect").by("b").gives(guest),
		do("invoke", "closing", "@a").by("b").gives(seen),
	}
}

func closeCases() []testCase {
	return []testCase{
		{name: "a client disconnects", steps: append(connected(
			named(),
			do("disconnect"),
			happens("connecting", "connect", "disconnect 1000 Socket closed normally", "close 1000 Socket closed normally").
				but("socketcluster-client gives no reason here", events("connecting", "connect", "disconnect 1000", "close 1000"), npmToOurs),
			do("isReconnecting").gives("false")),
			witness(`{"code":1000,"reason":""}`)...,
		)},
		{name: "a client disconnects with a code and a reason", steps: append(connected(
			named(),
			do("disconnect", 4444, "enough"),
			happens("connecting", "connect", "disconnect 4444 enough", "close 4444 enough",
				"error SocketProtocolError: Socket connection closed with status code 4444 and reason: enough")),
			witness(`{"code":4444,"reason":"enough"}`)...,
		)},
		{name: "calls fail when the client disconnects", steps: connected(
			named(),
			do("invoke", "silent").begin("silent").
				fails(`{"name":"BadConnectionError","message":"Event silent was aborted due to a bad connection","type":"disconnect","code":4444,"reason":"enough"}`),
			do("invoke", "silenced", "@a"),
			do("disconnect", 4444, "enough"),
			await("silent"),
		)},
		{name: "the server disconnects a client", steps: connected(
			do("subscribe", "@news"),
			do("invoke", "leave", map[string]any{"code": 4444, "reason": "enough"}).
				fails(`{"name":"BadConnectionError","message":"Event leave was aborted due to a bad connection","type":"disconnect","code":4444,"reason":"enough"}`),
			happens(append(append([]string{"connecting", "connect"}, subscribed("@news")...), append(left("@news", "pending"),
				"disconnect 4444 enough", "close 4444 enough",
				"error SocketProtocolError: Socket connection closed with status code 4444 and reason: enough")...)...),
			do("channelState", "@news").gives(`"pending"`),
		)},
		{name: "a call after a disconnect makes a connection", steps: connected(
			do("disconnect"),
			do("invoke", "echo", 1).gives("1"),
			do("status").gives(asGuest),
		)},
		{name: "a client that disconnects with another code than 1000 connects again", steps: []step{
			create(options{ReconnectAfter: new(1)}, ""),
			do("connect").gives(guest),
			do("disconnect", 4444, "enough"),
			happens("connecting", "connect", "disconnect 4444 enough", "close 4444 enough",
				"error SocketProtocolError: Socket connection closed with status code 4444 and reason: enough", "connecting", "connect"),
		}},
		{name: "the server disconnects a client with 1000", steps: []step{
			create(options{ReconnectAfter: new(1)}, ""),
			do("connect").gives(guest),
			do("invoke", "leave", map[string]any{"code": 1000, "reason": ""}).
				fails(`{"name":"BadConnectionError","message":"Event leave was aborted due to a bad connection","type":"disconnect","code":1000,"reason":"Socket closed normally"}`),
			do("isReconnecting").gives("false"),
		}},
		{name: "the server disconnects a client for good", steps: []step{
			create(options{ReconnectAfter: new(1)}, ""),
			do("connect").gives(guest),
			do("invoke", "leave", map[string]any{"code": 4500, "reason": "banned"}).
				fails(`{"name":"BadConnectionError","message":"Event leave was aborted due to a bad connection","type":"disconnect","code":4500,"reason":"banned"}`),
			do("isReconnecting").gives("false"),
		}},
		{name: "a client connects again after a code below 4500", steps: []step{
			create(options{ReconnectAfter: new(1)}, ""),
			do("connect").gives(guest),
			do("invoke", "leave", map[string]any{"code": 4499, "reason": "later"}).
				fails(`{"name":"BadConnectionError","message":"Event leave was aborted due to a bad connection","type":"disconnect","code":4499,"reason":"later"}`),
			happens("connecting", "connect", "disconnect 4499 later", "close 4499 later",
				"error SocketProtocolError: Socket connection closed with status code 4499 and reason: later", "connecting", "connect"),
			do("invoke", "echo", 1).gives("1"),
		}},
	}
}
