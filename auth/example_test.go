package auth_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"time"

	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/wire"
)

// A login page signs a token; the socket of the same user presents it.
func Example() {
	ctx := context.Background()
	engine, err := auth.NewJWT(auth.Options{Key: "a long text that only my servers know"})
	if err != nil {
		fmt.Println(err)
		return
	}
	signed, err := engine.Sign(ctx, map[string]any{"username": "alice"})
	if err != nil {
		fmt.Println(err)
		return
	}

	token, err := engine.Verify(ctx, signed.Signed())
	if err != nil {
		fmt.Println(err)
		return
	}
	var claims struct {
		Username string `json:"username"`
	}
	if err := token.Claims(&claims); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("Hello", claims.Username)

	_, err = engine.Verify(ctx, signed.Signed()+"A")
	fmt.Println(err)
	// Output:
	// Hello alice
	// AuthTokenInvalidError: invalid signature
}

// With a key pair, those who verify need not be able to sign.
func ExampleNewJWT_keyPair() {
	ctx := context.Background()
	private, public := newPair() // in PEM, usually read from files

	engine, err := auth.NewJWT(auth.Options{PrivateKey: private, PublicKey: public})
	if err != nil {
		fmt.Println(err)
		return
	}
	token, err := engine.Sign(ctx, map[string]any{"username": "alice"})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("signed with", token.Algorithm())

	key, err := auth.ParsePEM(public)
	if err != nil {
		fmt.Println(err)
		return
	}
	verifier, err := auth.NewJWT(auth.Options{VerificationKey: key})
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = verifier.Verify(ctx, token.Signed())
	fmt.Println("verified:", err == nil)
	_, err = verifier.Sign(ctx, map[string]any{"username": "mallory"})
	fmt.Println(err)
	// Output:
	// signed with ES256
	// verified: true
	// Error: secretOrPrivateKey must have a value
}

func newPair() (private, public []byte) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	privateDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		panic(err)
	}
	publicDER, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		panic(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: privateDER}),
		pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: publicDER})
}

// Options limit a token when it is signed and demand more when it is verified.
func ExampleJWT_Sign_options() {
	ctx := context.Background()
	engine, err := auth.NewJWT(auth.Options{Key: "a long text that only my servers know"})
	if err != nil {
		fmt.Println(err)
		return
	}
	type claims struct {
		Username string `json:"username"`
		IssuedAt int64  `json:"iat"`
	}
	token, err := engine.Sign(ctx, claims{"alice", 1700000000},
		auth.ExpiresIn("30m"), auth.Audience("chat"), auth.Subject("7"))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(string(token.Payload()))

	soon := auth.At(time.Unix(1700000000, 0).Add(20 * time.Minute))
	_, err = engine.Verify(ctx, token.Signed(), soon, auth.WithAudience("chat"))
	fmt.Println(err)
	_, err = engine.Verify(ctx, token.Signed(), soon, auth.WithAudience("billing"))
	fmt.Println(err)
	_, err = engine.Verify(ctx, token.Signed(), soon, auth.MaxAge(15*time.Minute))
	fmt.Println(errors.Is(err, wire.ErrAuthTokenExpired), err)
	// Output:
	// {"username":"alice","iat":1700000000,"exp":1700001800,"aud":"chat","sub":"7"}
	// <nil>
	// AuthTokenInvalidError: jwt audience invalid. expected: billing
	// true AuthTokenExpiredError: maxAge exceeded
}

// Keys are replaced while the server runs.
func ExampleJWT_SetVerificationKey() {
	ctx := context.Background()
	engine, err := auth.NewJWT(auth.Options{Key: "a long text that only my servers know"})
	if err != nil {
		fmt.Println(err)
		return
	}
	old, err := engine.Sign(ctx, map[string]any{"username": "alice"})
	if err != nil {
		fmt.Println(err)
		return
	}
	fresh := auth.HMACKey([]byte("another text that nobody has seen yet"))
	if err := errors.Join(engine.SetSignatureKey(fresh), engine.SetVerificationKey(fresh)); err != nil {
		fmt.Println(err)
		return
	}
	_, err = engine.Verify(ctx, old.Signed())
	fmt.Println(err)
	// Output:
	// AuthTokenInvalidError: invalid signature
}
