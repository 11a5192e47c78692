package socketcluster_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/wire"
)

// Every limit counts, under the name of its setting.
func TestLimitHits(t *testing.T) {
	type limits = socketcluster.Limits
	stuck := func(w *world) (release func()) {
		gate := make(chan struct{})
		w.srv.HandleDefault(func(_ context.Context, c *socketcluster.Call) (any, error) { <-gate; return nil, nil })
		return func() { close(gate); synctest.Wait() }
	}
	// sends writes without waiting for the server to read.
	sends := func(p *peer, texts ...string) {
		go func() {
			for _, text := range texts {
				if ws.WriteFrame(p.Conn, ws.MaskFrame(ws.NewTextFrame([]byte(text)))) != nil {
					return
				}
			}
		}()
		synctest.Wait()
	}
	calls := func(n int) []string {
		var all []string
		for i := range n {
			all = append(all, fmt.Sprintf(`{"event":"p%d","cid":%d,"data":"0123456789"}`, i, i+2))
		}
		return all
	}
	dials := func(n int) func(*world) {
		return func(w *world) {
			w.from()
			for range n {
				w.upgrade(nil)
			}
		}
	}
	after := func(text string) func(*world) {
		return func(w *world) {
			sends(w.client(), text)
			time.Sleep(time.Second)
		}
	}
	tests := map[string]struct {
		limits limits
		reach  func(w *world)
	}{
		"Limits.Connections":       {limits{Connections: 1}, dials(2)},
		"Limits.PendingHandshakes": {limits{PendingHandshakes: 1}, dials(2)},
		"Limits.ConnectionsPerAddress": {limits{ConnectionsPerAddress: 1}, func(w *world) {
			w.from()
			w.dialFrom("192.0.2.1:1", "")
			w.dialFrom("192.0.2.1:2", "There are too many connections from this address")
		}},
		"Limits.Budget": {limits{Budget: 10_000}, func(w *world) {
			w.listen.BufferSize = 1000
			w.client()
			w.only().Transmit(context.Background(), "x", strings.Repeat("x", 20_000))
			time.Sleep(time.Second)
		}},
		"Limits.MessageSize":          {limits{MessageSize: 300}, after(strings.Repeat("x", 301))},
		"Limits.HandshakeMessageSize": {limits{HandshakeMessageSize: 300}, func(w *world) { sends(w.dial(), strings.Repeat("x", 301)) }},
		"Limits.Fragments":            {limits{Fragments: 2}, func(w *world) { w.client().sendFragments("abc", 3); synctest.Wait() }},
		"Limits.BatchSize":            {limits{BatchSize: 1}, after(`[1,2]`)},
		"Limits.Depth":                {limits{Depth: 3}, after(`[[[[]]]]`)},
		"Limits.Channels":             {limits{Channels: 1}, after(`[{"event":"#subscribe","data":{"channel":"a"},"cid":2},{"event":"#subscribe","data":{"channel":"b"},"cid":3}]`)},
		"Limits.ChannelName":          {limits{ChannelName: 1}, after(`{"event":"#subscribe","data":{"channel":"ab"},"cid":2}`)},
		"Limits.SubscriptionData":     {limits{SubscriptionData: 1}, after(`{"event":"#subscribe","data":{"channel":"a","data":"ab"},"cid":2}`)},
		"Limits.TokenSize":            {limits{TokenSize: 200}, after(`{"event":"#authenticate","data":"` + strings.Repeat("x", 201) + `","cid":2}`)},
		"Limits.Inbox": {limits{Inbox: 1, Calls: 1}, func(w *world) {
			release := stuck(w)
			sends(w.client(), calls(5)...)
			release()
		}},
		"Limits.InboxBytes": {limits{InboxBytes: 1}, func(w *world) {
			release := stuck(w)
			sends(w.client(), calls(3)...)
			release()
		}},
		"Limits.Calls": {limits{Calls: 1}, func(w *world) {
			release := stuck(w)
			sends(w.client(), calls(3)...)
			release()
		}},
		"Limits.Outbox": {limits{Outbox: 1000}, func(w *world) {
			w.listen.BufferSize = 100
			w.client()
			s := w.only()
			for range 3 {
				s.Transmit(socketcluster.NoWait(context.Background()), "x", strings.Repeat("x", 900))
			}
		}},
		"Limits.OutboxDrain": {limits{Outbox: 1000, OutboxDrain: 5 * time.Second}, func(w *world) {
			w.listen.BufferSize = 100
			p := w.client()
			s := w.only()
			for range 3 {
				s.Transmit(socketcluster.NoWait(context.Background()), "x", strings.Repeat("x", 900))
			}
			for range 6 {
				time.Sleep(time.Second)
				p.Conn.Read(make([]byte, 1))
			}
			synctest.Wait()
		}},
		"Limits.OutboxStall": {limits{}, func(w *world) {
			w.listen.BufferSize = 100
			w.client()
			w.only().Transmit(context.Background(), "x", strings.Repeat("x", 900))
			time.Sleep(25 * time.Second) // some of it is taken at first
		}},
		"Limits.CallRate":         {limits{CallRate: 1}, func(w *world) { sends(w.client(), calls(3)...) }},
		"Limits.PublishRate":      {limits{PublishRate: 1}, after("[" + strings.Repeat(`{"event":"#publish","data":{"channel":"a"}},`, 2) + `{"event":"#publish","data":{"channel":"a"}}]`)},
		"Limits.SubscribeRate":    {limits{SubscribeRate: 1, Channels: 1}, after("[" + strings.Repeat(`{"event":"#unsubscribe","data":"a"},`, 2) + `{"event":"#unsubscribe","data":"a"}]`)},
		"Limits.AuthenticateRate": {limits{AuthenticateRate: 1}, after("[" + strings.Repeat(`{"event":"#removeAuthToken"},`, 2) + `{"event":"#removeAuthToken"}]`)},
		"Limits.ErrorText": {limits{ErrorText: 1}, func(w *world) {
			w.srv.Handle("p", socketcluster.HandlerFunc(func(_ context.Context, c *socketcluster.Call) (any, error) { return nil, &wire.Error{Message: "ab"} }))
			sends(w.client(), `{"event":"p","cid":2}`)
		}},
		"Timeouts.Handshake": {limits{}, func(w *world) { w.dial(); time.Sleep(11 * time.Second) }},
		"Timeouts.Ping":      {limits{}, func(w *world) { w.client(); time.Sleep(31 * time.Second) }},
		"Timeouts.Close": {limits{}, func(w *world) {
			w.client()
			w.only().Disconnect(4500, "")
			time.Sleep(4 * time.Second)
		}},
	}
	want := []string{"Timeouts.Close", "Timeouts.Handshake", "Timeouts.Ping"}
	for f := range reflect.TypeFor[limits]().Fields() {
		want = append(want, "Limits."+f.Name)
	}
	slices.Sort(want)
	if got := slices.Sorted(maps.Keys(tests)); !slices.Equal(got, want) {
		t.Errorf("tested are %v\nwant %v", got, want)
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			inBubble(t, socketcluster.Config{Limits: test.limits}, func(w *world) {
				if got := slices.Sorted(maps.Keys(w.srv.Stats().LimitHits)); !slices.Equal(got, want) {
					t.Errorf("counted are %v\nwant %v", got, want)
				}
				test.reach(w)
				if n := w.srv.Stats().LimitHits[name]; n == 0 || n > 5 {
					t.Errorf("%d hits", n)
				}
			})
		})
	}
}

// Counts stay when their socket has gone.
func TestTrafficStats(t *testing.T) {
	inBubble(t, socketcluster.Config{Timeouts: socketcluster.Timeouts{PingDisabled: true}}, func(w *world) {
		w.srv.Handle("echo", socketcluster.Func(func(_ context.Context, in json.RawMessage) (json.RawMessage, error) {
			return in, nil
		}))
		check := func(when string) {
			t.Helper()
			synctest.Wait()
			st := w.srv.Stats()
			// Two handshakes and ten calls; 2 and 4 bytes of header, 4 of a mask.
			if st.Accepted != 2 || st.MessagesIn != 12 || st.FramesOut < 12 || st.FramesOut > 13 ||
				st.BytesIn < 10*1030 || st.BytesIn > 10*1100 || st.BytesOut < 10*1015 || st.BytesOut > 10*1060 {
				t.Errorf("%s: %+v", when, st)
			}
		}
		w.client()
		p := w.client()
		for i := range 10 {
			p.send(fmt.Sprintf(`{"event":"echo","cid":%d,"data":%q}`, i+2, strings.Repeat("x", 1000)))
			p.next()
		}
		check("while it is there")
		p.sendFrame(ws.NewFrame(ws.OpClose, true, nil))
		p.nextFrame()
		time.Sleep(5 * time.Second)
		if n := w.srv.Stats().Connections; n != 1 {
			t.Errorf("%d connections", n)
		}
		check("when it has gone")
	})
}
