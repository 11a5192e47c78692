package pairs

func outageCases() []testCase {
	const hangUp = "error SocketProtocolError: Socket hung up"
	return []testCase{
		{name: "a killed server: the client connects again with its token and channels", alone: true, steps: []step{
			create(options{ReconnectAfter: new(50)}, ""),
			do("connect").gives(guest),
			do("invoke", "loginConfirmed", "alice"),
			do("subscribe", "@low", map[string]any{"priority": -1}),
			do("subscribe", "@news"),
			do("subscribe", "private.@", map[string]any{"waitForAuth": true, "priority": 1}),
			{name: "kill"},
			{name: "start"},
			do("sees", "connect", 2), // calls before may be those of an attempt that fails
			do("invoke", "whoami").gives(`"alice"`),
			do("invoke", "requested").gives(`["private.@","@news","@low"]`),
			do("publish", "@low", 1),
			do("publications", "@low").gives("[1]"),
			do("status").gives(asAlice),
		}},
		{name: "a killed server: the client tries until it is there again", alone: true, steps: []step{
			create(options{ReconnectAfter: new(20)}, "$alice"),
			do("connect").gives(`{"isAuthenticated":true,"authToken":"$alice"}`),
			do("subscribe", "private.@"),
			{name: "kill"},
			do("sees", "connectAbort 1006 Socket hung up", 3),
			do("channelState", "private.@").gives(`"pending"`),
			{name: "start"},
			do("sees", "connect", 2),
			do("publish", "private.@", 1),
			do("publications", "private.@").gives("[1]"),
			do("invoke", "whoami").gives(`"alice"`),
		}},
		{name: "a killed server: calls that wait fail", alone: true, steps: []step{
			create(options{}, ""),
			do("connect").gives(guest),
			do("invoke", "name", "@a"),
			do("invoke", "silent").begin("silent").
				fails(`{"name":"BadConnectionError","message":"Event silent was aborted due to a bad connection","type":"disconnect","code":1006,"reason":"Socket hung up"}`),
			do("invoke", "silenced", "@a"),
			{name: "kill"},
			await("silent"),
			happens("connecting", "connect", "disconnect 1006 Socket hung up", "close 1006 Socket hung up", hangUp),
			do("invoke", "echo", 1).
				fails(`{"name":"BadConnectionError","message":"Event echo was aborted due to a bad connection","type":"connectAbort","code":1006,"reason":"Socket hung up"}`),
		}},
		{name: "a server that ends by itself", alone: true, steps: []step{
			create(options{}, ""),
			do("connect").gives(guest),
			do("subscribe", "@news"),
			do("invoke", "exit", 3).
				fails(`{"name":"BadConnectionError","message":"Event exit was aborted due to a bad connection","type":"disconnect","code":1006,"reason":"Socket hung up"}`),
			{name: "awaitExit"},
			happens(append(append([]string{"connecting", "connect"}, subscribed("@news")...), append(left("@news", "pending"),
				"disconnect 1006 Socket hung up", "close 1006 Socket hung up", hangUp)...)...),
		}},
		{name: "a frozen server: no ping comes", alone: true, steps: []step{
			create(options{ReconnectAfter: new(50)}, "$alice"),
			do("connect").gives(`{"isAuthenticated":true,"authToken":"$alice"}`),
			{name: "freeze"},
			happens("connecting", "authStateChange unauthenticated>authenticated", "authenticate alice", "connect",
				"disconnect 4000 Server ping timed out", "close 4000 Server ping timed out", "error SocketProtocolError: Server ping timed out", "connecting"),
			{name: "thaw"},
			do("invoke", "whoami").gives(`"alice"`),
			happens("authenticate alice", "connect"),
		}},
	}
}
