package outbox

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// corkConn counts its writes.
type corkConn struct {
	crewConn
	writes int
	waits  bool
}

func (c *corkConn) Prompt() bool { return !c.waits }

func (c *corkConn) WriteFrames(frames [][]byte, stall time.Duration) (int, error) {
	c.mu.Lock()
	c.writes++
	c.mu.Unlock()
	return c.crewConn.WriteFrames(frames, stall)
}

func (c *corkConn) written() (string, int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return string(c.got), c.writes
}

// What is pushed while an outbox is corked leaves in one write when it is uncorked, in
// order, or as soon as somebody waits for it.
func TestCork(t *testing.T) {
	big := strings.Repeat("x", batchBytes)
	for name, test := range map[string]struct {
		do     func(t *testing.T, o *Outbox[int])
		want   string
		writes int
	}{
		"uncork here":  {func(_ *testing.T, o *Outbox[int]) { o.Uncork(true) }, "abc", 1},
		"uncork there": {func(_ *testing.T, o *Outbox[int]) { o.Uncork(false) }, "abc", 1},
		"not at all":   {func(*testing.T, *Outbox[int]) {}, "", 0},
		"twice":        {func(_ *testing.T, o *Outbox[int]) { o.Uncork(true); o.Uncork(true) }, "abc", 1},
		"a wait": {func(t *testing.T, o *Outbox[int]) {
			if err := o.Wait(context.Background(), 1); err != nil {
				t.Error(err)
			}
		}, "abc", 1},
		"a drain":        {func(_ *testing.T, o *Outbox[int]) { o.Drain() }, "abc", 1},
		"the end":        {func(_ *testing.T, o *Outbox[int]) { o.Finish([]byte("!")); o.Uncork(true) }, "abc!", 1},
		"the end, there": {func(_ *testing.T, o *Outbox[int]) { o.Finish([]byte("!")); o.Uncork(false) }, "abc!", 1},
		"too much":       {func(_ *testing.T, o *Outbox[int]) { o.Push([]byte(big)) }, "abc" + big, 2},
		"a ping":         {func(_ *testing.T, o *Outbox[int]) { o.PushFirst([]byte("p")); o.Uncork(true) }, "pabc", 1},
		"what was taken": {func(_ *testing.T, o *Outbox[int]) { o.Take(func(*Frame[int]) bool { return true }); o.Uncork(true) }, "ac", 1},
		"killed": {func(t *testing.T, o *Outbox[int]) {
			o.Kill()
			o.Uncork(true)
			if err := o.Push([]byte("d")); !errors.Is(err, ErrClosed) {
				t.Error(err)
			}
		}, "", 0},
		"corked again": {func(_ *testing.T, o *Outbox[int]) {
			o.Uncork(true)
			o.Cork()
			o.Push([]byte("d"))
			o.Push([]byte("e"))
			o.Uncork(true)
			o.Push([]byte("f"))
		}, "abcdef", 3},
	} {
		for _, waits := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					var now, most atomic.Int32
					c := &corkConn{crewConn: crewConn{now: &now, most: &most}, waits: waits}
					c.free = make(chan struct{})
					close(c.free)
					var o Outbox[int]
					o.Init(peer(c, &ownerLog{outbox: &o}), &Limits{Crew: new(Crew)}, nil)
					o.Cork()
					o.Push([]byte("a"))
					o.PushFrame(Frame[int]{Bytes: []byte("b"), Tag: 1})
					o.Push([]byte("c"))
					synctest.Wait()
					if got, _ := c.written(); got != "" {
						t.Fatalf("written while corked: %q", got)
					}
					test.do(t, &o)
					synctest.Wait()
					if got, writes := c.written(); got != test.want || writes != test.writes && !waits {
						t.Errorf("%d writes of %.10q, want %d of %.10q", writes, got, test.writes, test.want)
					}
					if name != "not at all" && o.queue != nil {
						t.Error("the queue was not given back")
					}
				})
			})
		}
	}
}

// A connection that takes nothing does not hold up who uncorks.
func TestUncorkDoesNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var now, most atomic.Int32
		c := &corkConn{crewConn: crewConn{now: &now, most: &most, stuck: true, free: make(chan struct{})}}
		var o Outbox[int]
		o.Init(peer(c, &ownerLog{outbox: &o}), &Limits{Crew: new(Crew)}, nil)
		o.Cork()
		o.Push([]byte("a"))
		o.Uncork(true)
		o.Push([]byte("b"))
		if got, _ := c.written(); got != "" {
			t.Errorf("written %q", got)
		}
		close(c.free)
		synctest.Wait()
		if got, _ := c.written(); got != "ab" {
			t.Errorf("written %q", got)
		}
	})
}
