package socketcluster_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/auth/authtest"
	"github.com/socketcluster-go/socketcluster/auth/httpauth"
)

// AUTH-10: the engine of the example keeps the promises of one.
func TestLoginsEngine(t *testing.T) {
	authtest.TestEngine(t, func(*testing.T) auth.Engine { return new(logins) })
}

// AUTH-10: with an engine whose tokens are no JWTs, everything goes as with
// one: login, presenting a token, a bad one, expiry, logout, cookies.
func TestEngineWithoutJWT(t *testing.T) {
	engine := new(logins)
	cfg := socketcluster.Config{AuthEngine: engine, TokenSources: []httpauth.Source{httpauth.Cookie("token")}, PingTimeoutDisabled: true}
	inBubble(t, cfg, func(w *world) {
		w.handleLogin(auth.ExpiresIn(time.Minute))
		log := w.record()
		p := w.client()
		p.send(`{"event":"login","data":{"username":"alice"},"cid":2}`)
		var set struct {
			Event string
			Data  struct{ Token string }
		}
		if err := json.Unmarshal([]byte(p.next()), &set); err != nil || set.Event != "#setAuthToken" || len(set.Data.Token) < 20 || strings.Contains(set.Data.Token, ".") {
			t.Fatalf("got %+v, %v", set, err)
		}
		token := set.Data.Token
		p.want(`{"rid":2}`)
		log.want("connect authTokenSigned authStateChange authenticate")
		if s := w.only(); user(s) != "alice" || s.SignedAuthToken() != token {
			t.Errorf("%q with %q", user(s), s.SignedAuthToken())
		}
		p.send(removeAuthToken)
		p.send(`{"event":"#authenticate","data":` + quote(token) + `,"cid":2}`)
		p.want(wasAdmitted)
		log.want("authStateChange deauthenticate authStateChange authenticate")
		p.send(`{"event":"#authenticate","data":"nonsense","cid":3}`)
		p.want(`{"rid":3,"error":{"message":"no such login","name":"AuthTokenInvalidError","isBadToken":true}}`, removeAuthToken)
		p.conn.Close()

		again, status := w.connect(quote(token))
		if status["isAuthenticated"] != true {
			t.Errorf("status %v", status)
		}
		byCookie, status := w.connectWith(with("Cookie", "token="+token), "null")
		if status["isAuthenticated"] != true {
			t.Errorf("status %v", status)
		}
		for _, p := range []*peer{again, byCookie} {
			p.quiet(time.Until(time.Date(2000, 1, 1, 0, 1, 0, 0, time.UTC)))
			p.want(removeAuthToken)
		}

		// What the engine forgets is over.
		engine.mu.Lock()
		clear(engine.tokens)
		engine.mu.Unlock()
		late, status := w.connect(quote(token))
		if e, _ := status["authError"].(map[string]any); e["message"] != "no such login" {
			t.Errorf("status %v", status)
		}
		late.want(removeAuthToken)
	})
}
