package socketcluster_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/auth/revoke"
	"github.com/socketcluster-go/socketcluster/wire"
)

type roomClaims struct {
	Rooms []string `json:"rooms,omitempty"`
	Admin bool     `json:"admin,omitempty"`
}

// nextClaims returns the claims of the next message, which must set a token,
// as they are written in it.
func (p *peer) nextClaims() map[string]json.RawMessage {
	p.t.Helper()
	var packet struct {
		Event string
		Data  struct{ Token string }
	}
	if err := json.Unmarshal([]byte(p.next()), &packet); err != nil || packet.Event != "#setAuthToken" {
		p.t.Fatalf("got %+v, %v", packet, err)
	}
	engine, _ := auth.NewJWT(auth.Options{Key: testKey})
	token, err := engine.Verify(context.Background(), packet.Data.Token)
	if err != nil {
		p.t.Fatal(err)
	}
	var claims map[string]json.RawMessage
	if err := token.Claims(&claims); err != nil {
		p.t.Fatal(err)
	}
	return claims
}

// A change of a user's claims reaches every socket of that user and no other,
// keeps what is not changed as it was, and ends what the user has lost.
func TestUpdateClaims(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		w.srv.UseInbound(socketcluster.Guard(func(_ context.Context, a *socketcluster.Subscribe) error {
			claims, _ := socketcluster.Claims[roomClaims](a.Socket)
			for _, room := range claims.Rooms {
				if room == a.Channel {
					return nil
				}
			}
			return &wire.Error{Name: "SubscribeError", Message: "no access"}
		}))
		exp := time.Now().Add(time.Hour).Unix()
		login := func(user string) *peer {
			p := w.login(json.RawMessage(fmt.Sprintf(
				`{"big":12345678901234567890,"rooms":["a","b"],"admin":true,"sub":%q,"exp":%d,"jti":"1"}`, user, exp)))
			p.send(`{"event":"#subscribe","data":{"channel":"a"},"cid":2}`)
			p.want(`{"rid":2}`)
			p.send(`{"event":"#subscribe","data":{"channel":"b"},"cid":3}`)
			p.want(`{"rid":3}`)
			return p
		}
		phone, tablet, other := login("alice"), login("alice"), login("bob")
		time.Sleep(10 * time.Second)

		n, err := socketcluster.UpdateClaims(context.Background(), w.srv, "sub", "alice", func(c *roomClaims) {
			c.Rooms, c.Admin = []string{"b"}, false
		})
		if n != 2 || err != nil {
			t.Fatalf("%d sockets, %v", n, err)
		}
		for _, p := range []*peer{phone, tablet} {
			claims := p.nextClaims()
			if string(claims["rooms"]) != `["b"]` || claims["admin"] != nil || string(claims["big"]) != "12345678901234567890" ||
				string(claims["sub"]) != `"alice"` || string(claims["exp"]) != strconv.FormatInt(exp, 10) || string(claims["iat"]) != strconv.FormatInt(exp-3590, 10) ||
				claims["jti"] == nil || string(claims["jti"]) == `"1"` {
				t.Errorf("the claims are %s", claims)
			}
			p.want(`{"event":"#kickOut","data":{"channel":"a","message":"no access"}}`)
		}
		for channel, want := range map[string]int{"a": 1, "b": 3} {
			if n := w.srv.Exchange().SubscriberCount(channel); n != want {
				t.Errorf("%d subscribers of %s, want %d", n, channel, want)
			}
		}
		other.quiet(time.Second)

		for name, change := range map[string]func(*map[string]any){
			"claims that cannot be encoded": func(c *map[string]any) { (*c)["x"] = make(chan int) },
			"a claim that cannot be signed": func(c *map[string]any) { (*c)["exp"] = "soon" },
		} {
			if n, err := socketcluster.UpdateClaims(context.Background(), w.srv, "sub", "bob", change); n != 0 || err == nil {
				t.Errorf("%s: %d sockets, %v", name, n, err)
			}
		}
		other.quiet(time.Second)
		ended, cancel := context.WithCancel(context.Background())
		cancel()
		if n, err := socketcluster.UpdateClaims(ended, w.srv, "sub", "bob", func(*roomClaims) {}); n != 0 || err == nil {
			t.Errorf("with a context that has ended: %d sockets, %v", n, err)
		}
	})
}

// An update that meets a logout or another login leaves the socket with the
// outcome of that.
func TestUpdateClaimsMeetsLogin(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		w.client()
		s := w.only()
		login := func(user string) {
			if err := s.SetAuthToken(context.Background(), map[string]string{"sub": user}); err != nil {
				t.Fatal(err)
			}
		}
		for _, row := range []struct {
			then func()
			want string // the user in the end
		}{
			{func() { login("bob") }, "bob"},
			{func() { _ = s.Deauthenticate(context.Background()) }, ""},
			{func() { login("alice") }, "alice"},
		} {
			login("alice")
			first := true
			n, err := socketcluster.UpdateClaims(context.Background(), w.srv, "sub", "alice", func(c *roomClaims) {
				c.Admin = true
				if first {
					first = false
					row.then()
				}
			})
			if err != nil {
				t.Fatal(err)
			}
			claims, _ := socketcluster.Claims[struct {
				Sub   string
				Admin bool
			}](s)
			again := row.want == "alice"
			if claims.Sub != row.want || claims.Admin != again || (n == 1) != again {
				t.Errorf("the update of %d sockets left %+v, want the user %q", n, claims, row.want)
			}
		}
	})
}

// With revocations, the rights that a user has lost do not come back with the
// old token, on a socket or with a new one, and each tab of the user, with the
// same token, gets its new one first.
func TestUpdateClaimsRevokesTheOldTokens(t *testing.T) {
	inBubble(t, socketcluster.Config{Revocations: &revoke.Memory{}}, func(w *world) {
		ctx := context.Background()
		old := w.sign(map[string]any{"sub": 7, "admin": true}) // as a login over HTTP does
		w.connect(quote(old))
		tab, _ := w.connect(quote(old))
		var lost bool
		socketcluster.On(w.srv, func(socketcluster.DeauthenticateEvent) { lost = true })

		n, err := socketcluster.UpdateClaims(ctx, w.srv, "sub", "7", func(c *roomClaims) { c.Admin = false })
		if n != 2 || err != nil {
			t.Fatalf("%d sockets, %v", n, err)
		}
		if claims := tab.nextClaims(); claims["admin"] != nil || string(claims["sub"]) != "7" || claims["jti"] == nil {
			t.Errorf("the claims are %s", claims)
		}
		synctest.Wait()
		if lost {
			t.Error("a socket was logged out")
		}

		tab.send(`{"event":"#authenticate","data":` + quote(old) + `,"cid":2}`)
		if got := tab.next(); !strings.Contains(got, "jwt revoked") {
			t.Errorf("the old token was answered with %s", got)
		}
		if _, status := w.connect(quote(old)); status["isAuthenticated"] != false {
			t.Errorf("a new socket with the old token: %v", status)
		}
	})
}
