package jsclient

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"sync"
	"testing"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/auth/httpauth"
	"github.com/socketcluster-go/socketcluster/auth/revoke"
	"github.com/socketcluster-go/socketcluster/wire"
)

// header makes an option that adds a header to the upgrade request of a client
// in Node.js, as a browser does with a cookie.
func header(name, value string) options {
	return options{"wsOptions": options{"headers": options{name: value}}}
}

// The stock client takes a login that it has no token for as one.
func TestTokenOfRequest(t *testing.T) {
	n := startNode(t)
	srv := startServer(t, socketcluster.Config{
		Auth:         auth.Options{Key: key},
		TokenSources: []httpauth.Source{httpauth.Cookie("token"), httpauth.Bearer()},
		Revocations:  new(revoke.Memory),
	}, serveGuide)
	token := sign(t, map[string]any{"username": "alice123", "sid": "7"})

	// wantAlice checks that a client knows that it is logged in, and nothing
	// more.
	wantAlice := func(t *testing.T, c *client, st status) {
		t.Helper()
		if !st.IsAuthenticated || st.AuthError != nil || st.AuthToken != nil {
			t.Errorf("status: %+v", st)
		}
		if s := c.state(t); s.AuthState != "authenticated" || s.AuthToken != nil || s.SignedAuthToken != nil || s.Stored != nil {
			t.Errorf("the client is %+v", s)
		}
		if got, ok := socketcluster.Claims[claims](srv.socket(t, st)); !ok || got.Username != "alice123" {
			t.Errorf("the server reads %+v", got)
		}
	}

	for name, value := range map[string]string{"Cookie": "a=b; token=" + token, "Authorization": "Bearer " + token} {
		t.Run(name, func(t *testing.T) {
			c := n.client(t, srv, nil, header(name, value))
			wantAlice(t, c, c.connect(t))
			c.do(t, "subscribe", "news", options{"waitForAuth": true})
			c.wantDiary(t, "connecting authStateChange authenticate connect subscribeRequest subscribeStateChange subscribe")

			c.do(t, "deauthenticate")
			c.wantUser(t, "")
			wantAlice(t, c, c.reconnect(t)) // the cookie is still there
		})
	}

	t.Run("a stored token wins", func(t *testing.T) {
		c := n.client(t, srv, sign(t, claims{"bob", nil}), header("Cookie", "token="+token))
		if st := c.connect(t); !st.IsAuthenticated {
			t.Errorf("status: %+v", st)
		}
		c.wantUser(t, "bob")
	})

	t.Run("HS-11 row 5: a bad token", func(t *testing.T) {
		c := n.client(t, srv, nil, header("Cookie", "token=nonsense"))
		wantAuthError(t, c.connect(t), "AuthTokenInvalidError", "jwt malformed", map[string]any{"isBadToken": true})
		c.barrier(t)
		c.wantUser(t, "")
		c.wantDiary(t, "connecting connect")
	})

	t.Run("a page of another origin", func(t *testing.T) {
		c := n.client(t, srv, nil, options{"wsOptions": options{"origin": "https://evil.example", "headers": options{"Cookie": "token=" + token}}})
		c.do(t, "dial")
		if got := decode[closed](t, c.wait(t, "connectAbort")); got.Code != 1006 {
			t.Errorf("connectAbort: %+v", got)
		}
	})

	t.Run("a login over the socket replaces it", func(t *testing.T) {
		c := n.connected(t, srv, nil, header("Cookie", "token="+token))
		c.login(t, alice)
		c.wantUser(t, alice.Username)
		if s := c.state(t); s.Stored == nil {
			t.Error("the client has not kept its token")
		}
	})

	t.Run("revocation", func(t *testing.T) {
		c := n.connected(t, srv, nil, header("Cookie", "token="+token))
		if err := srv.Revoke(t.Context(), revoke.Revocation{Session: "7"}); err != nil {
			t.Fatal(err)
		}
		c.wait(t, "deauthenticate")
		c.wantUser(t, "")
		if st := c.reconnect(t); st.IsAuthenticated || st.AuthError == nil {
			t.Errorf("status: %+v", st)
		}
	})
}

// opaque is an engine whose tokens are random text.
type opaque struct {
	mu     sync.Mutex
	tokens map[string]*auth.Token
}

func (o *opaque) Sign(_ context.Context, claims any, _ ...auth.SignOption) (*auth.Token, error) {
	payload, err := json.Marshal(claims)
	if err != nil {
		return nil, err
	}
	token, err := auth.NewToken(rand.Text(), payload)
	if err != nil {
		return nil, err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.tokens[token.Signed()] = token
	return token, nil
}

func (o *opaque) Verify(_ context.Context, signed string, _ ...auth.VerifyOption) (*auth.Token, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if token := o.tokens[signed]; token != nil {
		return token, nil
	}
	return nil, &wire.Error{Name: wire.NameAuthTokenInvalid, Message: "no such login", Fields: []wire.Field{{Key: "isBadToken", Value: true}}}
}

// AUTH-10: the stock client keeps and presents tokens that are no JWTs.
func TestEngineWithoutJWT(t *testing.T) {
	n := startNode(t)
	engine := &opaque{tokens: make(map[string]*auth.Token)}
	srv := startServer(t, socketcluster.Config{AuthEngine: engine}, serveGuide)
	c := n.connected(t, srv, nil)
	c.login(t, alice)
	token, _ := c.state(t).Stored.(string)
	if s := srv.only(t); token == "" || s.AuthToken().Signed() != token {
		t.Fatalf("the client has %q, the server %q", token, s.AuthToken().Signed())
	}
	st := c.reconnect(t)
	if !st.IsAuthenticated || st.AuthToken != token {
		t.Errorf("status: %+v", st)
	}
	if got, ok := socketcluster.Claims[claims](srv.socket(t, st)); !ok || got.Username != alice.Username {
		t.Errorf("the server reads %+v", got)
	}
	if s := c.state(t); s.AuthState != "authenticated" || s.AuthToken != nil {
		t.Errorf("the client is %+v", s)
	}
	_, err := c.try(t, "authenticate", "nonsense")
	wantJSError(t, err, "AuthTokenInvalidError", "no such login")
	c.wantUser(t, "")
}
