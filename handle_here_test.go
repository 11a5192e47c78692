package socketcluster_test

import (
	"bytes"
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/socketcluster-go/socketcluster"
)

// here runs a test with connections whose messages are handled where they were read.
func here(t *testing.T, fn func(w *world)) {
	t.Helper()
	inBubble(t, socketcluster.Config{}, func(w *world) {
		w.listen.Polled = true
		fn(w)
	})
}

// takeover is how long it takes at most until another goroutine reads.
const takeover = 2 * time.Millisecond

// A handler that blocks holds up calls of its name on its socket, which are
// handled in order, and nothing else for longer than a moment.
func TestBlockedHandlerIsRelieved(t *testing.T) {
	here(t, func(w *world) {
		gate := make(chan struct{})
		var mu sync.Mutex
		var order []int
		w.srv.Handle("slow", socketcluster.Func(func(_ context.Context, n int) (int, error) {
			mu.Lock()
			order = append(order, n)
			mu.Unlock()
			if n == 1 {
				<-gate
			}
			return n, nil
		}))
		w.srv.Handle("quick", socketcluster.Func(echo))
		p := w.client()
		began := time.Now()
		for i := 1; i <= 5; i++ {
			p.send(fmt.Sprintf(`{"event":"slow","data":%d,"cid":%d}`, i, i+1))
		}
		p.send(`{"event":"quick","data":"q","cid":9}`)
		p.want(`{"rid":9,"data":"q"}`)
		if took := time.Since(began); took > takeover {
			t.Errorf("another name was held up for %v", took)
		}
		p.quiet(time.Minute) // it is pinged meanwhile, and its pongs are read
		close(gate)
		for i := 1; i <= 5; i++ {
			p.want(fmt.Sprintf(`{"rid":%d,"data":%d}`, i+1, i))
		}
		if !slices.Equal(order, []int{1, 2, 3, 4, 5}) {
			t.Errorf("handled in the order %v", order)
		}
		p.send(`{"event":"slow","data":6,"cid":7}`)
		p.want(`{"rid":7,"data":6}`)
	})
}

// Handlers that have been slow begin side by side the next time, whatever their number.
func TestSlowHandlersBeginAtOnce(t *testing.T) {
	here(t, func(w *world) {
		const names = 50
		for i := range names {
			w.srv.Handle(fmt.Sprint("slow", i), socketcluster.Func(func(context.Context, socketcluster.None) (int, error) {
				time.Sleep(time.Second)
				return i, nil
			}))
		}
		p := w.client()
		for round := range 3 {
			began := time.Now()
			for i := range names {
				p.send(fmt.Sprintf(`{"event":"slow%d","cid":%d}`, i, i+2))
			}
			for range names {
				p.next()
			}
			took := time.Since(began)
			if round == 0 && took > time.Second+names*takeover || round > 0 && took != time.Second {
				t.Errorf("round %d took %v", round, took)
			}
		}
	})
}

// A handler, middleware or receiver that calls its client gets the answer at once.
func TestInvokeWhereItWasRead(t *testing.T) {
	here(t, func(w *world) {
		w.srv.Handle("ask", socketcluster.Func(func(ctx context.Context, _ socketcluster.None) (string, error) {
			return socketcluster.InvokeAs[string](ctx, socketcluster.FromContext(ctx), "name", nil)
		}))
		socketcluster.Use(w.srv, func(ctx context.Context, a *socketcluster.Subscribe) error {
			_, err := a.Socket.Invoke(ctx, "may", a.Channel)
			return err
		})
		p := w.client()
		began := time.Now()
		p.send(`{"event":"ask","cid":2}`)
		p.want(`{"event":"name","cid":1}`)
		p.send(`{"rid":1,"data":"alice"}`)
		p.want(`{"rid":2,"data":"alice"}`)
		p.send(`{"event":"#subscribe","data":{"channel":"a"},"cid":3}`)
		p.want(`{"event":"may","cid":2,"data":"a"}`)
		p.send(`{"rid":2}`)
		p.want(`{"rid":3}`)
		if took := time.Since(began); took != 0 {
			t.Errorf("took %v", took)
		}
	})
}

// What ends the goroutine that reads, or panics on it, ends nothing else.
func TestHandlerEndsItsGoroutine(t *testing.T) {
	here(t, func(w *world) {
		w.srv.Handle("exit", socketcluster.Func(func(context.Context, socketcluster.None) (int, error) {
			runtime.Goexit()
			return 0, nil
		}))
		w.srv.Handle("panic", socketcluster.Func(func(context.Context, socketcluster.None) (int, error) { panic("x") }))
		w.srv.Handle("quick", socketcluster.Func(echo))
		exits := false
		socketcluster.Use(w.srv, func(_ context.Context, a *socketcluster.PublishIn) error {
			exits = true
			runtime.Goexit()
			return nil
		})
		p := w.client()
		for i := range 3 {
			p.send(fmt.Sprintf(`{"event":"exit","cid":%d}`, 100+i))
			p.send(fmt.Sprintf(`{"event":"panic","cid":%d}`, 200+i))
			p.want(fmt.Sprintf(`{"rid":%d,"error":{"message":"An internal error occurred","name":"InternalError"}}`, 200+i))
			p.send(`{"event":"#publish","data":{"channel":"a"}}`)
			p.send(fmt.Sprintf(`{"event":"quick","data":%d,"cid":%d}`, i, 300+i))
			p.want(fmt.Sprintf(`{"rid":%d,"data":%d}`, 300+i, i))
		}
		synctest.Wait()
		if !exits {
			t.Error("the middleware was not asked")
		}
	})
}

// What waits behind middleware that ends its goroutine is handled as ever.
func TestGoexitWithQueue(t *testing.T) {
	here(t, func(w *world) {
		w.srv.Handle("quick", socketcluster.Func(echo))
		socketcluster.Use(w.srv, func(_ context.Context, a *socketcluster.PublishIn) error {
			time.Sleep(10 * time.Millisecond)
			runtime.Goexit()
			return nil
		})
		p := w.client()
		p.send(`{"event":"#publish","data":{"channel":"a"}}`)
		p.send(`{"event":"quick","data":1,"cid":2}`)
		p.want(`{"rid":2,"data":1}`)
	})
}

// Middleware that is slow does not count against the handler behind it.
func TestSlowMiddlewareWhereItWasRead(t *testing.T) {
	here(t, func(w *world) {
		var onReader atomic.Int32
		w.srv.Handle("quick", socketcluster.Func(func(context.Context, socketcluster.None) (int, error) {
			stack := make([]byte, 16<<10)
			if bytes.Contains(stack[:runtime.Stack(stack, false)], []byte("handleHere")) {
				onReader.Add(1)
			}
			return 0, nil
		}))
		slow := true
		socketcluster.Use(w.srv, func(context.Context, *socketcluster.Invoke) error {
			if slow {
				time.Sleep(10 * time.Millisecond)
			}
			return nil
		})
		p := w.client()
		p.send(`{"event":"quick","cid":2}`)
		p.want(`{"rid":2,"data":0}`)
		slow = false
		p.send(`{"event":"quick","cid":3}`)
		p.want(`{"rid":3,"data":0}`)
		if n := onReader.Load(); n != 2 {
			t.Errorf("%d of 2 calls were handled where they were read", n)
		}
	})
}

// The packets of one message are handled as those of several: a handler holds up none
// of another name.
func TestBatchWhereItWasRead(t *testing.T) {
	here(t, func(w *world) {
		gate := make(chan struct{})
		w.srv.Handle("slow", socketcluster.Func(func(_ context.Context, n int) (int, error) {
			<-gate
			return n, nil
		}))
		w.srv.Handle("quick", socketcluster.Func(echo))
		p := w.client()
		began := time.Now()
		p.send(`[{"event":"slow","data":1,"cid":2},{"event":"slow","data":2,"cid":3},{"event":"quick","data":3,"cid":4}]`)
		p.want(`{"rid":4,"data":3}`)
		if took := time.Since(began); took != 0 {
			t.Errorf("took %v", took)
		}
		close(gate)
		p.want(`{"rid":2,"data":1}`, `{"rid":3,"data":2}`)
	})
}

// A handler that closes its socket, or is still busy when the client leaves, keeps
// nothing.
func TestEndWhereItWasRead(t *testing.T) {
	here(t, func(w *world) {
		gate := make(chan struct{})
		w.srv.Handle("close", socketcluster.Proc(func(ctx context.Context, _ socketcluster.None) error {
			return socketcluster.FromContext(ctx).Disconnect(4500, "")
		}))
		w.srv.Handle("slow", socketcluster.Proc(func(context.Context, socketcluster.None) error {
			<-gate
			return nil
		}))
		p := w.client()
		p.send(`{"event":"close","cid":2}`)
		synctest.Wait()
		if n := w.srv.NumClients(); n != 0 {
			t.Errorf("%d clients", n)
		}
		p = w.client()
		p.send(`{"event":"slow","cid":2}`)
		p.Close()
		time.Sleep(takeover)
		synctest.Wait()
		if n := w.srv.NumClients(); n != 0 {
			t.Errorf("%d clients", n)
		}
		close(gate)
	})
}
