package socketcluster_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/broker/mem"
)

// slowBroker takes its time to end a route.
type slowBroker struct {
	mem.Broker
	gate chan struct{}
}

func (b *slowBroker) Unsubscribe(context.Context, string) error {
	<-b.gate
	return nil
}

// PS-16: a socket that has left a channel gets nothing more of it, although the
// broker still carries the channel to this node.
func TestNothingDeliveredWhileBrokerUnsubscribes(t *testing.T) {
	ctx := context.Background()
	for name, kickOut := range map[string]bool{"unsubscribe": false, "kick out": true} {
		t.Run(name, func(t *testing.T) {
			b := new(slowBroker)
			inBubble(t, socketcluster.Config{Broker: b}, func(w *world) {
				b.gate = make(chan struct{})
				release := sync.OnceFunc(func() { close(b.gate) })
				defer release() // the server waits for it at its end
				p := w.client()
				s := w.only()
				p.send(`{"event":"#subscribe","data":{"channel":"a"},"cid":2}`)
				p.want(`{"rid":2}`)
				if kickOut {
					go s.KickOut(ctx, "a", nil)
					p.want(`{"event":"#kickOut","data":{"channel":"a"}}`)
				} else {
					p.send(`{"event":"#unsubscribe","data":"a","cid":3}`)
				}
				synctest.Wait()
				if err := w.srv.Exchange().Publish(ctx, "a", 1); err != nil {
					t.Fatal(err)
				}
				p.quiet(time.Second)
				release()
				if !kickOut {
					p.want(`{"rid":3}`)
				}
				p.quiet(time.Second)
			})
		})
	}
}

// PS-16, PS-7: a socket joins and leaves a channel while publications on it
// are being delivered: neither waits for the other for good, and nothing of
// the channel comes after the client was told that it has left.
func TestDeliveryWhileJoiningAndLeaving(t *testing.T) {
	const rounds = 200
	for name, kickOut := range map[string]bool{"unsubscribe": false, "kick out": true} {
		for _, outbound := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, outbound middleware %t", name, outbound), func(t *testing.T) {
				inBubble(t, socketcluster.Config{PingTimeoutDisabled: true}, func(w *world) {
					if outbound {
						w.srv.UseOutbound(func(context.Context, socketcluster.Action) error { return nil })
					}
					ctx, cancel := context.WithCancel(context.Background())
					defer cancel()
					stopped := make(chan struct{})
					p := w.client()
					s := w.only()
					go func() {
						defer close(stopped)
						for ctx.Err() == nil {
							for range 500 {
								w.srv.Exchange().Publish(ctx, "a", 1)
							}
							time.Sleep(time.Nanosecond) // until the client has read them
						}
					}()
					// until reads up to the frame that begins like this; admits
					// tells whether publications may come before it.
					until := func(prefix string, admits bool) {
						for {
							switch text := p.next(); {
							case strings.HasPrefix(text, prefix):
								return
							case text != `{"event":"#publish","data":{"channel":"a","data":1}}` || !admits:
								t.Fatalf("got %s, want %s", text, prefix)
							}
						}
					}
					for range rounds {
						p.send(`{"event":"#subscribe","data":{"channel":"a"},"cid":2}`)
						until(`{"rid":2}`, true)
						until(`{"event":"#publish"`, true)
						if kickOut {
							go s.KickOut(ctx, "a", nil)
							until(`{"event":"#kickOut"`, true)
						} else {
							p.send(`{"event":"#unsubscribe","data":"a","cid":3}`)
							until(`{"rid":3}`, true)
						}
						p.send(`{"event":"x","cid":4}`)
						until(`{"rid":4,`, false)
					}
					cancel()
					<-stopped
				})
			})
		}
	}
}
