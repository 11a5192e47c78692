package socketcluster_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/auth"
)

// QK-23, AUTH-3: a token that the server's engine signs for another use, such
// as a login over HTTP, has the server's default life and its algorithm, and
// is as good on a socket as one that a socket was given.
func TestSignOutsideSocket(t *testing.T) {
	ctx := context.Background()
	for _, test := range []struct {
		name string
		cfg  socketcluster.Config
		life time.Duration
		alg  string
	}{
		{"defaults", socketcluster.Config{}, 24 * time.Hour, "HS256"},
		{"configured", socketcluster.Config{AuthDefaultExpiry: time.Hour, AuthAlgorithm: "HS512"}, time.Hour, "HS512"},
	} {
		t.Run(test.name, func(t *testing.T) {
			inBubble(t, test.cfg, func(w *world) {
				token, err := w.srv.Auth().Sign(ctx, map[string]any{"username": "bob"})
				if err != nil {
					t.Fatal(err)
				}
				exp, ok := token.ExpiresAt()
				if want := time.Now().Add(test.life); !ok || !exp.Equal(want) {
					t.Errorf("expires at %v, want %v", exp, want)
				}
				if alg := token.Algorithm(); alg != test.alg {
					t.Errorf("algorithm %s, want %s", alg, test.alg)
				}
				if _, status := w.connect(quote(token.Signed())); status["isAuthenticated"] != true {
					t.Errorf("status %v", status)
				}
			})
		})
	}
}

// DOC-8, JWT-20: a key alone signs with HS256 and admits all HMAC algorithms;
// with AuthAlgorithm, that one only.
func TestHMACAlgorithms(t *testing.T) {
	for _, only := range []string{"", "HS256"} {
		inBubble(t, socketcluster.Config{AuthAlgorithm: only}, func(w *world) {
			if header, _, _ := strings.Cut(w.sign(map[string]any{}), "."); header != "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9" {
				t.Errorf("AuthAlgorithm %q: the header is %s", only, header)
			}
		})
		for _, alg := range []string{"HS256", "HS384", "HS512"} {
			inBubble(t, socketcluster.Config{AuthAlgorithm: only}, func(w *world) {
				engine, err := auth.NewJWT(auth.Options{Key: testKey, Algorithm: alg})
				if err != nil {
					t.Fatal(err)
				}
				token, err := engine.Sign(context.Background(), map[string]any{})
				if err != nil {
					t.Fatal(err)
				}
				_, status := w.connect(quote(token.Signed()))
				if want := only == "" || alg == only; status["isAuthenticated"] != want {
					t.Errorf("AuthAlgorithm %q: a token of %s: %v", only, alg, status)
				}
			})
		}
	}
}
