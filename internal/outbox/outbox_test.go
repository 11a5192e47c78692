package outbox

import (
	"context"
	"encoding/binary"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/socketcluster-go/socketcluster/internal/account"
)

func TestSize(t *testing.T) {
	if got := 2 * unsafe.Sizeof(Frame[[3]*int]{}); got != frameCost {
		t.Errorf("a place in the queue takes %d bytes, counted are %d", got, frameCost)
	}
	if got := unsafe.Sizeof(Outbox[*int]{}); got > 120 {
		t.Errorf("an idle outbox takes %d bytes, want at most 120", got)
	}
}

// orderConn fails the test when frames of one producer change order.
type orderConn struct {
	t      *testing.T
	last   map[uint32]uint32
	gaps   bool // some may be missing
	frames int
}

func (c *orderConn) Prompt() bool                   { return true }
func (c *orderConn) AwaitWrite(time.Duration) error { return nil }

func (c *orderConn) WriteFrames(frames [][]byte, _ time.Duration) (n int, err error) {
	for _, f := range frames {
		producer, seq := binary.BigEndian.Uint32(f), binary.BigEndian.Uint32(f[4:])
		if c.last[producer] != seq-1 && (!c.gaps || c.last[producer] >= seq) {
			c.t.Errorf("producer %d: frame %d after %d", producer, seq, c.last[producer])
		}
		c.last[producer] = seq
		c.frames++
		n += len(f)
	}
	runtime.Gosched()
	return n, nil
}

func TestConcurrentProducers(t *testing.T) {
	const producers, each, limit = 8, 500, 400
	synctest.Test(t, func(t *testing.T) {
		var o Outbox[int]
		c := &orderConn{t: t, last: map[uint32]uint32{}}
		owner := &ownerLog{outbox: &o}
		o.Init(peer(c, owner), &Limits{Bytes: limit, Drain: drain, Crew: new(Crew)}, nil)
		for p := range uint32(producers) {
			go func() {
				for seq := uint32(1); seq <= each; seq++ {
					f := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, p), seq)
					o.Wait(context.Background(), limit-len(f)+1)
					if err := o.Push(f); err != nil {
						t.Error(err)
					}
					if n := o.Bytes(); n > limit+producers*len(f) {
						t.Errorf("%d bytes are queued, limit %d", n, limit)
					}
				}
			}()
		}
		synctest.Wait()
		if c.frames != producers*each {
			t.Errorf("%d frames written, want %d", c.frames, producers*each)
		}
		if o.Bytes() != 0 || o.Len() != 0 || o.queue != nil {
			t.Error("the drained outbox is not empty")
		}
		if !o.Finish([]byte{0, 0, 0, producers, 0, 0, 0, 1}) {
			t.Error("Finish = false")
		}
		synctest.Wait()
		if c.frames != producers*each+1 {
			t.Error("the last frame was not written")
		}
		if owner.flushed != 1 || owner.failed != nil {
			t.Errorf("flushed %d times, failures %v", owner.flushed, owner.failed)
		}
	})
}

// TestConcurrentEnd races pushes with Finish and Kill: what Push accepted
// before Finish is written, and one end at most is reported.
func TestConcurrentEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for round := range 50 {
			var o Outbox[int]
			c := &countConn{}
			owner := &ownerLog{outbox: &o}
			o.Init(peer(c, owner), &Limits{}, nil)
			var accepted atomic.Int64
			for range 4 {
				go func() {
					for o.Push([]byte("frame")) == nil {
						accepted.Add(1)
						runtime.Gosched()
					}
				}()
			}
			for range round {
				runtime.Gosched()
			}
			kill := round%2 == 0
			o.Finish([]byte("close"))
			if kill {
				o.Kill()
			}
			synctest.Wait()
			written := c.frames.Load()
			if !kill && (written != accepted.Load()+1 || owner.flushed != 1) {
				t.Fatalf("%d of %d frames and the last one written, flushed %d", written, accepted.Load(), owner.flushed)
			}
			if kill && written > accepted.Load()+1 || owner.flushed > 1 || owner.failed != nil {
				t.Fatalf("%d of %d frames written, flushed %d, failed %v", written, accepted.Load(), owner.flushed, owner.failed)
			}
			if o.Bytes() != 0 || o.Len() != 0 || o.queue != nil {
				t.Fatal("the ended outbox is not empty")
			}
		}
	})
}

// TestKillLetsGoOfFrames pins that a killed outbox whose write hangs does not
// keep the frames behind it.
func TestKillLetsGoOfFrames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var o Outbox[int]
		c := newTube(0)
		o.Init(peer(c, &ownerLog{outbox: &o}), &Limits{Stall: stall, Crew: new(Crew)}, nil)
		for range 3 * batchFrames {
			if err := o.Push(make([]byte, 8)); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		_ = o.Push(make([]byte, 8))
		q := o.queue
		o.Kill()
		kept := 0
		for _, list := range [][]Frame[int]{q.pending[:cap(q.pending)], q.current[:cap(q.current)], q.batch[:cap(q.batch)]} {
			for _, e := range list {
				if e.Bytes != nil {
					kept++
				}
			}
		}
		if kept != c.frames {
			t.Errorf("%d frames are kept, %d are being written", kept, c.frames)
		}
		c.fail(errWrite)
	})
}

// TestBurstDoesNotStayAllocated pins that the queue of an outbox that is never
// idle gives back the room of a burst.
func TestBurstDoesNotStayAllocated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var o Outbox[int]
		c := newTube(0)
		o.Init(peer(c, &ownerLog{outbox: &o}), &Limits{Stall: stall, Crew: new(Crew)}, nil)
		push := func() {
			if err := o.Push([]byte("frame")); err != nil {
				t.Fatal(err)
			}
		}
		for range 10_000 {
			push()
		}
		synctest.Wait()
		for range 10_000/batchFrames + 10 {
			for o.Len() < 100 {
				push()
			}
			c.give(batchFrames * len("frame"))
			synctest.Wait()
		}
		if o.Len() == 0 {
			t.Fatal("the outbox was idle")
		}
		if got := cap(o.queue.pending) + cap(o.queue.current); got > 2*keepCapacity {
			t.Errorf("room for %d frames is kept for %d", got, o.Len())
		}
		o.Kill()
		c.fail(errWrite)
	})
}

// TestPooledQueueIsSmallAndEmpty pins what goes back to the pool after a burst.
func TestPooledQueueIsSmallAndEmpty(t *testing.T) {
	for _, burst := range []int{100, 10_000} {
		synctest.Test(t, func(t *testing.T) {
			var o Outbox[int]
			o.Init(peer(&countConn{}, &ownerLog{outbox: &o}), &Limits{}, nil)
			o.mu.Lock()
			q := o.active()
			for range burst {
				q.push(Frame[int]{Bytes: []byte("x")})
				q.bytes++
			}
			o.mu.Unlock()
			synctest.Wait()
			if cap(q.pending) > keepCapacity || cap(q.current) > keepCapacity {
				t.Errorf("capacities %d and %d go back to the pool", cap(q.pending), cap(q.current))
			}
			for _, e := range slices.Concat(q.pending[:cap(q.pending)], q.current[:cap(q.current)], q.batch[:cap(q.batch)]) {
				if e.Bytes != nil || e.Shared != nil {
					t.Fatal("a written frame is kept")
				}
			}
			for _, f := range q.wire[:cap(q.wire)] {
				if f != nil {
					t.Fatal("a written frame is kept for the connection")
				}
			}
			if q.owner != nil || q.len() != 0 {
				t.Errorf("a used queue goes back to the pool: %+v", q)
			}
		})
	}
}

type countConn struct{ frames atomic.Int64 }

func (c *countConn) Prompt() bool                   { return true }
func (c *countConn) AwaitWrite(time.Duration) error { return nil }

func (c *countConn) WriteFrames(frames [][]byte, _ time.Duration) (n int, err error) {
	c.frames.Add(int64(len(frames)))
	for _, f := range frames {
		n += len(f)
	}
	return n, nil
}

type signalConn chan struct{}

func (c signalConn) Prompt() bool                   { return true }
func (c signalConn) AwaitWrite(time.Duration) error { return nil }

func (c signalConn) WriteFrames(frames [][]byte, _ time.Duration) (int, error) {
	c <- struct{}{}
	return len(frames[0]), nil
}

// BenchmarkPushFlushIdle starts a flusher for each frame.
func BenchmarkPushFlushIdle(b *testing.B) {
	b.ReportAllocs()
	var o Outbox[int]
	c := make(signalConn)
	o.Init(peer(c, &ownerLog{outbox: &o}), &Limits{Bytes: 1 << 20}, nil)
	frame := make([]byte, 64)
	for b.Loop() {
		if err := o.Push(frame); err != nil {
			b.Fatal(err)
		}
		<-c
	}
}

// BenchmarkPushFlushBusy keeps one flusher at work.
func BenchmarkPushFlushBusy(b *testing.B) {
	b.ReportAllocs()
	var o Outbox[int]
	o.Init(peer(&countConn{}, &ownerLog{outbox: &o}), &Limits{Bytes: 64 << 10, Drain: drain}, nil)
	frame := make([]byte, 64)
	for b.Loop() {
		if o.Wait(context.Background(), 32<<10); o.Push(frame) != nil {
			b.Fatal("not pushed")
		}
	}
	o.Wait(context.Background(), 1)
}

// TestPushFirst pins that a frame overtakes what waits, once, and tears none of
// the others.
func TestPushFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var o Outbox[int]
		c := newTube(0)
		b := account.NewBudget(1<<20, func() {})
		o.Init(peer(c, &ownerLog{outbox: &o}), &Limits{Stall: stall}, b.Shard(0))
		if queued, overtakes := o.PushFirst([]byte("first")); !queued || overtakes {
			t.Errorf("queued %t, overtakes %t", queued, overtakes)
		}
		c.give(5)
		synctest.Wait()
		if string(c.got) != "first" || o.queue != nil {
			t.Fatalf("written by an idle outbox: %s", c.got)
		}
		for range 300 {
			if err := o.Push([]byte("frame")); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if queued, overtakes := o.PushFirst([]byte("FIRST")); !queued || !overtakes {
			t.Errorf("queued %t, overtakes %t", queued, overtakes)
		}
		if queued, _, ok := o.TryPushFirst([]byte("again")); queued || !ok || o.Len() != 301 || o.Bytes() != 301*5 {
			t.Errorf("%d frames are queued, %d bytes", o.Len(), o.Bytes())
		}
		if got, want := b.Used(), int64(301*(5+frameCost)); got != want {
			t.Errorf("the budget counts %d bytes, want %d", got, want)
		}
		o.mu.Lock()
		if _, _, ok := o.TryPushFirst([]byte("locked")); ok {
			t.Error("TryPushFirst got a lock that is taken")
		}
		o.mu.Unlock()
		c.give(3) // in the middle of a frame
		synctest.Wait()
		c.give(10_000)
		synctest.Wait()
		got := string(c.got[5:])
		if at := strings.Index(got, "FIRST"); at < 0 || at > batchFrames*5 || strings.Replace(got, "FIRST", "", 1) != strings.Repeat("frame", 300) {
			t.Errorf("FIRST was written at %d", at)
		}
		o.Finish(nil)
		o.PushFirst([]byte("late"))
		synctest.Wait()
		if n := b.Used(); n != 0 || len(c.got) != 5+301*5 {
			t.Errorf("the budget counts %d bytes, %d are written", n, len(c.got))
		}
	})
}
