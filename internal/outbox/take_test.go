package outbox

import (
	"bytes"
	"context"
	"encoding/binary"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/socketcluster-go/socketcluster/internal/account"
)

// TestTakeMakesRoom pins that those who wait for room get that of frames that
// were taken out.
func TestTakeMakesRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var o Outbox[int]
		c := newTube(0)
		o.Init(peer(c, &ownerLog{outbox: &o}), &Limits{Stall: stall, Crew: new(Crew)}, nil)
		if err := o.Push(make([]byte, 10)); err != nil {
			t.Fatal(err)
		}
		synctest.Wait() // the first write has only the first frame
		if err := o.PushFrame(Frame[int]{Bytes: make([]byte, 100), Tag: 1}); err != nil {
			t.Fatal(err)
		}
		room := make(chan struct{})
		go func() {
			o.Wait(context.Background(), 50)
			close(room)
		}()
		synctest.Wait()
		if taken := o.Take(func(*Frame[int]) bool { return true }); len(taken) != 1 || o.Bytes() != 10 || o.Len() != 1 {
			t.Errorf("%d frames were taken, %d of %d bytes are left", len(taken), o.Len(), o.Bytes())
		}
		synctest.Wait()
		select {
		case <-room:
		default:
			t.Error("Wait goes on although there is room")
		}
		o.Kill()
		c.fail(errWrite)
	})
}

// TestTakeFromABlockedWrite pins that Take gets all that the connection does not
// have: what waits for the connection to take more, and not the frame that it has
// a part of, which is completed.
func TestTakeFromABlockedWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var o Outbox[int]
		c := newTube(10 + 3)
		o.Init(peer(c, &ownerLog{outbox: &o}), &Limits{Stall: stall, Crew: new(Crew)}, nil)
		var frames [][]byte
		for i := range 10 {
			f := bytes.Repeat([]byte{byte('a' + i)}, 10)
			frames = append(frames, f)
			if err := o.PushFrame(Frame[int]{Bytes: f, Tag: 1 + i%2}); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if string(c.got) != "aaaaaaaaaabbb" {
			t.Fatalf("written before: %s", c.got)
		}
		var taken []byte
		for _, f := range o.Take(func(f *Frame[int]) bool { return f.Tag == 2 }) {
			taken = append(taken, f.Bytes[0])
		}
		if string(taken) != "dfhj" {
			t.Errorf("taken: %s, want all of the tag but b, which has begun", taken)
		}
		c.give(1000)
		synctest.Wait()
		want := bytes.Join([][]byte{frames[0], frames[1], frames[2], frames[4], frames[6], frames[8]}, nil)
		if !bytes.Equal(c.got, want) {
			t.Errorf("written: %s", c.got)
		}
	})
}

// prepared is a tube in which frames are longer than they were.
type prepared struct{ *tubeConn }

func (c prepared) Prepare(frame []byte) []byte {
	runtime.Gosched()
	return slices.Concat([]byte("<"), frame, []byte(">"))
}

// TestPreparedFrames pins that what is written in place of a frame is written
// once and whole, however little the connection takes at a time, and that frames
// count as they were pushed.
func TestPreparedFrames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var o Outbox[int]
		c := newTube(0)
		o.Init(peer(prepared{c}, &ownerLog{outbox: &o}), &Limits{Stall: stall}, nil)
		push := func(frame string, tag int) {
			if err := o.PushFrame(Frame[int]{Bytes: []byte(frame), Tag: tag}); err != nil {
				t.Fatal(err)
			}
		}
		push("one", 1)
		push("two", 2)
		push("three", 1)
		synctest.Wait()
		for range 4 {
			c.give(1)
			synctest.Wait()
		}
		// All that counts of the first frame is out, but not its end.
		if n := o.Bytes(); n != 11 {
			t.Errorf("%d bytes count, want 11", n)
		}
		o.Take(func(f *Frame[int]) bool { return f.Tag == 1 })
		for range 20 {
			c.give(1)
			synctest.Wait()
		}
		if string(c.got) != "<one><two>" || o.Bytes() != 0 {
			t.Errorf("written: %s, %d bytes are left", c.got, o.Bytes())
		}
	})
}

// TestTakeConcurrently pins that each frame is written once or taken once, while
// the connection takes them.
func TestTakeConcurrently(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const frames = 20_000
		var o Outbox[int]
		c := &orderConn{t: t, last: map[uint32]uint32{}, gaps: true}
		o.Init(peer(c, &ownerLog{outbox: &o}), &Limits{}, nil)
		var done atomic.Bool
		taken := make(map[uint32]bool)
		end := make(chan struct{})
		go func() {
			defer close(end)
			for !done.Load() {
				for _, f := range o.Take(func(f *Frame[int]) bool { return f.Tag == 1 }) {
					taken[binary.BigEndian.Uint32(f.Bytes[4:])] = true
				}
				runtime.Gosched()
			}
		}()
		for seq := uint32(1); seq <= frames; seq++ {
			f := binary.BigEndian.AppendUint32(make([]byte, 4), seq)
			if err := o.PushFrame(Frame[int]{Bytes: f, Tag: int(seq % 3)}); err != nil {
				t.Fatal(err)
			}
			if seq%100 == 0 {
				runtime.Gosched()
			}
		}
		done.Store(true)
		<-end
		synctest.Wait()
		if c.frames+len(taken) != frames || len(taken) == 0 {
			t.Errorf("%d frames written and %d taken of %d", c.frames, len(taken), frames)
		}
	})
}

// TestTakeIsExact pins that nothing of a tag is written once Take has returned,
// also when a write was under way.
func TestTakeIsExact(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var o Outbox[int]
		c := &orderConn{t: t, last: map[uint32]uint32{}, gaps: true}
		o.Init(peer(c, &ownerLog{outbox: &o}), &Limits{}, nil)
		pushed, taken := uint32(0), 0
		for range 1000 {
			for range 3 * batchFrames {
				pushed++
				f := binary.BigEndian.AppendUint32(make([]byte, 4), pushed)
				if err := o.PushFrame(Frame[int]{Bytes: f, Tag: 1}); err != nil {
					t.Fatal(err)
				}
			}
			runtime.Gosched()
			taken += len(o.Take(func(*Frame[int]) bool { return true }))
			if c.frames+taken != int(pushed) {
				t.Fatalf("%d frames written and %d taken of %d", c.frames, taken, pushed)
			}
		}
		if taken == 0 || c.frames == 0 {
			t.Errorf("%d frames written, %d taken", c.frames, taken)
		}
	})
}

// TestTakeAllFromABlockedWrite pins that a connection that takes nothing has not
// failed when nothing is left for it.
func TestTakeAllFromABlockedWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var o Outbox[int]
		c := newTube(0)
		log := &ownerLog{outbox: &o}
		o.Init(peer(c, log), &Limits{Stall: stall}, nil)
		push := func() {
			if err := o.PushFrame(Frame[int]{Bytes: []byte("frame"), Tag: 1}); err != nil {
				t.Fatal(err)
			}
		}
		push()
		time.Sleep(stall / 2)
		o.Take(func(*Frame[int]) bool { return true })
		time.Sleep(10 * stall)
		synctest.Wait()
		if log.failed != nil || o.queue != nil {
			t.Fatalf("failed with %v, idle %v", log.failed, o.queue == nil)
		}
		push()
		time.Sleep(stall / 2)
		c.give(100)
		synctest.Wait()
		if string(c.got) != "frame" {
			t.Errorf("written: %q", c.got)
		}
	})
}

// TestTakeChangesFrames pins that a frame that stays can be given other bytes,
// also while the connection is waited for.
func TestTakeChangesFrames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var o Outbox[int]
		c := newTube(4)
		b := account.NewBudget(1<<20, func() {})
		o.Init(peer(prepared{c}, &ownerLog{outbox: &o}), &Limits{Stall: stall}, b.Shard(0))
		for i, text := range []string{"one", "two", "three"} {
			if err := o.PushFrame(Frame[int]{Bytes: []byte(text), Tag: i + 1}); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		o.Take(func(f *Frame[int]) bool {
			switch f.Tag {
			case 1:
				t.Error("asked about a frame that has begun")
			case 2:
				f.Bytes, f.Tag = []byte("second"), 4
			}
			return f.Tag == 3
		})
		if n, want := b.Used(), int64(3+6+2*frameCost); n != want || o.Bytes() != 9 {
			t.Errorf("the budget counts %d bytes, want %d, the outbox %d", n, want, o.Bytes())
		}
		c.give(100)
		synctest.Wait()
		if string(c.got) != "<one><second>" || b.Used() != 0 {
			t.Errorf("written: %s", c.got)
		}
	})
}
