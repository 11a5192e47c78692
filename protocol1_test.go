package socketcluster_test

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/wire"
)

// path1 is where the servers of these tests speak version 1.
const path1 = "/socketcluster/v14/"

var twoPaths = socketcluster.Config{Protocol1Path: path1}

// client1 connects in version 1.
func (w *world) client1() *peer {
	w.t.Helper()
	p := w.dial1()
	p.send(`{"event":"#handshake","data":{"authToken":null},"cid":1}`)
	p.next()
	return p
}

func (w *world) dial1() *peer {
	w.t.Helper()
	p, resp := w.upgrade(func(r *http.Request) { r.URL.Path = path1 })
	if resp.StatusCode != http.StatusSwitchingProtocols {
		w.t.Fatalf("upgrade: %s", resp.Status)
	}
	return p
}

// PP-1, PP-4, HS-5: one server speaks both versions, each at its path, and its
// channels and handlers are those of all.
func TestTwoPaths(t *testing.T) {
	inBubble(t, twoPaths, func(w *world) {
		w.srv.Handle("version", socketcluster.Func(func(_ context.Context, c *socketcluster.Call, _ socketcluster.None) (wire.Version, error) {
			return c.Socket.ProtocolVersion(), nil
		}))
		p, p1 := w.client(), w.client1()
		for _, c := range []struct {
			peer   *peer
			answer string
		}{{p, `{"rid":3,"data":2}`}, {p1, `{"rid":3,"data":1}`}} {
			c.peer.send(`{"event":"#subscribe","data":{"channel":"a"},"cid":2}`)
			c.peer.send(`{"event":"version","cid":3}`)
			c.peer.want(`{"rid":2}`, c.answer)
		}
		p.send(`{"event":"#publish","data":{"channel":"a","data":"new"}}`)
		p1.want(`{"event":"#publish","data":{"channel":"a","data":"new"}}`)
		p1.send(`{"event":"#publish","data":{"channel":"a","data":"old"}}`)
		p.want(`{"event":"#publish","data":{"channel":"a","data":"new"}}`, `{"event":"#publish","data":{"channel":"a","data":"old"}}`)
		p1.want(`{"event":"#publish","data":{"channel":"a","data":"old"}}`)

		for i := range 10 { // more than the pong timeout
			for _, c := range []struct {
				peer       *peer
				ping, pong string
			}{{p, "", ""}, {p1, "#1", "#2"}} {
				f, err := c.peer.nextFrame()
				if err != nil || string(f.Payload) != c.ping {
					t.Fatalf("ping %d: %q %v, want %q", i, f.Payload, err, c.ping)
				}
				c.peer.send(c.pong)
			}
		}
		if n := w.srv.ClientsCount(); n != 2 {
			t.Errorf("%d clients are left", n)
		}
		_, resp := w.upgrade(func(r *http.Request) { r.URL.Path = "/socketcluster/v13/" })
		if resp.StatusCode != http.StatusBadRequest {
			t.Errorf("at another path: %s", resp.Status)
		}
	})
}

// HS-6: in version 1, #disconnect tells why the client leaves, ahead of the
// close frame. In version 2 the name is the application's.
func TestDisconnectPacket(t *testing.T) {
	for _, test := range []struct {
		data   string
		code   int
		reason string // as the server tells it
	}{
		{`{"code":4321,"data":"bye"}`, 4321, "bye"},
		{`{"code":1000}`, 1000, ""},
		{`{"code":4321,"data":{"b":1}}`, 4321, `{"b":1}`},
		{`{"code":4001,"data":null}`, 4001, "Client pong timed out"},
	} {
		inBubble(t, twoPaths, func(w *world) {
			var told []socketcluster.DisconnectEvent
			socketcluster.On(w.srv, func(e socketcluster.DisconnectEvent) { told = append(told, e) })
			p := w.client1()
			p.send(`{"event":"#disconnect","data":` + test.data + `}`)
			p.wantClose(test.code, "")
			synctest.Wait()
			if len(told) != 1 || int(told[0].Code) != test.code || told[0].Reason != test.reason {
				t.Errorf("%s: told %+v", test.data, told)
			}
		})
	}

	t.Run("with the close frame behind it, while the inbox is busy", func(t *testing.T) {
		inBubble(t, twoPaths, func(w *world) {
			var told []string
			socketcluster.On(w.srv, func(e socketcluster.DisconnectEvent) { told = append(told, e.Reason) })
			w.srv.UseInbound(func(context.Context, socketcluster.Action) error {
				time.Sleep(time.Minute)
				return nil
			})
			p := w.client1()
			p.send(`{"event":"slow"}`)
			p.send(`{"event":"#disconnect","data":{"code":4321,"data":"bye"}}`)
			p.sendFrame(ws.NewCloseFrame(ws.NewCloseFrameBody(4321, "")))
			time.Sleep(socketcluster.DefaultCloseTimeout) // what came before is given so much time
			synctest.Wait()
			if len(told) != 1 || told[0] != "bye" {
				t.Errorf("the reasons are %q", told)
			}
			time.Sleep(time.Hour) // for the middleware
		})
	})

	t.Run("a code that may not be sent", func(t *testing.T) {
		inBubble(t, twoPaths, func(w *world) {
			p := w.client1()
			for _, data := range []string{``, `,"data":null`, `,"data":7`, `,"data":{"code":1006}`, `,"data":{"code":99999}`, `,"data":{"code":"1000"}`, `,"data":{"code":1000.5}`} {
				p.send(`{"event":"#disconnect"` + data + `}`)
			}
			p.send(`{"event":"#subscribe","data":{"channel":"a"},"cid":2}`)
			p.want(`{"rid":2}`) // it is still served
		})
	})

	t.Run("version 2", func(t *testing.T) {
		inBubble(t, twoPaths, func(w *world) {
			got := w.received()
			p := w.client()
			p.send(`{"event":"#disconnect","data":{"code":4321}}`)
			if all := got(); len(all) != 1 || all[0] != `{"code":4321}` || w.only().State() != socketcluster.Open {
				t.Errorf("received %q", all)
			}
		})
	})
}

// HS-21, AUTH-36: in version 1, the code of a refused handshake and the status
// of a refused token are in the data beside the error too.
func TestRefusalsInVersion1(t *testing.T) {
	const refused = `"error":{"message":"no","name":"E","statusCode":4501}`
	const invalid = `{"message":"jwt malformed","name":"AuthTokenInvalidError","isBadToken":true}`
	inBubble(t, twoPaths, func(w *world) {
		blocked := (&wire.Error{Name: "E", Message: "no"}).With("statusCode", 4501)
		remove := w.srv.UseHandshake(socketcluster.Guard(func(context.Context, *socketcluster.HandshakeSC) error { return blocked }))
		for _, c := range []struct {
			peer *peer
			want string
		}{
			{w.dial(), `{"rid":1,` + refused + `}`},
			{w.dial1(), `{"rid":1,` + refused + `,"data":{"code":4501}}`},
		} {
			c.peer.send(`{"event":"#handshake","data":{},"cid":1}`)
			c.peer.want(c.want)
			c.peer.wantClose(4501, "")
		}
		remove()
		for _, c := range []struct {
			peer *peer
			want string
		}{
			{w.client(), `{"rid":2,"error":` + invalid + `}`},
			{w.client1(), `{"rid":2,"error":` + invalid + `,"data":{"isAuthenticated":false,"authError":` + invalid + `}}`},
		} {
			c.peer.send(`{"event":"#authenticate","data":"x","cid":2}`)
			c.peer.want(c.want, `{"event":"#removeAuthToken"}`)
		}
	})
}
