package auth_test

import (
	"context"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/socketcluster-go/socketcluster/auth"
)

// What is kept of earlier verifications, of the key and of headers, never decides
// about a token: those of other algorithms and keys come in between, and others at the
// same time.
func TestVerifyInTurn(t *testing.T) {
	engine := newJWT(t, auth.Options{Key: testKey})
	var good, bad []string
	for i := range 20 {
		for _, algorithm := range []string{"HS256", "HS512", "HS384"} {
			claims := map[string]any{"n": i, "text": strings.Repeat("x", i*20)}
			for _, key := range []string{testKey, "another key that is long enough for it"} {
				token, err := newJWT(t, auth.Options{Key: key, Algorithm: algorithm}).Sign(t.Context(), claims, auth.KeyID(strconv.Itoa(i%3)))
				if err != nil {
					t.Fatal(err)
				}
				if key == testKey {
					good = append(good, token.Signed())
				} else {
					bad = append(bad, token.Signed())
				}
			}
		}
	}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for i := range good {
				for range 2 {
					token, err := engine.Verify(context.Background(), good[i])
					if err != nil || token.Signed() != good[i] {
						t.Errorf("token %d: %v", i, err)
					}
				}
				if _, err := engine.Verify(context.Background(), bad[i]); err == nil {
					t.Errorf("token %d of another key is accepted", i)
				}
			}
		})
	}
	all.Wait()
}
