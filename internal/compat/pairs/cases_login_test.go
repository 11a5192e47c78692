package pairs

func loginCases() []testCase {
	login := []string{"authStateChange unauthenticated>authenticated", "authenticate alice"}
	return []testCase{
		{name: "a login by a call is there with its answer", steps: connected(
			do("invoke", "login", "alice"),
			do("status").gives(asAlice).notIn("socketcluster-server 20 sends the token after the answer", goTo20),
			do("invoke", "whoami").gives(`"alice"`),
			happens(append([]string{"connecting", "connect"}, login...)...),
			do("status").gives(asAlice),
			stored("save $alice"),
		)},
		{name: "a login whose token follows the answer", steps: connected(
			do("invoke", "loginAfterAnswer", "alice"),
			happens(append([]string{"connecting", "connect"}, login...)...),
			do("status").gives(asAlice),
		)},
		{name: "a login that waits for its token, and another one", steps: connected(
			do("login", "login", "alice"),
			do("status").gives(asAlice),
			do("login", "loginAfterAnswer", "bob"),
			do("status").gives(status("open", "authenticated", "bob")),
		)},
		{name: "a login that the client confirms", steps: connected(
			do("invoke", "loginConfirmed", "alice"),
			stored("save $alice"),
			do("status").gives(asAlice),
		)},
		{name: "a second login takes the place of the first", steps: connected(
			do("invoke", "login", "alice"),
			do("invoke", "login", "bob"),
			happens(append([]string{"connecting", "connect"}, append(login, "authenticate bob")...)...),
			do("status").gives(status("open", "authenticated", "bob")),
			stored("save $alice", "save $bob"),
		)},
		{name: "the server logs a client out", steps: connected(
			do("invoke", "login", "alice"),
			happens(append([]string{"connecting", "connect"}, login...)...),
			do("invoke", "logout"),
			happens("authStateChange authenticated>unauthenticated", "deauthenticate alice"),
			do("status").gives(asGuest),
			do("invoke", "whoami").gives("null"),
		)},
		{name: "a client logs out", steps: connected(
			do("invoke", "login", "alice"),
			happens(append([]string{"connecting", "connect"}, login...)...),
			do("pings", 2).gives("true"), // before, this server would take the token away too: it may cross the logout
			do("deauthenticate"),
			do("status").gives(asGuest),
			do("invoke", "whoami").gives("null"),
			happens("authStateChange authenticated>unauthenticated", "deauthenticate alice"),
			stored("save $alice", "remove $alice", "removeAuthToken $alice"),
		)},
		{name: "a client logs out without a connection", steps: []step{
			create(options{}, "$alice"),
			do("connect").gives(`{"isAuthenticated":true,"authToken":"$alice"}`),
			do("disconnect"),
			do("status").gives(status("closed", "authenticated", "alice")),
			do("deauthenticate"),
			do("status").gives(status("closed", "unauthenticated", "nobody")),
			do("connect").gives(guest),
		}},
		{name: "authenticating with a token", steps: connected(
			do("authenticate", "$alice"),
			do("status").gives(asAlice),
			do("invoke", "whoami").gives(`"alice"`),
			happens(append([]string{"connecting", "connect"}, login...)...),
		)},
		{name: "authenticating without a connection makes one", steps: []step{
			create(options{}, ""),
			do("authenticate", "$alice"),
			do("status").gives(asAlice),
			do("invoke", "whoami").gives(`"alice"`),
		}},
		{name: "authenticating as another user", steps: connected(
			do("authenticate", "$alice"),
			do("authenticate", "$bob"),
			happens(append([]string{"connecting", "connect"}, append(login, "authenticate bob")...)...),
			do("invoke", "whoami").gives(`"bob"`),
			stored("save $alice", "save $bob"),
		)},
		{name: "a token expires", steps: connected(
			do("invoke", "loginBriefly", "alice"),
			happens(append(append([]string{"connecting", "connect"}, login...),
				"authStateChange authenticated>unauthenticated", "deauthenticate alice")...),
			stored("save $alice", "remove $alice", "removeAuthToken $alice"),
			do("invoke", "whoami").gives("null"),
		)},
		{name: "authenticating with a forged token", steps: connected(
			do("authenticate", "$alice"),
			do("authenticate", "$forged").fails(forgedError).but(noIsBadToken, failure(withoutIsBadToken(forgedError)), goTo14),
			do("invoke", "whoami").gives("null"),
			do("status").gives(asGuest),
			stored("save $alice", "remove $alice", "removeAuthToken $alice"),
		)},
		{name: "authenticating with an expired token", steps: connected(
			do("authenticate", "$expired").fails(expiredError).but(noIsBadToken, failure(withoutIsBadToken(expiredError)), goTo14),
			do("invoke", "whoami").gives("null"),
			do("status").gives(asGuest),
		)},
		{name: "authenticating with a token that is not active yet", steps: connected(
			do("authenticate", "$early").fails(earlyError).but(noIsBadToken, failure(withoutIsBadToken(earlyError)), goTo14),
			do("invoke", "whoami").gives("null"),
			do("invoke", "loginConfirmed", "bob"),
			stored("save $bob").but("socketcluster-client keeps a token that the server has not accepted", events("save $early", "save $bob"), npmToOurs),
		)},
		{name: "a token is presented again", steps: connected(
			do("invoke", "loginConfirmed", "alice"),
			do("disconnect"),
			do("status").gives(status("closed", "authenticated", "alice")),
			do("connect").gives(`{"isAuthenticated":true,"authToken":"$alice"}`),
			do("invoke", "whoami").gives(`"alice"`),
		)},
	}
}
