package socketcluster_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/socketcluster-go/socketcluster"
)

// A wrap is around all handlers, whenever they were registered; the first one is the
// outermost. It sees what they return, and may change it.
func TestWrapHandlers(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		var mu sync.Mutex
		var seen []string
		watch := func(name string) func(socketcluster.Handler) socketcluster.Handler {
			return func(next socketcluster.Handler) socketcluster.Handler {
				return socketcluster.HandlerFunc(func(ctx context.Context, c *socketcluster.Call) (any, error) {
					began := time.Now()
					answer, err := next.ServeCall(ctx, c)
					mu.Lock()
					defer mu.Unlock()
					seen = append(seen, fmt.Sprintf("%s %s %v %v %v", name, c.Procedure, answer, err, time.Since(began)))
					return answer, err
				})
			}
		}
		w.srv.Handle("before", socketcluster.Func(func(ctx context.Context, n int) (int, error) {
			if _, ok := ctx.Deadline(); !ok {
				t.Error("the context is not that of the wrap")
			}
			time.Sleep(time.Second)
			return n + 1, nil
		}), socketcluster.Concurrent(2))
		w.srv.WrapHandlers(watch("outer"))
		w.srv.WrapHandlers(func(next socketcluster.Handler) socketcluster.Handler {
			return socketcluster.HandlerFunc(func(ctx context.Context, c *socketcluster.Call) (any, error) {
				ctx, cancel := context.WithTimeout(ctx, time.Minute)
				defer cancel()
				answer, err := next.ServeCall(ctx, c)
				if err != nil {
					return "mended", nil
				}
				return answer, nil
			})
		})
		w.srv.WrapHandlers(watch("inner"))
		w.srv.Handle("after", socketcluster.Proc(func(context.Context, socketcluster.None) error { return errors.New("secret") }))
		w.srv.HandleDefault(func(context.Context, *socketcluster.Call) (any, error) { return "rest", nil })
		p := w.client()
		p.send(`{"event":"before","data":1,"cid":2}`)
		p.want(`{"rid":2,"data":2}`)
		p.send(`{"event":"after","cid":3}`)
		p.want(`{"rid":3,"data":"mended"}`)
		p.send(`{"event":"other","cid":4}`)
		p.want(`{"rid":4,"data":"rest"}`)
		want := []string{
			"inner before 2 <nil> 1s", "outer before 2 <nil> 1s",
			"inner after <nil> secret 0s", "outer after mended <nil> 0s",
			"inner other rest <nil> 0s", "outer other rest <nil> 0s",
		}
		if !slices.Equal(seen, want) {
			t.Errorf("seen %q", seen)
		}
		// The options of a handler stay.
		p.send(`{"event":"before","data":1,"cid":5}`)
		p.send(`{"event":"before","data":1,"cid":6}`)
		began := time.Now()
		p.next()
		p.next()
		if took := time.Since(began); took != time.Second {
			t.Errorf("two calls of a handler that may run twice took %v", took)
		}
	})
}

// A wrap of receivers sees their errors.
func TestWrapReceivers(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		seen := make(chan string, 3)
		w.srv.Receive("note", socketcluster.Recv(func(_ context.Context, n int) error { return fmt.Errorf("no %d", n) }))
		w.srv.WrapReceivers(func(next socketcluster.Receiver) socketcluster.Receiver {
			return socketcluster.ReceiverFunc(func(ctx context.Context, tr *socketcluster.Transmission) error {
				err := next.ServeTransmission(ctx, tr)
				seen <- fmt.Sprint(tr.Receiver, " ", err)
				return nil
			})
		})
		w.srv.ReceiveDefault(func(context.Context, *socketcluster.Transmission) error { return nil })
		log := w.record()
		p := w.client()
		log.want("connect")
		for message, want := range map[string]string{`{"event":"note","data":7}`: "note no 7", `{"event":"other"}`: "other <nil>"} {
			p.send(message)
			if got := <-seen; got != want {
				t.Errorf("seen %q, want %q", got, want)
			}
		}
		log.want("") // the wrap has kept the error to itself
	})
}

func TestWrapWithNil(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		for name, fn := range map[string]func(){
			"nil": func() { w.srv.WrapHandlers(nil) },
			"returns nil": func() {
				w.srv.Handle("p", socketcluster.Func(echo))
				w.srv.WrapHandlers(func(socketcluster.Handler) socketcluster.Handler { return nil })
			},
		} {
			func() {
				defer func() {
					if recover() == nil {
						t.Errorf("%s: no panic", name)
					}
				}()
				fn()
			}()
		}
	})
}
