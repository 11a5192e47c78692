package socketcluster_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"

	"github.com/socketcluster-go/socketcluster"
)

// ST-9, ST-10, QK-45: the receiver, the procedure and the event of one name
// are three streams, and each socket has its own.
func TestStreamsApart(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		got := map[string][]string{}
		note := func(stream, item string) { got[stream] = append(got[stream], item) }
		ended := make(chan struct{}, 6)
		n := 0
		socketcluster.On(w.srv, func(e socketcluster.ConnectEvent) {
			n++
			who := fmt.Sprint(n)
			s := e.Socket
			items, calls := s.Receiver("error"), s.Procedure("error")
			events := socketcluster.Events[socketcluster.ErrorEvent](context.Background(), s)
			go func() {
				for item := range items {
					note("receiver "+who, string(item.Data))
				}
				ended <- struct{}{}
			}()
			go func() {
				for call := range calls {
					note("procedure "+who, string(call.Data))
					call.End(nil)
				}
				ended <- struct{}{}
			}()
			go func() {
				for e := range events {
					note("event "+who, e.Err.Error())
				}
				ended <- struct{}{}
			}()
		})
		p := w.client()
		synctest.Wait() // the first one has its loops
		other := w.client()
		synctest.Wait()
		for _, step := range []struct {
			on     *peer
			send   string
			answer string
		}{
			{p, `{"event":"error","data":1}`, ""},
			{p, `{"event":"error","data":2,"cid":2}`, `{"rid":2}`},
			{p, `{"event":"#publish"}`, ""}, // an error
			{other, `{"event":"error","data":3}`, ""},
		} {
			step.on.send(step.send)
			if step.answer != "" {
				step.on.want(step.answer)
			}
			synctest.Wait()
		}
		for _, c := range []*peer{p, other} {
			c.sendFrame(ws.NewCloseFrame(ws.NewCloseFrameBody(1000, "")))
		}
		for range 6 {
			<-ended
		}
		want := map[string][]string{
			"receiver 1":  {"1"},
			"procedure 1": {"2"},
			"event 1":     {"InvalidActionError: Publish channel name was malformatted"},
			"receiver 2":  {"3"},
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("got  %v\nwant %v", got, want)
		}
	})
}

// ST-12, ST-13, CF-11: what a loop has not taken when its client leaves is
// still its own. Nothing that was accepted for it is lost, and then it ends.
func TestLoopsDrain(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		var taken []string
		ended := make(chan time.Time, 1)
		socketcluster.On(w.srv, func(e socketcluster.ConnectEvent) {
			items := e.Socket.Receiver("x")
			go func() {
				for item := range items {
					time.Sleep(30 * time.Millisecond)
					taken = append(taken, string(item.Data))
				}
				ended <- time.Now()
			}()
		})
		p := w.client()
		began := time.Now()
		var want []string
		for i := range 15 {
			p.send(fmt.Sprintf(`{"event":"x","data":%d}`, i))
			want = append(want, fmt.Sprint(i))
		}
		time.Sleep(110 * time.Millisecond)
		p.conn.Close()
		end := <-ended
		if !slices.Equal(taken, want) {
			t.Errorf("taken %q, want %q", taken, want)
		}
		if d := end.Sub(began); d != 450*time.Millisecond {
			t.Errorf("the loop ended after %v", d)
		}
	})
}

// HS-20: the reserved events of a client reach no handler for the rest, and are
// answered by the server itself.
func TestReservedNames(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		w.srv.ReceiveRest(socketcluster.ReceiverFunc(func(_ context.Context, tr *socketcluster.Transmission) { t.Errorf("handled %s", tr.Receiver) }))
		w.srv.HandleRest(socketcluster.HandlerFunc(func(_ context.Context, c *socketcluster.Call) { t.Errorf("handled %s", c.Procedure) }))
		p := w.client()
		p.send(`{"event":"#subscribe","data":{"channel":"a"},"cid":2}`)
		p.send(`{"event":"#publish","data":{"channel":"a","data":1},"cid":3}`)
		p.send(`{"event":"#publish","data":{"channel":"a","data":2}}`)
		p.send(`{"event":"#unsubscribe","data":"a","cid":4}`)
		p.send(`{"event":"#authenticate","data":` + quote(w.sign(map[string]any{})) + `,"cid":2}`)
		p.send(removeAuthToken)
		p.want(`{"rid":2}`, `{"event":"#publish","data":{"channel":"a","data":1}}`, `{"rid":3}`,
			`{"event":"#publish","data":{"channel":"a","data":2}}`, `{"rid":4}`, wasAdmitted)
		p.quiet(time.Second)
	})
}

// ST-11, CF-12: packets that slow outbound middleware holds up are the
// outbound backpressure; it falls again as they leave.
func TestOutboundBackpressure(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		ctx := context.Background()
		w.srv.UseOutbound(func(context.Context, socketcluster.Action) error {
			time.Sleep(time.Second)
			return nil
		})
		p := w.client()
		p.send(`{"event":"#subscribe","data":{"channel":"a"},"cid":2}`)
		p.want(`{"rid":2}`)
		s := w.only()
		if n := s.OutboundBackpressure(); n != 0 {
			t.Errorf("%d packets before", n)
		}
		for i := range 3 {
			w.srv.Exchange().Publish(ctx, "a", i)
		}
		synctest.Wait()
		for i := range 3 {
			if n := s.OutboundBackpressure(); n != 3-i {
				t.Errorf("%d packets, want %d", n, 3-i)
			}
			p.want(fmt.Sprintf(`{"event":"#publish","data":{"channel":"a","data":%d}}`, i))
			synctest.Wait()
		}
		if n := s.OutboundBackpressure(); n != 0 {
			t.Errorf("%d packets after", n)
		}
	})
}
