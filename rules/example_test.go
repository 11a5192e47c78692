package rules_test

import (
	"fmt"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/rules"
)

// The rule of the SocketCluster guide: the token lists the channels of its
// owner in the claim channels.
func Example() {
	srv, err := socketcluster.New(socketcluster.Config{Auth: auth.Options{Key: "an example's key of 32 characters"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer srv.Close()
	srv.UseInbound(rules.MustNew(rules.Rule{In: "channels"}).Middleware(nil))
	// Output:
}

func ExampleSet_Decide() {
	set := rules.MustNew([]rules.Rule{
		{Channel: "chat", Subscribe: rules.Anyone, Publish: rules.Authenticated},
		{Channel: "user/{username}"},
		{Channel: "room/*", In: "rooms"},
	}...)
	alice, _ := auth.NewToken("", []byte(`{"username":"alice","rooms":["staff"]}`))

	fmt.Println(set.Decide(rules.Subscribe, "chat", nil).Allowed)
	for _, channel := range []string{"user/alice", "user/bob", "room/staff", "room/board"} {
		d := set.Decide(rules.Publish, channel, alice)
		fmt.Println(d.Allowed, d.Reason)
	}
	// Output:
	// true
	// true rule 1 (user/{username})
	// false rule 1 (user/{username}): the claim username has another value
	// true rule 2 (room/* in rooms)
	// false rule 2 (room/* in rooms): the claim rooms does not list it
}

func ExampleSet_Check() {
	set := rules.MustNew([]rules.Rule{
		{Channel: "chat", Subscribe: rules.Anyone, Publish: rules.Authenticated},
		{Channel: "user/{username}"},
		{Channel: "room/*", In: "rooms"},
		{Channel: "public/*", Subscribe: rules.Anyone},
	}...)
	token, _ := auth.NewToken("", []byte(`{"username":"alice"}`))
	for _, g := range set.Check(token) {
		fmt.Printf("rule %d: %v\n", g.Rule, g)
	}
	// Output:
	// rule 0: chat: subscribe, publish
	// rule 1: user/alice: subscribe, publish, presence
	// rule 2: nothing: the token has no claim rooms
	// rule 3: public/*: subscribe (any text for *)
}

func ExampleParse() {
	_, err := rules.Parse([]byte(`[
		{"channel": "chat", "subscribe": "anyone", "publish": "authenticated"},
		{"channel": "room/{id}", "in": "rooms"}
	]`))
	fmt.Println(err)
	// Output:
	// rules: rule 1: in is "rooms", but channel "room/{id}" has no * for it
}
