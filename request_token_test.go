package socketcluster_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/auth/httpauth"
	"github.com/socketcluster-go/socketcluster/auth/revoke"
	"github.com/socketcluster-go/socketcluster/wire"
)

// fromRequests takes tokens from all places.
func fromRequests() socketcluster.Config {
	return socketcluster.Config{TokenSources: []httpauth.Source{
		httpauth.Cookie("token"), httpauth.Bearer(), httpauth.Subprotocol("token."),
	}}
}

// with returns an edit of an upgrade request that adds headers, in pairs.
func with(headers ...string) func(r *http.Request) {
	return func(r *http.Request) {
		for i := 0; i < len(headers); i += 2 {
			r.Header.Add(headers[i], headers[i+1])
		}
	}
}

// connectWith is connect with an upgrade request of one's own.
func (w *world) connectWith(edit func(r *http.Request), token string) (*peer, map[string]any) {
	w.t.Helper()
	p, resp := w.upgrade(edit)
	if resp.StatusCode != http.StatusSwitchingProtocols {
		w.t.Fatalf("upgrade: %s", resp.Status)
	}
	p.send(fmt.Sprintf(`{"event":"#handshake","data":{"authToken":%s},"cid":1}`, token))
	var answer struct {
		RID  int            `json:"rid"`
		Data map[string]any `json:"data"`
	}
	text := p.next()
	if err := json.Unmarshal([]byte(text), &answer); err != nil || answer.RID != 1 || answer.Data == nil {
		w.t.Fatalf("answer to the handshake: %s", text)
	}
	return p, answer.Data
}

// vouch has the application know its clients by the header X-User.
func (w *world) vouch() {
	w.web.Handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if claims := r.Header.Get("X-User"); claims != "" {
			token, err := auth.NewToken("", []byte(claims))
			if err != nil {
				w.t.Error(err)
			}
			r = r.WithContext(httpauth.NewContext(r.Context(), token))
		}
		w.srv.ServeHTTP(rw, r)
	})
}

// user is who a socket is, "" for nobody.
func user(s *socketcluster.Socket) string {
	claims, _ := socketcluster.Claims[struct{ Username string }](s)
	return claims.Username
}

// A token of the request authenticates as one of the handshake does, but is not
// shown to the client.
func TestTokenOfRequest(t *testing.T) {
	for name, headers := range map[string]func(signed string) []string{
		"cookie":      func(signed string) []string { return []string{"Cookie", "a=b; token=" + signed} },
		"bearer":      func(signed string) []string { return []string{"Authorization", "Bearer " + signed} },
		"subprotocol": func(signed string) []string { return []string{"Sec-WebSocket-Protocol", "sc, token." + signed} },
		"principal":   func(string) []string { return []string{"X-User", `{"username":"alice"}`} },
	} {
		for _, empty := range []string{`null`, `""`} {
			t.Run(name+" beside "+empty, func(t *testing.T) {
				inBubble(t, fromRequests(), func(w *world) {
					w.vouch()
					var seen []string
					socketcluster.Use(w.srv, func(_ context.Context, a *socketcluster.Handshake) error {
						v, _ := a.AuthToken.Claim("username")
						seen = append(seen, fmt.Sprintf("handshakeSC %v %t", v, a.SignedAuthToken == a.AuthToken.Signed()))
						return nil
					})
					socketcluster.Use(w.srv, func(_ context.Context, a *socketcluster.Authenticate) error {
						v, _ := a.AuthToken.Claim("username")
						seen = append(seen, fmt.Sprintf("authenticate %v %t", v, a.SignedAuthToken == a.AuthToken.Signed()))
						return nil
					})
					log := w.record()
					signed := w.sign(map[string]any{"username": "alice"})
					p, status := w.connectWith(with(headers(signed)...), empty)
					if status["isAuthenticated"] != true || status["authError"] != nil {
						t.Errorf("status %v", status)
					}
					s := w.only()
					if name == "principal" {
						signed = ""
					}
					if s.AuthState() != socketcluster.Authenticated || user(s) != "alice" || s.AuthToken().Signed() != signed {
						t.Errorf("%v as %q with %q", s.AuthState(), user(s), s.AuthToken().Signed())
					}
					if s.Request() != nil {
						t.Error("the request was not let go of")
					}
					log.want("connect authStateChange authenticate")
					if diff := cmp.Diff([]string{"handshakeSC alice true", "authenticate alice true"}, seen); diff != "" {
						t.Error(diff)
					}
					p.quiet(time.Second)
				})
			})
		}
	}
}

// A request without a token is one of nobody.
func TestRequestWithoutToken(t *testing.T) {
	inBubble(t, fromRequests(), func(w *world) {
		log := w.record()
		p, status := w.connectWith(with("Cookie", "other=x", "Authorization", "Basic QTpC", "Origin", "https://other.example"), "null")
		if status["isAuthenticated"] != false || status["authError"] != nil {
			t.Errorf("status %v", status)
		}
		log.want("connect")
		p.quiet(time.Second)
	})
}

// A subprotocol that holds a token is neither answered with nor shown to
// whatever chooses one.
func TestTokenSubprotocolIsNotAnswered(t *testing.T) {
	for _, row := range []struct {
		offered string
		shown   string
		answer  string
	}{
		{"sc, token.x", "sc", "sc"},
		{"token.x, sc, other", "sc other", "sc"},
		{"token.x", "", ""},
		{"token.x, token.y", "", ""},
		{"Token.x", "Token.x", "Token.x"},
	} {
		for _, choose := range []string{"", "first", "token"} {
			t.Run(row.offered+" "+choose, func(t *testing.T) {
				cfg := fromRequests()
				var shown string
				if choose != "" {
					cfg.Subprotocol = func(offered []string, _ *http.Request) string {
						shown = strings.Join(offered, " ")
						if choose == "token" {
							return "token.x"
						}
						return offered[0]
					}
				}
				inBubble(t, cfg, func(w *world) {
					_, resp := w.upgrade(with("Sec-WebSocket-Protocol", row.offered))
					want := []string{row.answer}
					if row.answer == "" || choose == "token" {
						want = nil
					}
					if got := resp.Header["Sec-Websocket-Protocol"]; resp.StatusCode != 101 || !slices.Equal(got, want) {
						t.Errorf("%s with %q, want %q", resp.Status, got, want)
					}
					if choose != "" && shown != row.shown {
						t.Errorf("shown %q, want %q", shown, row.shown)
					}
				})
			})
		}
	}
}

// The token of the handshake wins, then the principal, then the sources in
// their order. The winner's failure is final.
func TestTokenPrecedence(t *testing.T) {
	sign := func(name string) string {
		engine, err := auth.NewJWT(auth.Options{Key: testKey})
		if err != nil {
			t.Fatal(err)
		}
		token, err := engine.Sign(t.Context(), map[string]any{"username": name})
		if err != nil {
			t.Fatal(err)
		}
		return token.Signed()
	}
	cookie := []string{"Cookie", "token=" + sign("cookie")}
	bearer := []string{"Authorization", "Bearer " + sign("bearer")}
	principal := []string{"X-User", `{"username":"principal"}`}
	for name, row := range map[string]struct {
		message string
		headers []string
		want    string
	}{
		"all":                       {quote(sign("message")), slices.Concat(cookie, bearer, principal), "message"},
		"request":                   {"null", slices.Concat(cookie, bearer, principal), "principal"},
		"sources":                   {"null", slices.Concat(bearer, cookie), "cookie"},
		"one source":                {"null", bearer, "bearer"},
		"a bad message":             {`"x"`, slices.Concat(cookie, bearer, principal), ""},
		"a message of another type": {`5`, slices.Concat(cookie, bearer, principal), ""},
		"a bad principal":           {"null", slices.Concat([]string{"X-User", `{"exp":1}`}, cookie), ""},
		"a bad source":              {"null", slices.Concat(bearer, []string{"Cookie", "token=x"}), ""},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, fromRequests(), func(w *world) {
				w.vouch()
				_, status := w.connectWith(with(row.headers...), row.message)
				if got := user(w.only()); got != row.want || status["isAuthenticated"] != (row.want != "") || (status["authError"] == nil) != (row.want != "") {
					t.Errorf("%q, want %q; status %v", got, row.want, status)
				}
			})
		})
	}
}

// HS-11: a bad token of the request is answered like one of the handshake. The
// client is not told to forget a token, as it may have got another one since.
func TestBadTokenOfRequest(t *testing.T) {
	expired := func(w *world) []string {
		return []string{"Cookie", "token=" + w.sign(map[string]any{"username": "alice", "exp": 1})}
	}
	for name, row := range map[string]struct {
		headers func(w *world) []string
		want    map[string]any
	}{
		"expired": {expired, map[string]any{"name": "AuthTokenExpiredError", "message": "jwt expired", "isBadToken": true, "expiry": "1970-01-01T00:00:01.000Z"}},
		"no JWT": {func(*world) []string { return []string{"Authorization", "Bearer secret-text"} },
			map[string]any{"name": "AuthTokenInvalidError", "message": "jwt malformed", "isBadToken": true}},
		"two cookies": {func(w *world) []string { return []string{"Cookie", "token=secret-text; token=secret-text"} },
			map[string]any{"name": "AuthTokenError", "message": "The request has several cookies of the name that the token has", "isBadToken": true}},
		"an expired principal": {func(*world) []string { return []string{"X-User", `{"username":"alice","exp":946684800}`} }, // when a bubble begins
			map[string]any{"name": "AuthTokenExpiredError", "message": "The principal has expired", "isBadToken": true, "expiry": "2000-01-01T00:00:00.000Z"}},
		"a revoked principal": {func(*world) []string { return []string{"X-User", `{"username":"alice","sid":"7"}`} },
			map[string]any{"name": "AuthTokenInvalidError", "message": "jwt revoked", "isBadToken": true}},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := fromRequests()
			cfg.Revocations = new(revoke.Memory)
			inBubble(t, cfg, func(w *world) {
				w.vouch()
				if err := w.srv.Revoke(context.Background(), revoke.Revocation{Session: "7"}); err != nil {
					t.Fatal(err)
				}
				var handshake error
				socketcluster.Use(w.srv, func(_ context.Context, a *socketcluster.Handshake) error {
					handshake = a.AuthTokenError
					return nil
				})
				var connected socketcluster.ConnectEvent
				socketcluster.On(w.srv, func(e socketcluster.ConnectEvent) { connected = e })
				log := w.record()
				p, status := w.connectWith(with(row.headers(w)...), "null")
				if diff := cmp.Diff(row.want, status["authError"]); diff != "" || status["isAuthenticated"] != false {
					t.Errorf("status %v: %s", status, diff)
				}
				if text := fmt.Sprint(status); strings.Contains(text, "secret-text") {
					t.Errorf("the answer holds the token: %s", text)
				}
				log.want("error badAuthToken deauthenticate connect")
				if handshake == nil || connected.AuthError == nil || connected.IsAuthenticated {
					t.Errorf("handshakeSC has %v, connect %v", handshake, connected)
				}
				p.quiet(time.Second)
				if strings.Contains(w.logs.String(), "secret-text") {
					t.Errorf("the log holds the token: %s", w.logs)
				}
			})
		})
	}
}

// HS-11 row 10: middleware may refuse a principal as it may a token.
func TestPrincipalRefused(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		w.vouch()
		socketcluster.Use(w.srv, func(context.Context, *socketcluster.Authenticate) error {
			return &wire.Error{Name: "BannedError", Message: "not you"}
		})
		p, status := w.connectWith(with("X-User", `{"username":"alice"}`), "null")
		if diff := cmp.Diff(map[string]any{"name": "BannedError", "message": "not you"}, status["authError"]); diff != "" || status["isAuthenticated"] != false {
			t.Errorf("status %v: %s", status, diff)
		}
		if s := w.only(); s.AuthState() != socketcluster.Unauthenticated {
			t.Error("the socket is authenticated")
		}
		p.quiet(time.Second)
	})
}

// Errors of a source of the application stay in the server.
func TestCustomSource(t *testing.T) {
	for name, fail := range map[string]func() error{
		"an error": func() error { return errors.New("no route to db.internal") },
		"a panic":  func() error { panic("no route to db.internal") },
	} {
		t.Run(name, func(t *testing.T) {
			var asked atomic.Int32
			source := httpauth.Custom(func(r *http.Request) (string, error) {
				asked.Add(1)
				if ticket := r.Header.Get("X-Ticket"); ticket != "" {
					return ticket, nil
				}
				return "", fail()
			}, httpauth.NotAmbient)
			inBubble(t, socketcluster.Config{TokenSources: []httpauth.Source{source}}, func(w *world) {
				_, status := w.connectWith(nil, "null")
				want := map[string]any{"name": "AuthTokenError", "message": "The token could not be verified", "isBadToken": true}
				if diff := cmp.Diff(want, status["authError"]); diff != "" {
					t.Error(diff)
				}
				if !strings.Contains(w.logs.String(), "db.internal") {
					t.Errorf("the log does not say why: %s", w.logs)
				}
				// Tickets that are valid once are read once.
				asked.Store(0)
				_, status = w.connectWith(with("X-Ticket", w.sign(map[string]any{})), "null")
				if n := asked.Load(); status["isAuthenticated"] != true || n != 1 {
					t.Errorf("asked %d times, status %v", n, status)
				}
			})
		})
	}
}

// AUTH-40: a token of the request ends at its exp, and the client is notified.
func TestTokenOfRequestExpires(t *testing.T) {
	for name, headers := range map[string]func(w *world, exp int64) []string{
		"cookie": func(w *world, exp int64) []string {
			return []string{"Cookie", "token=" + w.sign(map[string]any{"exp": exp})}
		},
		"principal": func(_ *world, exp int64) []string { return []string{"X-User", fmt.Sprintf(`{"exp":%d}`, exp)} },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, fromRequests(), func(w *world) {
				w.vouch()
				p, status := w.connectWith(with(headers(w, time.Now().Unix()+60)...), "null")
				if status["isAuthenticated"] != true {
					t.Fatalf("status %v", status)
				}
				log := w.record()
				socketcluster.On(w.only(), func(socketcluster.DeauthenticateEvent) { log.note("deauthenticate") })
				p.quiet(59 * time.Second)
				p.want(removeAuthToken)
				log.want("deauthenticate")
				if w.only().AuthState() != socketcluster.Unauthenticated {
					t.Error("the socket is authenticated")
				}
			})
		})
	}
}

// A token of the request is not replaced on the wire: scripts of the page would
// get what its cookie keeps from them. One that the application sets itself is.
func TestTokenOfRequestIsNotRenewed(t *testing.T) {
	cfg := fromRequests()
	cfg.Timeouts.PingDisabled = true
	cfg.TokenRenewal = socketcluster.TokenRenewal{Every: time.Minute}
	inBubble(t, cfg, func(w *world) {
		w.handleLogin()
		w.vouch()
		for _, headers := range [][]string{{"Cookie", "token=" + w.sign(map[string]any{})}, {"X-User", `{}`}} {
			p, _ := w.connectWith(with(headers...), "null")
			token := w.only().AuthToken()
			p.quiet(time.Hour)
			if w.only().AuthToken() != token {
				t.Error("the socket has another token than the request")
			}
			p.send(`{"event":"login","data":{"username":"bob"},"cid":2}`)
			p.nextToken()
			p.want(`{"rid":2}`)
			if claims := p.nextToken(); claims["username"] != "bob" || claims["jti"] == nil {
				t.Errorf("renewed with %v", claims)
			}
			p.Conn.Close()
			synctest.Wait()
		}
	})
}

// Changed claims reach the socket, and not the client.
func TestUpdateClaimsOfRequest(t *testing.T) {
	cfg := fromRequests()
	cfg.Timeouts.PingDisabled = true
	cfg.TokenRenewal = socketcluster.TokenRenewal{Every: time.Minute}
	for name, headers := range map[string]func(w *world) []string{
		"cookie":    func(w *world) []string { return []string{"Cookie", "token=" + w.sign(map[string]any{"sub": "alice"})} },
		"principal": func(*world) []string { return []string{"X-User", `{"sub":"alice"}`} },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, cfg, func(w *world) {
				w.vouch()
				p, _ := w.connectWith(with(headers(w)...), "null")
				for range 2 { // what the second one changes is still none of the client's
					n, err := socketcluster.UpdateClaims(context.Background(), w.srv, "sub", "alice", func(c *roomClaims) error { c.Admin = !c.Admin; return nil })
					if n != 1 || err != nil {
						t.Fatalf("%d sockets, %v", n, err)
					}
				}
				n, err := socketcluster.UpdateClaims(context.Background(), w.srv, "sub", "alice", func(c *roomClaims) error { c.Rooms = []string{"a"}; return nil })
				if claims, _ := socketcluster.Claims[roomClaims](w.only()); n != 1 || err != nil || !slices.Equal(claims.Rooms, []string{"a"}) {
					t.Errorf("%d sockets with %v, %v", n, claims, err)
				}
				p.quiet(time.Hour)
			})
		})
	}
}

// Revocations reach sockets whose token came with the request.
func TestRevokeTokenOfRequest(t *testing.T) {
	for _, disconnect := range []bool{false, true} {
		cfg := fromRequests()
		cfg.Revocations = new(revoke.Memory)
		inBubble(t, cfg, func(w *world) {
			w.vouch()
			cookie := with("Cookie", "token="+w.sign(map[string]any{"sid": "7"}))
			byCookie, _ := w.connectWith(cookie, "null")
			byPrincipal, _ := w.connectWith(with("X-User", `{"sid":"7"}`), "null")
			if err := w.srv.Revoke(context.Background(), revoke.Revocation{Session: "7", Disconnect: disconnect}); err != nil {
				t.Fatal(err)
			}
			for _, p := range []*peer{byCookie, byPrincipal} {
				p.want(removeAuthToken)
				if disconnect {
					p.wantClose(1000, "")
				}
			}
			if _, status := w.connectWith(cookie, "null"); status["isAuthenticated"] != false || status["authError"] == nil {
				t.Errorf("a new connection: %v", status)
			}
		})
	}
}

// AUTH-32: a logout over the socket is one of this connection. The cookie
// outlives it, until it is cleared over HTTP.
func TestLogoutAndReconnectWithCookie(t *testing.T) {
	inBubble(t, fromRequests(), func(w *world) {
		log := w.record()
		cookie := with("Cookie", "token="+w.sign(map[string]any{"username": "alice"}))
		p, _ := w.connectWith(cookie, "null")
		log.want("connect authStateChange authenticate")
		p.send(removeAuthToken)
		log.want("authStateChange deauthenticate")
		if user(w.only()) != "" {
			t.Error("the socket is still authenticated")
		}
		p.quiet(time.Second)
		p.Conn.Close()
		synctest.Wait()
		log.take()

		_, status := w.connectWith(cookie, "null")
		if status["isAuthenticated"] != true || user(w.only()) != "alice" {
			t.Errorf("the next connection: %v", status)
		}
	})
}
