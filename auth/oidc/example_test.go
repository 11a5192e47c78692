package oidc_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/auth/oidc"
)

// A server that accepts its own tokens, and the ID tokens of a provider.
func Example() {
	mux := http.NewServeMux()
	theirs := httptest.NewServer(mux)
	defer theirs.Close()
	mux.HandleFunc("/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"issuer":%q,"jwks_uri":%q,"id_token_signing_alg_values_supported":["EdDSA"]}`, theirs.URL, theirs.URL+"/jwks")
	})
	mux.HandleFunc("/jwks", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"theirs","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}`)
	})

	provider, err := oidc.Discover(context.Background(), oidc.Options{Issuer: theirs.URL, ClientIDs: []string{"chat"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer provider.Close()
	own, err := auth.NewKeyRing(auth.RingKey{ID: "own", Key: auth.HMACKey([]byte("a long text that only my servers know"))})
	if err != nil {
		fmt.Println(err)
		return
	}
	srv, err := socketcluster.New(socketcluster.Config{Auth: auth.Options{Keys: auth.KeySources{own, provider}}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer srv.Close()

	token, err := srv.Auth().Sign(context.Background(), map[string]string{"username": "alice"})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("signed with the key", token.KeyID())
	for _, key := range provider.Verification("theirs") {
		fmt.Println("verified with the key", key.ID, "for", key.Audience)
	}
	// Output:
	// signed with the key own
	// verified with the key theirs for [chat]
}
