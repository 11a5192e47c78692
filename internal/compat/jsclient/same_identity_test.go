package jsclient

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/internal/compat/browsertest"
	"github.com/socketcluster-go/socketcluster/internal/compat/npm"
)

// tries is how often each way to an identity is gone in each environment;
// IDENTITY_TRIES makes it more, see make logins.
func tries(t *testing.T) int {
	text := os.Getenv("IDENTITY_TRIES")
	if text == "" {
		return 20
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("IDENTITY_TRIES is %q", text)
	}
	return n
}

// plan is what identity.mjs is to do.
type plan struct {
	Way     string  `json:"way"`
	Token   string  `json:"token,omitempty"`
	Want    *string `json:"want"`
	Options options `json:"options,omitempty"`
	Batch   bool    `json:"batch,omitempty"`
}

// environment is where stock clients run.
type environment struct {
	name     string
	attempts func(t *testing.T, srv *server, count int, p plan) map[string]int
}

// environments are Node.js, where the client gets all frames of one segment in
// one turn, and Chromium, where it does not.
func environments(t *testing.T) []environment {
	n := startNode(t)
	browser := browsertest.Start(t)
	return []environment{
		{"Node", func(t *testing.T, srv *server, count int, p plan) map[string]int {
			p.Options = maps.Clone(p.Options)
			if p.Options == nil {
				p.Options = options{}
			}
			p.Options["port"] = srv.port
			return decode[map[string]int](t, n.do(t, "attempts", count, p))
		}},
		{"Chromium", func(t *testing.T, srv *server, count int, p plan) map[string]int {
			tab := browser.NewTab(t)
			defer tab.Close()
			tab.Navigate(fmt.Sprintf("http://127.0.0.1:%d/js/identity.html", srv.port))
			tab.WaitText("body", "ready")
			text, err := json.Marshal(p)
			if err != nil {
				t.Fatal(err)
			}
			var wrong map[string]int
			tab.Eval(fmt.Sprintf("attempts(%d, %s)", count, text), &wrong)
			return wrong
		}},
	}
}

// attemptAll goes a way in all environments, in steps that end within their
// time limits.
func attemptAll(t *testing.T, all []environment, srv *server, p plan) {
	t.Helper()
	for _, env := range all {
		t.Run(env.name, func(t *testing.T) {
			wrong := make(map[string]int)
			count := tries(t)
			for left := count; left > 0; left -= 50 {
				for what, n := range env.attempts(t, srv, min(left, 50), p) {
					wrong[what] += n
				}
			}
			failed := 0
			for what, n := range wrong {
				failed += n
				t.Errorf("%d times: %s", n, what)
			}
			t.Logf("%d of %d", count-failed, count)
		})
	}
}

// serveIdentity has a server tell clients who they are, and gives pages the
// stock client.
func serveIdentity(srv *socketcluster.Server) {
	type identity struct {
		Username *string `json:"username"`
		Signed   *string `json:"signed"`
	}
	srv.Handle("whoami", socketcluster.Func(func(ctx context.Context, _ socketcluster.None) (identity, error) {
		token := socketcluster.FromContext(ctx).AuthToken()
		if token == nil {
			return identity{}, nil
		}
		var who identity
		err := token.Claims(&who)
		signed := token.Signed()
		who.Signed = &signed
		return who, err
	}))
	srv.Handle("batch", socketcluster.Proc(func(ctx context.Context, _ socketcluster.None) error {
		socketcluster.FromContext(ctx).StartBatching()
		return nil
	}))
}

// pages serves the page of identity.mjs.
func pages(t *testing.T, mux *http.ServeMux) {
	stock := filepath.Join(npm.Dir(t), "node_modules", "socketcluster-client", "socketcluster-client.min.js")
	mux.Handle("GET /js/", http.StripPrefix("/js/", http.FileServer(http.Dir("js"))))
	mux.HandleFunc("GET /client.js", func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, stock) })
}

// is reports whether a socket is a user's.
func is(s *socketcluster.Socket, username string) bool {
	c, ok := socketcluster.Claims[claims](s)
	return ok && c.Username == username
}

// QK-53: whatever the server makes of a client's identity while it answers
// #handshake or #authenticate, or right after it, client and server end with
// the same, and so does the client's store.
func TestSameIdentity(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	become := func(s *socketcluster.Socket) { s.SetAuthToken(ctx, claims{Username: "alice"}) }
	confirm := func(t *testing.T) func(s *socketcluster.Socket) {
		return func(s *socketcluster.Socket) {
			if err := s.ConfirmAuthToken(ctx, claims{Username: "alice"}); err != nil {
				t.Errorf("confirm: %v", err)
			}
		}
	}
	onConnect := func(do func(*socketcluster.Socket)) func(*socketcluster.Server) {
		return func(srv *socketcluster.Server) {
			socketcluster.On(srv, func(e socketcluster.ConnectEvent) { do(e.Socket) })
		}
	}
	// onGuest does something as a guest has become authenticated.
	onGuest := func(do func(*socketcluster.Socket)) func(*socketcluster.Server) {
		return func(srv *socketcluster.Server) {
			socketcluster.On(srv, func(e socketcluster.AuthenticateEvent) {
				if is(e.Socket, "guest") {
					do(e.Socket)
				}
			})
		}
	}
	logout := func(s *socketcluster.Socket) { s.Deauthenticate(ctx) }
	confirmLogout := func(t *testing.T) func(s *socketcluster.Socket) {
		return func(s *socketcluster.Socket) {
			if err := s.ConfirmDeauthenticate(ctx); err != nil {
				t.Errorf("confirm: %v", err)
			}
		}
	}
	// consoled gives a token to those whose own was not accepted.
	consoled := func(srv *socketcluster.Server) {
		socketcluster.On(srv, func(e socketcluster.BadAuthTokenEvent) {
			become(e.Socket)
		})
	}
	guest, bad := sign(t, claims{Username: "guest"}), "no token"
	alice := "alice"

	all := environments(t)
	for _, c := range []struct {
		name  string
		way   string
		token string
		setup func(*socketcluster.Server)
		want  *string
		batch bool
	}{
		{"a token set in the connect event", "handshake", "", onConnect(become), &alice, false},
		{"a token set in the connect event in place of another", "handshake", guest, onConnect(become), &alice, false},
		{"a token confirmed in the connect event", "handshake", guest, onConnect(confirm(t)), &alice, false},
		{"logout in the connect event", "handshake", guest, onConnect(logout), nil, false},
		{"logout confirmed in the connect event", "handshake", guest, onConnect(confirmLogout(t)), nil, false},
		{"a token exchanged in the authenticate event of the handshake", "handshake", guest, onGuest(become), &alice, false},
		{"a token confirmed in the authenticate event of the handshake", "handshake", guest, onGuest(confirm(t)), &alice, false},
		{"logout in the authenticate event of the handshake", "handshake", guest, onGuest(logout), nil, false},
		{"a bad token in the handshake", "handshake", bad, nil, nil, false},
		{"a token in the connect event after a bad one", "handshake", bad, onConnect(become), &alice, false},

		{"a token exchanged in the authenticate event", "authenticate", guest, onGuest(become), &alice, false},
		{"a token exchanged in the authenticate event, in a batch", "authenticate", guest, onGuest(become), &alice, true},
		{"a token confirmed in the authenticate event", "authenticate", guest, onGuest(confirm(t)), &alice, false},
		{"logout in the authenticate event", "authenticate", guest, onGuest(logout), nil, false},
		{"logout in the authenticate event, in a batch", "authenticate", guest, onGuest(logout), nil, true},
		{"logout confirmed in the authenticate event", "authenticate", guest, onGuest(confirmLogout(t)), nil, false},
		{"a bad token", "authenticate", bad, nil, nil, false},
		{"a token in place of a bad one", "authenticate", bad, consoled, &alice, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			srv := startServer(t, socketcluster.Config{Auth: auth.Options{Key: key}}, func(srv *socketcluster.Server) {
				serveIdentity(srv)
				if c.setup != nil {
					c.setup(srv)
				}
			})
			attemptAll(t, all, srv, plan{Way: c.way, Token: c.token, Want: c.want, Batch: c.batch})
		})
	}
}

// QK-54: the two styles of a page that logs in by a call. By default the client has
// its token when the call is answered; with Compat.TokenAfterAnswer it gets it later.
func TestLoginPages(t *testing.T) {
	t.Parallel()
	type none = socketcluster.None
	set := func(ctx context.Context, s *socketcluster.Socket) { s.SetAuthToken(ctx, claims{Username: "alice"}) }
	handler := func(fn func(ctx context.Context, c *socketcluster.Call) (any, error)) func(*socketcluster.Server) {
		return func(srv *socketcluster.Server) { srv.Handle("login", socketcluster.HandlerFunc(fn)) }
	}
	loop := func(fn func(c *socketcluster.Call)) func(*socketcluster.Server) {
		return func(srv *socketcluster.Server) {
			socketcluster.On(srv, func(e socketcluster.ConnectEvent) {
				calls := e.Socket.Procedure("login").All()
				go func() {
					for c := range calls {
						fn(c)
					}
				}()
			})
		}
	}
	setThenEnd := handler(func(ctx context.Context, c *socketcluster.Call) (any, error) {
		set(ctx, c.Socket)
		return nil, nil
	})
	alice := "alice"
	all := environments(t)
	for _, c := range []struct {
		name        string
		afterAnswer bool
		way         string
		setup       func(*socketcluster.Server)
		want        *string
	}{
		{"a page that goes on after the call", false, "login", setThenEnd, &alice},
		{"a page that listens before the call", false, "loginWhileListening", setThenEnd, &alice},
		{"a page that listens before the call, token after answer", true, "loginWhileListening", setThenEnd, &alice},
		{"a page that listens after the call", true, "loginThenListen", setThenEnd, &alice},
		{"a page that listens after the call, a handler that answers first", true, "loginThenListen", handler(func(ctx context.Context, c *socketcluster.Call) (any, error) {
			c.Reply(nil)
			set(ctx, c.Socket)
			return nil, nil
		}), &alice},
		{"a page that listens after the call, a handler that answers later", true, "loginThenListen", handler(func(ctx context.Context, c *socketcluster.Call) (any, error) {
			c.Detach()
			set(ctx, c.Socket)
			go c.Reply(nil)
			return nil, nil
		}), &alice},
		{"a page that listens after the call, a loop", true, "loginThenListen", loop(func(c *socketcluster.Call) {
			set(c.Context(), c.Socket)
			c.Reply(nil)
		}), &alice},
		{"a page that listens after the call, a loop that answers first", true, "loginThenListen", loop(func(c *socketcluster.Call) {
			c.Reply(nil)
			set(c.Socket.Context(), c.Socket)
		}), &alice},
		{"a page that listens after a logout", true, "logoutThenListen", setThenEnd, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := socketcluster.Config{Auth: auth.Options{Key: key}, Compat: socketcluster.Compat{TokenAfterAnswer: c.afterAnswer}}
			srv := startServer(t, cfg, func(srv *socketcluster.Server) {
				serveIdentity(srv)
				c.setup(srv)
				srv.Handle("logout", socketcluster.Proc(func(ctx context.Context, _ none) error {
					socketcluster.FromContext(ctx).Deauthenticate(ctx)
					return nil
				}))
			})
			attemptAll(t, all, srv, plan{Way: c.way, Want: c.want})
		})
	}
}
