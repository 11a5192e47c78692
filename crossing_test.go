package socketcluster_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/socketcluster-go/socketcluster"
)

// A logout may cross what gives the client its identity: a token, or the answer to its
// own. The server takes it away again, unless a pong has told that the client had it
// before. What the client asks for after its logout comes later.
func TestLogoutCrossesToken(t *testing.T) {
	const (
		login  = `{"event":"login","cid":2}`
		logout = `{"event":"#removeAuthToken"}`
	)
	guest := func(w *world) string {
		return `{"event":"#authenticate","data":` + quote(w.sign(map[string]any{})) + `,"cid":3}`
	}
	for name, test := range map[string]struct {
		cfg socketcluster.Config
		do  func(w *world, p *peer)
	}{
		"a login": {do: func(_ *world, p *peer) {
			p.send(login)
			synctest.Wait()
			p.send(logout)
			p.frames("T", `{"rid":2}`, removeAuthToken)
		}},
		"a token of the server": {do: func(w *world, p *peer) {
			become(w.only())
			p.send(logout)
			p.frames("T", removeAuthToken)
		}},
		"a second logout": {do: func(w *world, p *peer) {
			become(w.only())
			p.send(logout)
			p.send(logout)
			p.frames("T", removeAuthToken)
		}},
		"a login after the logout": {do: func(_ *world, p *peer) {
			p.send(login)
			synctest.Wait()
			p.send(logout)
			p.send(login)
			p.frames("T", `{"rid":2}`, removeAuthToken, "T", `{"rid":2}`)
		}},
		"a pong before": {do: func(w *world, p *peer) {
			become(w.only())
			p.frames("T")
			time.Sleep(socketcluster.DefaultPingInterval)
			p.frames("")
			p.send("")
			p.send(logout)
		}},
		"a pong to an earlier ping": {do: func(w *world, p *peer) {
			time.Sleep(socketcluster.DefaultPingInterval)
			p.frames("")
			become(w.only())
			p.frames("T")
			p.send("")
			p.send(logout)
			p.frames(removeAuthToken)
		}},
		"an answer": {do: func(w *world, p *peer) {
			p.send(guest(w))
			p.send(logout)
			p.frames(`{"rid":3,"data":{"isAuthenticated":true,"authError":null}}`, "")
			p.silent(time.Second)
			p.send("") // of the barrier
			p.frames(removeAuthToken)
		}},
		"an answer, and another one": {do: func(w *world, p *peer) {
			p.send(guest(w))
			p.send(logout)
			p.send(guest(w))
			p.frames(`{"rid":3,"data":{"isAuthenticated":true,"authError":null}}`, "")
			p.silent(time.Second)
			p.send("")
			p.frames(removeAuthToken, `{"rid":3,"data":{"isAuthenticated":true,"authError":null}}`)
		}},
		"a token that waits for the answer": {
			socketcluster.Config{Compat: socketcluster.Compat{TokenAfterAnswer: true}},
			func(_ *world, p *peer) {
				p.send(`{"event":"slow login","cid":2}`)
				synctest.Wait()
				p.send(logout)
				p.silent(time.Second)
				p.frames(`{"rid":2}`)
			},
		},
		"nothing": {do: func(_ *world, p *peer) { p.send(logout) }},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, test.cfg, func(w *world) {
				w.srv.Handle("login", socketcluster.Proc(func(ctx context.Context, _ socketcluster.None) error {
					return socketcluster.FromContext(ctx).SetAuthToken(ctx, map[string]any{})
				}))
				w.srv.Handle("slow login", socketcluster.Proc(func(ctx context.Context, _ socketcluster.None) error {
					err := socketcluster.FromContext(ctx).SetAuthToken(ctx, map[string]any{})
					time.Sleep(2 * time.Second) // longer than the test looks on
					return err
				}))
				p := w.client()
				p.send(`{"event":"hello"}`) // it has acted on the answer to its handshake
				synctest.Wait()
				test.do(w, p)
				p.silent(time.Second)
			})
		})
	}
}
