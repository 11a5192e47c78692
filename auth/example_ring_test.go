package auth_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/socketcluster-go/socketcluster/auth"
)

// A new key signs, and the old one is accepted until its last token has expired.
func ExampleKeyRing_Rotate() {
	const life = 24 * time.Hour
	ctx := context.Background()
	ring, err := auth.NewKeyRing(auth.RingKey{ID: "2025", Key: auth.HMACKey([]byte("a long text that only my servers know"))})
	if err != nil {
		fmt.Println(err)
		return
	}
	engine, err := auth.NewJWT(auth.Options{Keys: ring, DefaultExpiry: life})
	if err != nil {
		fmt.Println(err)
		return
	}
	old, err := engine.Sign(ctx, map[string]any{"username": "alice"})
	if err != nil {
		fmt.Println(err)
		return
	}

	err = ring.Rotate(auth.RingKey{ID: "2026", Key: auth.HMACKey([]byte("another text that only my servers know"))}, life)
	if err != nil {
		fmt.Println(err)
		return
	}
	fresh, err := engine.Sign(ctx, map[string]any{"username": "bob"})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, token := range []*auth.Token{old, fresh} {
		_, err := engine.Verify(ctx, token.Signed())
		fmt.Println(token.KeyID(), err)
	}
	// A day later, tokens under the old key are refused.
	_, err = engine.Verify(ctx, old.Signed(), auth.At(time.Now().Add(life)), auth.IgnoreExpiration())
	fmt.Println(err)
	// Output:
	// 2025 <nil>
	// 2026 <nil>
	// AuthTokenInvalidError: unknown kid
}

// A weak key is refused by name, and without showing it.
func ExampleNewKeyRing_weak() {
	_, err := auth.NewKeyRing(auth.RingKey{ID: "2025", Key: auth.HMACKey([]byte("secret"))})
	fmt.Println(err)
	// Output:
	// auth: key "2025": has 6 bytes, at least 32 are needed to resist a search
}

// Keys from a file, which may be replaced at any time.
func ExampleWatchKeyFiles() {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		fmt.Println(err)
		return
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		fmt.Println(err)
		return
	}
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "current.pem")
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		fmt.Println(err)
		return
	}

	files, err := auth.WatchKeyFiles(auth.FileOptions{Paths: []string{path}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer files.Close()
	engine, err := auth.NewJWT(auth.Options{Keys: files})
	if err != nil {
		fmt.Println(err)
		return
	}
	token, err := engine.Sign(context.Background(), map[string]any{"username": "alice"})
	if err != nil {
		fmt.Println(err)
		return
	}
	key, _ := files.Signing()
	fmt.Println(token.Algorithm(), token.KeyID() == key.Key.Thumbprint())
	// Output:
	// EdDSA true
}

// A key from the JWK in which a tool has written it.
func ExampleParseJWK() {
	key, err := auth.ParseJWK([]byte(`{"kty":"OKP","crv":"Ed25519","kid":"2025","use":"sig","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(key.ID, key.Algorithm, key.Key)
	// Output:
	// 2025 EdDSA ed25519 public key
}
