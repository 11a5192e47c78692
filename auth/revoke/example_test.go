package revoke_test

import (
	"context"
	"fmt"
	"time"

	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/auth/revoke"
)

// A user logs out everywhere: every token that the user has got so far is good
// no more.
func Example() {
	ctx := context.Background()
	jwt, err := auth.NewJWT(auth.Options{Key: "an example's key of 32 characters"})
	if err != nil {
		fmt.Println(err)
		return
	}
	store := &revoke.Memory{}
	engine := revoke.Engine{Engine: jwt, Store: store}

	token, _ := engine.Sign(ctx, map[string]string{"username": "alice"})
	_, err = engine.Verify(ctx, token.Signed())
	fmt.Println("before:", err)

	err = store.Add(ctx, revoke.Revocation{
		Subject: "alice",
		Claim:   "username",
		Until:   time.Now().Add(24 * time.Hour), // as long as tokens live
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = engine.Verify(ctx, token.Signed())
	fmt.Println("after:", err)
	// Output:
	// before: <nil>
	// after: AuthTokenInvalidError: jwt revoked
}

// A user logs out on one device.
func ExampleForToken() {
	token, _ := auth.NewToken("", []byte(`{"username":"alice","jti":"b1946ac9","exp":4102444800}`))
	store := &revoke.Memory{}
	if r, ok := revoke.ForToken(token); ok {
		if err := store.Add(context.Background(), r); err != nil {
			fmt.Println(err)
			return
		}
	}
	r, revoked := store.Check(token)
	fmt.Println(revoked, r.JTI, r.Until)
	// Output:
	// true b1946ac9 2100-01-01 00:00:00 +0000 UTC
}

// A server that keeps sockets deals with those whose tokens are revoked.
func ExampleMemory_Watch() {
	alice, _ := auth.NewToken("", []byte(`{"sub":"alice","sid":"tablet","iat":1700000000}`))
	bob, _ := auth.NewToken("", []byte(`{"sub":"bob","sid":"phone","iat":1700000000}`))
	store := &revoke.Memory{}
	stop := store.Watch(func(r revoke.Revocation) {
		for name, token := range map[string]*auth.Token{"alice": alice, "bob": bob} {
			if r.Matches(token) {
				fmt.Println(name, "is logged out:", r.Reason)
			}
		}
	})
	defer stop()
	if err := store.Add(context.Background(), revoke.Revocation{Session: "tablet", Reason: "the tablet was lost"}); err != nil {
		fmt.Println(err)
	}
	// Output:
	// alice is logged out: the tablet was lost
}
