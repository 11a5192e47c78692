package socketcluster_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/socketcluster-go/socketcluster"
)

// Limits.InboxBytes: what a socket has sent and nobody has handled yet is
// bounded in bytes, with handlers too. The rest waits on the client's side,
// and nothing is lost.
func TestInboxBytes(t *testing.T) {
	const size, calls = 10_000, 40
	inBubble(t, socketcluster.Config{PingTimeoutDisabled: true, Limits: socketcluster.Limits{InboxBytes: 50_000}}, func(w *world) {
		release := make(chan struct{})
		w.srv.Handle("slow", socketcluster.Func(func(context.Context, *socketcluster.Call, json.RawMessage) (int, error) {
			<-release
			return 1, nil
		}), socketcluster.Concurrent(calls))
		p := w.client()
		s := w.only()
		before := s.BytesReceived()
		sent := make(chan struct{})
		go func() {
			defer close(sent)
			for i := range calls {
				p.send(fmt.Sprintf(`{"event":"slow","cid":%d,"data":%q}`, i+2, strings.Repeat("x", size)))
			}
		}()
		synctest.Wait()
		if got := s.BytesReceived() - before; got > 100_000 {
			t.Errorf("%d bytes have been read, want about 50000", got)
		}
		close(release)
		<-sent
		for range calls {
			p.next()
		}
	})
}

// A message larger than the limit is let in when nothing else is held.
func TestInboxBytesAdmitsOneMessage(t *testing.T) {
	inBubble(t, socketcluster.Config{Limits: socketcluster.Limits{InboxBytes: 10}}, func(w *world) {
		w.srv.Handle("echo", socketcluster.Func(echo))
		p := w.client()
		for i := range 5 {
			p.send(fmt.Sprintf(`{"event":"echo","cid":%d,"data":"more than ten bytes"}`, i+2))
			p.want(fmt.Sprintf(`{"rid":%d,"data":"more than ten bytes"}`, i+2))
		}
	})
}

// A socket that waits for its quota can be closed.
func TestCloseWhileWaitingForQuota(t *testing.T) {
	inBubble(t, socketcluster.Config{Limits: socketcluster.Limits{InboxBytes: 10}}, func(w *world) {
		w.srv.Handle("slow", socketcluster.Func(func(ctx context.Context, _ *socketcluster.Call, _ socketcluster.None) (socketcluster.None, error) {
			<-ctx.Done()
			return socketcluster.None{}, nil
		}))
		p := w.client()
		for i := range 3 {
			p.send(fmt.Sprintf(`{"event":"slow","cid":%d,"data":"more than ten bytes"}`, i+2))
		}
		synctest.Wait()
		w.only().Disconnect(4500, "")
		p.wantClose(4500, "")
	})
}

// An answer larger than Limits.Outbox reaches a client that reads.
func TestLargeAnswer(t *testing.T) {
	inBubble(t, socketcluster.Config{Limits: socketcluster.Limits{Outbox: 1000}}, func(w *world) {
		large := strings.Repeat("x", 100_000)
		w.srv.Handle("large", socketcluster.Func(func(context.Context, *socketcluster.Call, socketcluster.None) (string, error) { return large, nil }))
		p := w.client()
		for i := range 3 {
			p.send(fmt.Sprintf(`{"event":"large","cid":%d}`, i+2))
		}
		for i := range 3 {
			p.want(fmt.Sprintf(`{"rid":%d,"data":%q}`, i+2, large))
		}
		p.quiet(time.Second)
	})
}
