package password_test

import (
	"context"
	"fmt"

	"github.com/socketcluster-go/socketcluster/auth/password"
)

func ExampleHasher() {
	ctx := context.Background()
	var passwords password.Hasher

	hash, err := passwords.Hash(ctx, "correct horse")
	if err != nil {
		panic(err)
	}
	users := map[string]string{"alice": hash}

	for _, name := range []string{"alice", "carol"} {
		// There is no hash for carol, but this takes as long.
		good, err := passwords.Verify(ctx, users[name], "correct horse")
		fmt.Println(name, good, err)
	}
	// Output:
	// alice true <nil>
	// carol false <nil>
}
