package jsclient

import (
	"crypto/elliptic"
	"encoding/hex"
	"testing"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/auth"
)

// wantRefused connects with a token that is not accepted.
func wantRefused(t *testing.T, n *node, srv *server, token, name, message string) {
	t.Helper()
	st := n.client(t, srv, token).connect(t)
	if st.IsAuthenticated || st.AuthError == nil || st.AuthError.Name != name || st.AuthError.Message != message {
		t.Errorf("got %+v, want %s: %s", st, name, message)
	}
}

func wantAccepted(t *testing.T, n *node, srv *server, token string) {
	t.Helper()
	if st := n.client(t, srv, token).connect(t); !st.IsAuthenticated || st.AuthError != nil {
		t.Errorf("got %+v, want it authenticated", st)
	}
}

// loginAndReturn logs in, has jsonwebtoken verify the token, and opens another
// connection with it. It returns the token.
func loginAndReturn(t *testing.T, n *node, srv *server, verifyKey, algorithm string) string {
	t.Helper()
	c := n.connected(t, srv, nil)
	c.login(t, alice)
	token := *c.state(t).SignedAuthToken
	got := decode[map[string]any](t, n.do(t, "verify", token, verifyKey, options{"algorithms": []string{algorithm}}))
	if got["username"] != alice.Username {
		t.Errorf("jsonwebtoken reads %v", got)
	}
	if st := c.reconnect(t); !st.IsAuthenticated || st.AuthToken != token {
		t.Errorf("second connection: %+v", st)
	}
	c.wantUser(t, alice.Username)
	return token
}

func TestRow01_AuthKey(t *testing.T) {
	n := startNode(t)

	// AUTH-5
	t.Run("1.1 authKey signs and verifies", func(t *testing.T) {
		srv := startServer(t, withKey(key), serveGuide)
		token := loginAndReturn(t, n, srv, key, "HS256")

		twin := startServer(t, socketcluster.Config{Auth: auth.Options{Key: key}}, nil)
		wantAccepted(t, n, twin, token)
		stranger := startServer(t, socketcluster.Config{Auth: auth.Options{Key: "some other key of the same length....."}}, nil)
		wantRefused(t, n, stranger, token, "AuthTokenInvalidError", "invalid signature")
	})

	// AUTH-5: the text of the key is the key.
	t.Run("1.2 a random 256-bit key when none is given", func(t *testing.T) {
		srv := startServer(t, socketcluster.Config{}, serveGuide)
		generated := srv.Auth().(*auth.JWT).GeneratedKey()
		if raw, err := hex.DecodeString(generated); err != nil || len(raw) != 32 {
			t.Fatalf("the key is %q", generated)
		}
		token := loginAndReturn(t, n, srv, generated, "HS256")
		wantAccepted(t, n, srv, decode[string](t, n.do(t, "sign", options{"username": "eve"}, generated, options{})))

		other := startServer(t, socketcluster.Config{}, nil)
		wantRefused(t, n, other, token, "AuthTokenInvalidError", "invalid signature")
	})

	// AUTH-6, QK-22: the algorithm follows from the key.
	for algorithm, pair := range map[string]keyPair{"RS256": rsaPair(), "ES256": ecPair(elliptic.P256())} {
		t.Run("1.3 authPrivateKey and authPublicKey with "+algorithm, func(t *testing.T) {
			srv := startServer(t, withKeyPair([]byte(pair.private), []byte(pair.public)), serveGuide)
			loginAndReturn(t, n, srv, pair.public, algorithm)
			wantAccepted(t, n, srv, decode[string](t, n.do(t, "sign", options{"username": "eve"}, pair.private, options{"algorithm": algorithm})))

			// JWT-20: the public key is no secret for HMAC.
			forger := newJWT(t, auth.Options{Key: pair.public[len("-----BEGIN "):]})
			wantRefused(t, n, srv, signWith(t, forger, options{"username": "eve"}), "AuthTokenInvalidError", "invalid algorithm")
		})
		t.Run("1.4 authAlgorithm pins "+algorithm, func(t *testing.T) {
			srv := startServer(t, socketcluster.Config{Auth: auth.Options{PrivateKey: []byte(pair.private), PublicKey: []byte(pair.public), Algorithm: algorithm}}, serveGuide)
			loginAndReturn(t, n, srv, pair.public, algorithm)
		})
	}

	t.Run("1.5 signatureKey and verificationKey can differ", func(t *testing.T) {
		const theirs = "the key of the server that issues our tokens"
		cfg, err := withTwoKeys(key, theirs)
		if err != nil {
			t.Fatal(err)
		}
		srv := startServer(t, cfg, serveGuide)
		c := n.connected(t, srv, nil)
		c.login(t, alice) // the server's own token needs no verification
		c.wantUser(t, alice.Username)
		if st := c.reconnect(t); st.IsAuthenticated || st.AuthError == nil || st.AuthError.Message != "invalid signature" {
			t.Errorf("own token: %+v", st)
		}
		wantAccepted(t, n, srv, decode[string](t, n.do(t, "sign", options{"username": "eve"}, theirs, options{})))
	})

	// AUTH-9
	t.Run("1.6 both can be replaced while the server runs", func(t *testing.T) {
		engine := newJWT(t, auth.Options{Key: key})
		srv := startServer(t, socketcluster.Config{AuthEngine: engine}, serveGuide)
		c := n.connected(t, srv, nil)
		c.login(t, alice)
		old := *c.state(t).SignedAuthToken

		pair := ecPair(elliptic.P256())
		if err := engine.SetSignatureKey(parsePEM(t, pair.private)); err != nil {
			t.Fatal(err)
		}
		if err := engine.SetVerificationKey(parsePEM(t, pair.public)); err != nil {
			t.Fatal(err)
		}
		c.barrier(t)
		c.wantUser(t, alice.Username)
		wantRefused(t, n, srv, old, "AuthTokenInvalidError", "invalid algorithm")
		loginAndReturn(t, n, srv, pair.public, "ES256")
	})
}
