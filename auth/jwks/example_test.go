package jwks_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/auth/jwks"
)

// Own tokens, and beside them those that an identity provider has issued for this
// service.
func Example() {
	ctx := context.Background()
	provider := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"theirs","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}`)
	}))
	defer provider.Close()

	theirs, err := jwks.New(jwks.Options{
		URLs:     []string{provider.URL},
		Issuer:   "https://provider.example",
		Audience: []string{"chat"},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer theirs.Close()
	own, err := auth.NewKeyRing(auth.RingKey{ID: "own", Key: auth.HMACKey([]byte("a long text that only my servers know"))})
	if err != nil {
		fmt.Println(err)
		return
	}
	engine, err := auth.NewJWT(auth.Options{Keys: auth.KeySources{own, theirs}})
	if err != nil {
		fmt.Println(err)
		return
	}

	// A server that must not start without the provider's keys waits for them.
	if err := theirs.Refresh(ctx, ""); err != nil {
		fmt.Println(err)
		return
	}
	for _, key := range theirs.Verification("theirs") {
		fmt.Println(key.ID, key.Algorithm, key.Issuer)
	}
	token, err := engine.Sign(ctx, map[string]any{"username": "alice"})
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = engine.Verify(ctx, token.Signed())
	fmt.Println(token.KeyID(), err)
	// Output:
	// theirs EdDSA https://provider.example
	// own <nil>
}
