package pairs

import "strings"

const (
	expiredError = `{"name":"AuthTokenExpiredError","message":"jwt expired","isBadToken":true,"expiry":"2001-09-09T01:46:40.000Z"}`
	forgedError  = `{"name":"AuthTokenInvalidError","message":"invalid signature","isBadToken":true}`
	earlyError   = `{"name":"AuthTokenNotBeforeError","message":"jwt not active","isBadToken":false,"date":"2096-10-02T07:06:40.000Z"}`
	brokenError  = `{"name":"AuthTokenInvalidError","message":"jwt malformed","isBadToken":true}`
)

// withoutIsBadToken is how version 1 sends these errors.
func withoutIsBadToken(text string) string {
	return strings.NewReplacer(`"isBadToken":true,`, "", `"isBadToken":false,`, "", `,"isBadToken":true`, "", `,"isBadToken":false`, "").Replace(text)
}

const noIsBadToken = "version 1 has no isBadToken"

// refusesToken is the end of a connect with a token that is refused.
func refusesToken(token, err string) step {
	text := refusedToken(token, err)
	return do("connect").gives(text).but(noIsBadToken, value(withoutIsBadToken(text)), goTo14)
}

func refusedToken(token, err string) string {
	return `{"isAuthenticated":false,"authToken":"` + token + `","authError":` + err + `}`
}

func connectCases() []testCase {
	return []testCase{
		{name: "connecting without a token", steps: connected(
			happens("connecting", "connect"),
			do("status").gives(asGuest),
		)},
		{name: "connecting with a token", steps: []step{
			create(options{}, "$alice"),
			do("connect").gives(`{"isAuthenticated":true,"authToken":"$alice"}`),
			happens("connecting", "authStateChange unauthenticated>authenticated", "authenticate alice", "connect"),
			do("status").gives(asAlice),
			do("invoke", "whoami").gives(`"alice"`),
		}},
		{name: "connecting with an expired token", steps: []step{
			create(options{}, "$expired"),
			refusesToken("$expired", expiredError),
			happens("connecting", "connect"),
			do("status").gives(asGuest),
			stored("remove $expired", "removeAuthToken $expired"),
		}},
		{name: "connecting with a forged token", steps: []step{
			create(options{}, "$forged"),
			refusesToken("$forged", forgedError),
			happens("connecting", "connect"),
			do("status").gives(asGuest),
			stored("remove $forged", "removeAuthToken $forged"),
		}},
		{name: "connecting with a text that is no token", steps: []step{
			create(options{}, "garbage"),
			refusesToken("garbage", brokenError),
			happens("connecting", "connect"),
			do("status").gives(asGuest),
			stored("remove garbage", "removeAuthToken garbage"),
		}},
		{name: "a token that is not active yet stays in the store", steps: []step{
			create(options{}, "$early"),
			refusesToken("$early", earlyError),
			do("status").gives(asGuest),
			do("invoke", "loginConfirmed", "alice"),
			stored("save $alice"), // and nothing before
		}},
		{name: "a refused handshake", steps: []step{
			create(options{Query: map[string]string{"refuse": "1"}, ReconnectAfter: new(1)}, ""),
			do("connect").fails(`{"name":"ConnectAbort","message":"4501 DoorError: You may not enter"}`),
			happens("connecting", "error DoorError: You may not enter",
				"connectAbort 4501 DoorError: You may not enter", "close 4501 DoorError: You may not enter",
				"error SocketProtocolError: Socket connection closed with status code 4501 and reason: DoorError: You may not enter"),
			do("isReconnecting").gives("false"),
		}},
		{name: "a port where nobody listens", steps: []step{
			create(options{Port: nobodyListens}, ""),
			do("connect").fails(`{"name":"ConnectAbort","message":"1006 Socket hung up"}`),
			do("status").gives(status("closed", "unauthenticated", "nobody")),
			do("isReconnecting").gives("false"),
		}},
		{name: "calls without a connection fail with it", steps: []step{
			create(options{Port: nobodyListens}, ""),
			do("invoke", "echo", 1).fails(`{"name":"BadConnectionError","message":"Event echo was aborted due to a bad connection","type":"connectAbort","code":1006,"reason":"Socket hung up"}`),
		}},
		{name: "calls make a connection, and wait for it in order", steps: []step{
			create(options{}, ""),
			do("want", "@news"),
			do("transmit", "note", 1),
			do("transmit", "note", 2),
			do("invoke", "echo", 3).gives("3"),
			do("invoke", "received", 2).gives("[1,2]"),
			do("publish", "@news", "after the subscription"),
			do("publications", "@news").gives(`["after the subscription"]`),
		}},
		{name: "calls and a disconnect while a client connects", alone: true, steps: []step{
			{name: "freeze"},
			create(options{}, ""),
			do("invoke", "echo", 1).begin("echo").
				fails(`{"name":"BadConnectionError","message":"Event echo was aborted due to a bad connection","type":"connectAbort","code":4444,"reason":"enough"}`),
			do("sees", "connecting", 1), // because of the call
			do("invokeWithin", 100, "echo", 2).fails(`{"name":"TimeoutError","message":"Event response for echo event timed out"}`),
			do("disconnect", 4444, "enough"),
			await("echo"),
			happens("connecting", "connectAbort 4444 enough", "close 4444 enough",
				"error SocketProtocolError: Socket connection closed with status code 4444 and reason: enough"),
			{name: "thaw"},
			do("connect").gives(guest),
			do("invoke", "echo", 3).gives("3"),
		}},
		{name: "pings keep a connection for longer than the timeout", alone: true, steps: connected(
			do("pings", 12).gives("true"),
			do("invoke", "echo", 1).gives("1"),
			happens("connecting", "connect"),
		)},
	}
}
