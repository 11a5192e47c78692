package pairs

import "slices"

// cases returns the table.
func cases() []testCase {
	return slices.Concat(connectCases(), loginCases(), callCases(), channelCases(), closeCases(), outageCases())
}

// create makes a client with a token in its store, or none.
func create(o options, stored string) step { return do("create", o, stored) }

// nobodyListens is the port of a client for whom nobody listens.
const nobodyListens = -1

// connected are the steps of a client that connects as a guest.
func connected(more ...step) []step {
	return append([]step{create(options{}, ""), do("connect").gives(guest)}, more...)
}

// guest is the connect event of a client without a token.
const guest = `{"isAuthenticated":false,"authToken":""}`

// status returns the end of the step status.
func status(state, authState, user string) string {
	return string(must(marshal(map[string]string{"state": state, "authState": authState, "user": user})))
}

// stored waits for changes of the store, and compares them with all since the last
// such step.
func stored(changes ...string) step { return do("stored").gives(events(changes...).value) }

var (
	asGuest = status("open", "unauthenticated", "nobody")
	asAlice = status("open", "authenticated", "alice")
)
