package outbox

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/socketcluster-go/socketcluster/internal/budget"
)

const stall = 7 * time.Second

// gatedConn records each write and waits for its result.
type gatedConn struct {
	result  chan error
	writing [][]byte // nil between writes
	bad     string   // what was wrong with a call
}

func (c *gatedConn) WriteFrames(frames [][]byte, d time.Duration) error {
	size := 0
	for _, f := range frames {
		size += len(f)
	}
	switch {
	case d != stall:
		c.bad = "wrong stall limit"
	case c.writing != nil:
		c.bad = "two writes at the same time"
	case len(frames) == 0:
		c.bad = "empty write"
	case len(frames) > batchFrames:
		c.bad = "too many frames"
	case len(frames) > 1 && size > batchBytes:
		c.bad = "too many bytes"
	}
	c.writing = slices.Clone(frames)
	err := <-c.result
	c.writing = nil
	// What net.Buffers does with its slice must not harm the queue.
	clear(frames)
	_ = append(frames, []byte("garbage"))
	return err
}

type ownerLog struct {
	outbox  *Outbox[int]
	failed  []error
	flushed int
}

func (o *ownerLog) OutboxFailed(err error) {
	o.failed = append(o.failed, err)
	o.outbox.Kill() // no lock is held
}

func (o *ownerLog) OutboxFlushed() {
	o.flushed++
	o.outbox.Len()
}

var errWrite = errors.New("write failed")

// outboxModel is what an outbox with a gated connection should look like
// whenever all goroutines are blocked.
type outboxModel struct {
	outbox Outbox[int]
	conn   gatedConn
	owner  ownerLog
	limit  int
	next   uint32

	budget *budget.Budget
	shared map[uint32]bool // frames that other outboxes could have too, by number
	tags   map[uint32]int  // of those that have one
	taken  []Frame[int]    // shared ones that count until the caller lets go of them

	queue    [][]byte // accepted and not yet written
	bytes    int
	finished bool
	killed   bool
	failed   bool
	flushed  bool
	waiters  []waiter
}

type waiter struct {
	below int
	done  chan struct{}
}

func (m *outboxModel) frame(size int) []byte {
	m.next++
	f := make([]byte, max(size, 4))
	binary.BigEndian.PutUint32(f, m.next)
	return f
}

// pushed is what a push of f should answer, and do.
func (m *outboxModel) pushed(f []byte) error {
	switch {
	case m.finished || m.killed:
		return ErrClosed
	case m.limit > 0 && m.bytes > 0 && m.bytes+len(f) > m.limit:
		return ErrFull
	}
	m.queue = append(m.queue, f)
	m.bytes += len(f)
	return nil
}

func (m *outboxModel) push(t *rapid.T, size int) {
	f := m.frame(size)
	want := m.pushed(f)
	tag := rapid.IntRange(0, 3).Draw(t, "tag")
	m.tags[m.next] = tag
	var err error
	switch {
	case rapid.IntRange(0, 2).Draw(t, "shared") == 0:
		var s budget.Shared
		s.Init(m.budget.Shard(0), len(f))
		s.Take()
		err = m.outbox.PushFrame(Frame[int]{f, &s, tag})
		s.Settle()
		m.shared[m.next] = true
	case tag == 0:
		err = m.outbox.Push(f)
	default:
		err = m.outbox.PushFrame(Frame[int]{f, nil, tag})
	}
	if err != want {
		t.Fatalf("Push of %d bytes = %v, want %v", len(f), err, want)
	}
}

// counted is what the budget should know of: all that is queued, and after a
// Kill the shared frames that are still being written; those that were taken out.
func (m *outboxModel) counted() (n int64) {
	for _, f := range m.taken {
		n += int64(len(f.Bytes))
	}
	if !m.killed {
		return n + int64(m.bytes+frameCost*len(m.queue))
	}
	for _, f := range m.conn.writing {
		if m.shared[number(f)] {
			n += int64(len(f))
		}
	}
	return n
}

func number(frame []byte) uint32 { return binary.BigEndian.Uint32(frame) }

// Take takes out the frames of one tag that are not being written.
func (m *outboxModel) Take(t *rapid.T) {
	tag := rapid.IntRange(0, 3).Draw(t, "tag")
	var want [][]byte
	if !m.killed {
		writing := len(m.conn.writing)
		rest := m.queue[:writing:writing]
		for _, f := range m.queue[writing:] {
			if tag != 0 && m.tags[number(f)] == tag {
				want = append(want, f)
				m.bytes -= len(f)
			} else {
				rest = append(rest, f)
			}
		}
		m.queue = rest
	}
	got := m.outbox.Take(func(f *Frame[int]) bool {
		if f.Tag == 0 {
			t.Fatal("asked about a frame without a tag")
		}
		return f.Tag == tag
	})
	if len(got) != len(want) {
		t.Fatalf("Take returned %d frames, want %d", len(got), len(want))
	}
	for i, f := range got {
		if !bytes.Equal(f.Bytes, want[i]) || f.Tag != tag || (f.Shared != nil) != m.shared[number(f.Bytes)] {
			t.Fatalf("frame %d of Take is %v with tag %d, want %v", i, f.Bytes[:4], f.Tag, want[i][:4])
		}
		if f.Shared != nil {
			m.taken = append(m.taken, f)
		}
	}
}

// PushBack pushes what has been taken out, with the reference that came along.
func (m *outboxModel) PushBack(t *rapid.T) {
	for _, f := range m.taken {
		want := m.pushed(f.Bytes)
		if err := m.outbox.PushFrame(f); err != want {
			t.Fatalf("pushing a frame back = %v, want %v", err, want)
		}
	}
	m.taken = nil
}

func (m *outboxModel) PushSmall(t *rapid.T) {
	for range rapid.IntRange(1, 200).Draw(t, "count") {
		m.push(t, rapid.IntRange(4, 12).Draw(t, "size"))
	}
}

func (m *outboxModel) PushLarge(t *rapid.T) {
	for range rapid.IntRange(1, 4).Draw(t, "count") {
		m.push(t, rapid.SampledFrom([]int{1 << 10, 20_000, 32 << 10, 64 << 10, 64<<10 + 1, 100_000}).Draw(t, "size"))
	}
}

func (m *outboxModel) Written(t *rapid.T) {
	n := len(m.conn.writing)
	if n == 0 {
		return
	}
	m.conn.result <- nil
	if !m.killed {
		for _, f := range m.queue[:n] {
			m.bytes -= len(f)
		}
		m.queue = m.queue[n:]
		m.flushed = m.finished && len(m.queue) == 0
	}
	synctest.Wait()
}

func (m *outboxModel) WriteFails(t *rapid.T) {
	if len(m.conn.writing) == 0 || rapid.IntRange(0, 9).Draw(t, "really") > 0 {
		return
	}
	m.conn.result <- errWrite
	if !m.killed {
		m.failed = true
		m.kill()
	}
	synctest.Wait()
}

func (m *outboxModel) Finish(t *rapid.T) {
	if rapid.IntRange(0, 9).Draw(t, "really") > 0 {
		return
	}
	var f []byte
	if rapid.Bool().Draw(t, "with a frame") {
		f = m.frame(rapid.IntRange(4, 127).Draw(t, "size"))
	}
	want := !m.finished && !m.killed
	if got := m.outbox.Finish(f); got != want {
		t.Fatalf("Finish = %v, want %v", got, want)
	}
	if !want {
		return
	}
	m.finished = true
	if f != nil {
		m.queue = append(m.queue, f)
		m.bytes += len(f)
	}
	m.flushed = len(m.queue) == 0
}

func (m *outboxModel) Kill(t *rapid.T) {
	if rapid.IntRange(0, 19).Draw(t, "really") > 0 {
		return
	}
	m.outbox.Kill()
	m.kill()
}

func (m *outboxModel) kill() {
	m.killed, m.queue, m.bytes = true, nil, 0
}

func (m *outboxModel) Wait(t *rapid.T) {
	below := rapid.IntRange(-1, 200_000).Draw(t, "below")
	if rapid.Bool().Draw(t, "on the edge") {
		below = m.bytes + rapid.IntRange(-1, 1).Draw(t, "offset")
	}
	w := waiter{below, make(chan struct{})}
	m.waiters = append(m.waiters, w)
	go func() {
		m.outbox.Wait(w.below)
		close(w.done)
	}()
}

func (m *outboxModel) Check(t *rapid.T) {
	synctest.Wait()
	if m.conn.bad != "" {
		t.Fatal(m.conn.bad)
	}
	if got := m.outbox.Bytes(); got != m.bytes {
		t.Fatalf("Bytes = %d, want %d", got, m.bytes)
	}
	if got, want := m.budget.Used(), m.counted(); got != want {
		t.Fatalf("the budget counts %d bytes, want %d", got, want)
	}
	if got := m.outbox.Len(); got != len(m.queue) {
		t.Fatalf("Len = %d, want %d", got, len(m.queue))
	}
	if len(m.queue) > 0 && len(m.conn.writing) == 0 {
		t.Fatal("frames are queued and nobody writes")
	}
	if !m.killed {
		for i, f := range m.conn.writing {
			if !bytes.Equal(f, m.queue[i]) {
				t.Fatalf("frame %d of a write is not the next one in the queue", i)
			}
		}
	}
	if len(m.conn.writing) == 0 && m.outbox.queue != nil {
		t.Fatal("an idle outbox keeps a queue")
	}
	if (m.owner.flushed == 1) != m.flushed || m.owner.flushed > 1 {
		t.Fatalf("OutboxFlushed called %d times, want %v", m.owner.flushed, m.flushed)
	}
	if m.failed != slices.Equal(m.owner.failed, []error{errWrite}) || !m.failed && m.owner.failed != nil {
		t.Fatalf("OutboxFailed got %v, want %v", m.owner.failed, m.failed)
	}
	m.waiters = slices.DeleteFunc(m.waiters, func(w waiter) bool {
		want := m.finished || m.killed || m.bytes < max(w.below, 1)
		got := false
		select {
		case <-w.done:
			got = true
		default:
		}
		if got != want {
			t.Fatalf("Wait(%d) returned: %v, want %v at %d bytes", w.below, got, want, m.bytes)
		}
		return got
	})
}

func (m *outboxModel) end() {
	m.outbox.Kill()
	for i := range m.taken {
		m.taken[i].release()
	}
	close(m.conn.result)
	synctest.Wait()
	if n := m.budget.Used(); n != 0 {
		panic(fmt.Sprintf("the budget counts %d bytes at the end", n))
	}
}

// bubble hides Deadline, which must not be called inside a synctest bubble,
// from rapid.
type bubble struct{ *testing.T }

func TestModel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rapid.Check(bubble{t}, func(t *rapid.T) {
			m := &outboxModel{
				conn:  gatedConn{result: make(chan error)},
				limit: rapid.SampledFrom([]int{0, 1000, 100_000, 1 << 20}).Draw(t, "limit"),

				budget: budget.New(1<<20, func() {}),
				shared: make(map[uint32]bool),
				tags:   make(map[uint32]int),
			}
			m.owner.outbox = &m.outbox
			m.outbox.Init(&m.conn, &m.owner, m.limit, stall, m.budget.Shard(0))
			defer m.end()
			t.Repeat(map[string]func(*rapid.T){
				"push small":   m.PushSmall,
				"push large":   m.PushLarge,
				"written":      m.Written,
				"written more": m.Written,
				"write fails":  m.WriteFails,
				"finish":       m.Finish,
				"kill":         m.Kill,
				"wait":         m.Wait,
				"take":         m.Take,
				"push back":    m.PushBack,
				"":             m.Check,
			})
		})
	})
}
