package outbox

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

// world is an outbox with a limit of 1000 bytes.
type world struct {
	*testing.T
	o    Outbox[int]
	conn *tubeConn
	log  ownerLog
}

func inWorld(t *testing.T, run func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{T: t, conn: newTube(0)}
		w.log.outbox = &w.o
		w.o.Init(peer(w.conn, &w.log), &Limits{Bytes: 1000, Stall: stall, Drain: drain}, nil)
		run(w)
		w.o.Kill()
		w.conn.fail(errWrite)
	})
}

func (w *world) push(sizes ...int) {
	w.Helper()
	for _, n := range sizes {
		if err := w.o.Push(make([]byte, n)); err != nil {
			w.Fatalf("Push of %d bytes: %v", n, err)
		}
	}
	synctest.Wait()
}

// waits is how long a call takes.
func waits(call func()) time.Duration {
	began := time.Now()
	call()
	return time.Since(began)
}

// reads has the connection take n bytes now and then.
func (w *world) reads(n int, every time.Duration) (stop func()) {
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				w.conn.give(n)
			case <-end:
				return
			}
		}
	}()
	return func() {
		close(end)
		<-ended
		synctest.Wait()
	}
}

// TestBurst pins that a connection that takes as much as the limit in each time
// gets everything, however much was pushed at once.
func TestBurst(t *testing.T) {
	inWorld(t, func(w *world) {
		for range 100 {
			w.push(200)
		}
		stop := w.reads(50, drain/20-time.Second/4)
		defer stop()
		w.o.Drain()
		synctest.Wait()
		if len(w.conn.got) != 20_000 || w.log.failed != nil {
			t.Errorf("%d bytes were written, failed with %v", len(w.conn.got), w.log.failed)
		}
	})
}

// TestLargeFrame pins the same for one frame: its parts count.
func TestLargeFrame(t *testing.T) {
	inWorld(t, func(w *world) {
		w.push(20_000, 10)
		stop := w.reads(50, drain/20-time.Second/4)
		defer stop()
		w.o.Wait(context.Background(), 10_000)
		synctest.Wait()
		if n := len(w.conn.got); n != 10_050 {
			t.Errorf("half of it was waited for, and %d bytes were written", n)
		}
		w.o.Drain()
		synctest.Wait()
		if len(w.conn.got) != 20_010 || w.log.failed != nil {
			t.Errorf("%d bytes were written, failed with %v", len(w.conn.got), w.log.failed)
		}
	})
}

// TestSlow pins that a connection that takes less than the limit in each time
// ends the outbox, whether or not more is pushed, and also if it takes as much
// as comes.
func TestSlow(t *testing.T) {
	for _, pushed := range []int{0, 100} {
		t.Run(fmt.Sprint(pushed, " bytes are pushed in the time in which 100 are taken"), func(t *testing.T) {
			inWorld(t, func(w *world) {
				w.push(500, 500, 500, 500)
				stop := w.reads(20, time.Second)
				defer stop()
				for range drain/(5*time.Second) - 1 {
					time.Sleep(5 * time.Second)
					if pushed > 0 {
						w.push(pushed)
					}
				}
				time.Sleep(5*time.Second + 2*time.Second)
				synctest.Wait()
				if len(w.log.failed) != 1 || !errors.Is(w.log.failed[0], ErrSlow) {
					t.Fatalf("failed with %v", w.log.failed)
				}
				if err := w.o.Push([]byte("x")); err != ErrClosed {
					t.Errorf("Push: %v", err)
				}
			})
		})
	}
}

// TestBelowTheLimit pins that a connection that is not kept waiting with more
// than the limit may be as slow as it likes, once more has waited, too.
func TestBelowTheLimit(t *testing.T) {
	inWorld(t, func(w *world) {
		w.push(600, 600)
		w.conn.give(300)
		stop := w.reads(1, time.Second)
		defer stop()
		time.Sleep(10 * drain)
		w.push(500)
		if w.log.failed != nil {
			t.Errorf("failed with %v", w.log.failed)
		}
	})
}

// TestStalled pins when and how a connection fails that takes nothing: sooner if
// more than the limit waits, and as too slow if half of it does, as those who push
// may wait for less.
func TestStalled(t *testing.T) {
	for _, test := range []struct {
		waiting int
		after   time.Duration
		slow    bool
	}{{499, stall, false}, {500, stall, true}, {1000, stall, true}, {1001, stall / 2, true}} {
		inWorld(t, func(w *world) {
			if err := w.o.Push(make([]byte, test.waiting)); err != nil {
				t.Fatal(err)
			}
			if d := waits(w.o.Drain); d != test.after {
				t.Errorf("%d bytes wait: failed after %v, want %v", test.waiting, d, test.after)
			}
			synctest.Wait()
			if len(w.log.failed) != 1 || !errors.Is(w.log.failed[0], os.ErrDeadlineExceeded) || errors.Is(w.log.failed[0], ErrSlow) != test.slow {
				t.Errorf("%d bytes wait: failed with %v", test.waiting, w.log.failed)
			}
		})
	}
}

// TestFloodOfAStalled pins that whoever pushes on and on notices a connection that
// takes nothing although it has been waited for already.
func TestFloodOfAStalled(t *testing.T) {
	inWorld(t, func(w *world) {
		w.push(100)
		time.Sleep(stall / 4)
		began := time.Now()
		for w.o.Push(make([]byte, 100)) == nil {
			time.Sleep(10 * time.Millisecond)
		}
		// The limit is reached after 100 ms.
		if d := time.Since(began); d < stall/2+100*time.Millisecond || d > stall/2+130*time.Millisecond {
			t.Errorf("it was noticed after %v", d)
		}
	})
}

// TestReservedBytes pins that what is on its way fills the outbox, and that the
// time runs for it although nothing is written.
func TestReservedBytes(t *testing.T) {
	inWorld(t, func(w *world) {
		reserve := func(n int) {
			if err := w.o.Reserve(n, n); err != nil {
				t.Fatal(err)
			}
		}
		reserve(900)
		reserve(900)
		if w.log.full.Load() != 1 {
			t.Errorf("OutboxFull was called %d times", w.log.full.Load())
		}
		time.Sleep(drain + time.Second)
		if err := w.o.Reserve(1, 1); err != ErrSlow {
			t.Errorf("Reserve: %v", err)
		}
		if err := w.o.Push([]byte("x")); err != ErrSlow {
			t.Errorf("Push: %v", err)
		}
		reserve(-1800)
		reserve(1)
	})
}

// waitFor calls WaitFor, which must take so long, and perhaps may wait again.
func (w *world) waitFor(want time.Duration, again bool) {
	w.Helper()
	d := waits(func() { w.o.WaitFor(context.Background()) })
	if got := w.o.Full(); d != want || got != again {
		w.Errorf("WaitFor returned after %v, want %v; it may wait again: %v", d, want, got)
	}
}

// TestWaitFor pins for whom WaitFor waits, and for how long.
func TestWaitFor(t *testing.T) {
	for name, test := range map[string]func(w *world){
		"not full": func(w *world) {
			w.push(1000)
			w.waitFor(0, false)
		},
		"half is taken in time, again and again": func(w *world) {
			stop := w.reads(200, 40*time.Millisecond)
			defer stop()
			w.push(1100)
			w.waitFor(120*time.Millisecond, false)
			w.push(600)
			w.waitFor(120*time.Millisecond, false)
			if w.log.full.Load() != 2 {
				w.Errorf("OutboxFull was called %d times", w.log.full.Load())
			}
		},
		"nothing has been taken for a while": func(w *world) {
			w.push(500)
			time.Sleep(pace)
			w.push(600)
			w.waitFor(0, true)
		},
		"nothing is taken any more": func(w *world) {
			w.conn.give(500)
			w.push(1700)
			w.waitFor(pace, true)
			w.waitFor(0, true)
			w.conn.give(1)
			synctest.Wait()
			w.waitFor(pace, true)
		},
		"little is taken": func(w *world) {
			stop := w.reads(1, 10*time.Millisecond)
			w.push(1100)
			w.waitFor(patience, false)
			w.waitFor(0, false)
			stop()
			w.conn.give(800) // half of the limit is left, then more is there again
			synctest.Wait()
			w.push(1000)
			w.waitFor(0, false)
			if w.log.full.Load() != 1 {
				w.Errorf("OutboxFull was called %d times", w.log.full.Load())
			}
			w.conn.give(10_000)
			synctest.Wait()
			w.conn.room = 0
			w.push(1100)
			w.waitFor(pace, true)
			if w.log.full.Load() != 2 {
				w.Errorf("OutboxFull was called %d times after the outbox was empty", w.log.full.Load())
			}
		},
		"half is taken too late": func(w *world) {
			w.push(1100)
			time.Sleep(patience + time.Millisecond)
			w.conn.give(700)
			w.push(700)
			w.waitFor(0, false)
		},
		"the context ends": func(w *world) {
			w.push(1100)
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
			defer cancel()
			if d := waits(func() { w.o.WaitFor(ctx) }); d != 20*time.Millisecond {
				w.Errorf("waited for %v", d)
			}
		},
		"finished": func(w *world) {
			w.push(1100)
			time.AfterFunc(20*time.Millisecond, func() { w.o.Finish(nil) })
			w.waitFor(20*time.Millisecond, false)
		},
		"killed": func(w *world) {
			w.push(1100)
			time.AfterFunc(20*time.Millisecond, w.o.Kill)
			w.waitFor(20*time.Millisecond, false)
		},
	} {
		t.Run(name, func(t *testing.T) { inWorld(t, test) })
	}
}

// TestWaitEnds pins that a context ends a Wait.
func TestWaitEnds(t *testing.T) {
	inWorld(t, func(w *world) {
		w.push(1100)
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		var err error
		if d := waits(func() { err = w.o.Wait(ctx, 1) }); d != time.Second || err != context.DeadlineExceeded {
			t.Errorf("waited for %v, %v", d, err)
		}
	})
}

// lockingContext is a context that locks the outbox, as that of a socket has a lock
// under which frames are pushed.
type lockingContext struct {
	context.Context
	w *world
}

func (c lockingContext) Done() <-chan struct{} {
	c.w.o.Len()
	return c.Context.Done()
}

func (c lockingContext) Err() error {
	c.w.o.Len()
	return c.Context.Err()
}

// TestContextsMayLock pins that a context is asked without the lock.
func TestContextsMayLock(t *testing.T) {
	inWorld(t, func(w *world) {
		w.push(1100)
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
		defer cancel()
		w.o.WaitFor(lockingContext{ctx, w})
		if err := w.o.Wait(lockingContext{ctx, w}, 1); err != context.DeadlineExceeded {
			t.Error(err)
		}
	})
}
