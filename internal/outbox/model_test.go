package outbox

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/socketcluster-go/socketcluster/internal/account"
)

const (
	stall = 7 * time.Second
	drain = 30 * time.Second
)

// tubeConn takes as many bytes as it is given room for. Its fields may be used
// while the flusher is blocked.
type tubeConn struct {
	mu    sync.Mutex    // guards room, err and got
	waits bool          // it is not Prompt
	room  int           // how many bytes it still takes
	more  chan struct{} // tells that room or err has changed
	err   error

	writing [][]byte // of a WriteFrames that waits
	got     []byte
	frames  int    // of the last call
	bad     string // what was wrong with a call
}

func newTube(room int) *tubeConn { return &tubeConn{room: room, more: make(chan struct{}, 1)} }

// give makes room for n bytes more.
func (c *tubeConn) give(n int) {
	c.mu.Lock()
	c.room += n
	c.mu.Unlock()
	c.tell()
}

func (c *tubeConn) fail(err error) {
	c.mu.Lock()
	c.err = err
	c.mu.Unlock()
	c.tell()
}

func (c *tubeConn) tell() {
	select {
	case c.more <- struct{}{}:
	default:
	}
}

func (c *tubeConn) Prompt() bool { return !c.waits }

func (c *tubeConn) AwaitWrite(d time.Duration) error {
	if d != stall && d != stall/hurry {
		c.bad = "wrong stall limit"
	}
	if c.waits {
		return nil
	}
	return c.await(d)
}

func (c *tubeConn) await(d time.Duration) error {
	timeout := time.NewTimer(d)
	defer timeout.Stop()
	for {
		c.mu.Lock()
		room, err := c.room, c.err
		c.mu.Unlock()
		if room > 0 || err != nil {
			return err
		}
		select {
		case <-c.more:
		case <-timeout.C:
			return os.ErrDeadlineExceeded
		}
	}
}

func (c *tubeConn) WriteFrames(frames [][]byte, d time.Duration) (int, error) {
	size := 0
	for _, f := range frames {
		size += len(f)
	}
	switch {
	case d != stall && d != stall/hurry:
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
	c.frames = len(frames)
	if c.waits {
		c.writing = slices.Clone(frames)
		err := c.await(d)
		c.writing = nil
		if err != nil {
			return 0, err
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return 0, c.err
	}
	n := 0
	for _, f := range frames {
		f = f[:min(len(f), c.room)]
		c.room -= len(f)
		c.got = append(c.got, f...)
		n += len(f)
	}
	return n, nil
}

type ownerLog struct {
	outbox  *Outbox[int]
	failed  []error
	flushed int
	full    atomic.Int64 // of several goroutines
}

func (o *ownerLog) OutboxFailed(err error) {
	o.failed = append(o.failed, err)
	o.outbox.Kill() // no lock is held
}

func (o *ownerLog) OutboxFlushed() {
	o.flushed++
	o.outbox.Len()
}

func (o *ownerLog) OutboxFull() {
	o.full.Add(1)
	o.outbox.Len() // no lock is held
}

var errWrite = errors.New("write failed")

// outboxModel is what an outbox should look like whenever all goroutines are
// blocked. Its connection never keeps it waiting for so long that it ends.
type outboxModel struct {
	outbox Outbox[int]
	conn   *tubeConn
	owner  ownerLog
	limits Limits
	next   uint32

	budget *account.Budget
	shared map[uint32]bool // frames that other outboxes could have too, by number
	tags   map[uint32]int  // of those that have one
	taken  []Frame[int]    // shared ones that count until the caller lets go of them

	queue    [][]byte // accepted and not yet written
	out      int      // bytes of the first one that are
	bytes    int      // of queue
	reserved int
	cost     int // of what is reserved
	room     int
	got      []byte // what the connection should have
	full     int    // how often the outbox has become full
	isFull   bool
	finished bool
	killed   bool
	failed   bool
	flushed  bool
	waiters  []waiter
}

type waiter struct {
	below    int
	reserved bool
	done     chan struct{}
}

func (m *outboxModel) frame(size int) []byte {
	m.next++
	f := make([]byte, max(size, 4))
	binary.BigEndian.PutUint32(f, m.next)
	return f
}

func number(frame []byte) uint32 { return binary.BigEndian.Uint32(frame) }

func (m *outboxModel) waiting() int { return m.bytes - m.out + m.reserved }

// level notes whether the outbox has become full, or is so no longer.
func (m *outboxModel) level() {
	switch n := m.waiting(); {
	case m.limits.Bytes > 0 && n > m.limits.Bytes && !m.isFull:
		m.isFull = true
		m.full++
	case n <= m.limits.Bytes/2:
		m.isFull = false
	}
}

// pushed is what a push of f should answer, and do.
func (m *outboxModel) pushed(f []byte) error {
	if m.finished || m.killed {
		return ErrClosed
	}
	m.queue = append(m.queue, f)
	m.bytes += len(f)
	m.level()
	return nil
}

func (m *outboxModel) push(t *rapid.T, size int) {
	f := m.frame(size)
	want := m.pushed(f)
	tag := rapid.IntRange(0, 3).Draw(t, "tag")
	m.tags[m.next] = tag
	push := m.outbox.PushFrame
	if rapid.Bool().Draw(t, "later") {
		push = m.outbox.PushLater
	}
	var err error
	switch {
	case rapid.IntRange(0, 2).Draw(t, "shared") == 0:
		var s account.Shared
		s.Init(m.budget.Shard(0), len(f))
		s.Take()
		err = push(Frame[int]{Bytes: f, Shared: &s, Tag: tag})
		s.Settle()
		m.shared[m.next] = true
	case tag == 0:
		err = m.outbox.Push(f)
	default:
		err = push(Frame[int]{Bytes: f, Tag: tag})
	}
	if err != want {
		t.Fatalf("Push of %d bytes = %v, want %v", len(f), err, want)
	}
	m.flow()
}

// flow moves what there is room for.
func (m *outboxModel) flow() {
	if m.limits.Crew != nil {
		m.limits.Crew.Flush()
	}
	synctest.Wait()
	if m.killed {
		return
	}
	for m.room > 0 && len(m.queue) > 0 {
		f := m.queue[0]
		n := min(m.room, len(f)-m.out)
		m.got = append(m.got, f[m.out:m.out+n]...)
		m.room -= n
		if m.out += n; m.out == len(f) {
			m.queue, m.bytes, m.out = m.queue[1:], m.bytes-len(f), 0
		}
	}
	m.level()
	m.flushed = m.finished && len(m.queue) == 0
}

// counted is what the budget should know of: all that is queued, and after a
// Kill the shared frames that are still being written; those that were taken out.
func (m *outboxModel) counted() (n int64) {
	for _, f := range m.taken {
		n += int64(len(f.Bytes))
	}
	if !m.killed {
		n += int64(m.bytes + frameCost*len(m.queue))
	}
	return n + int64(m.cost)
}

// Take takes out the frames of one tag that the connection does not have.
func (m *outboxModel) Take(t *rapid.T) {
	tag := rapid.IntRange(0, 3).Draw(t, "tag")
	var want [][]byte
	if !m.killed {
		kept := len(m.conn.writing)
		if m.out > 0 {
			kept = max(kept, 1)
		}
		rest := m.queue[:kept:kept]
		for _, f := range m.queue[kept:] {
			if tag != 0 && m.tags[number(f)] == tag {
				want = append(want, f)
				m.bytes -= len(f)
			} else {
				rest = append(rest, f)
			}
		}
		m.queue = rest
		m.level()
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
		m.flow()
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

// Room lets the connection take some bytes, often up to the end of a frame.
func (m *outboxModel) Room(t *rapid.T) {
	n := rapid.SampledFrom([]int{1, 7, 100, 5000, 70_000, 1 << 20}).Draw(t, "room")
	if len(m.queue) > 0 && rapid.Bool().Draw(t, "a frame") {
		n = len(m.queue[0]) - m.out
	}
	m.room += n
	m.conn.give(n)
	m.flow()
}

func (m *outboxModel) WriteFails(t *rapid.T) {
	if len(m.queue) == 0 || m.killed || rapid.IntRange(0, 9).Draw(t, "really") > 0 {
		return
	}
	m.conn.fail(errWrite)
	m.failed = true
	m.kill()
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
	m.flow()
}

func (m *outboxModel) Kill(t *rapid.T) {
	if rapid.IntRange(0, 19).Draw(t, "really") > 0 {
		return
	}
	m.outbox.Kill()
	m.kill()
	m.conn.fail(errWrite) // as whoever kills closes the connection
}

func (m *outboxModel) kill() {
	m.killed, m.queue, m.bytes, m.out = true, nil, 0, 0
}

func (m *outboxModel) Reserve(t *rapid.T) {
	n := rapid.IntRange(-m.reserved, 150_000).Draw(t, "bytes")
	cost := rapid.IntRange(0, max(n, 0)).Draw(t, "cost")
	if n < 0 {
		cost = n * m.cost / m.reserved
	}
	var want error
	if n >= 0 && (m.finished || m.killed) {
		want = ErrClosed
	} else {
		m.reserved += n
		m.cost += cost
		m.level()
	}
	if err := m.outbox.Reserve(n, cost); err != want {
		t.Fatalf("Reserve = %v, want %v", err, want)
	}
}

func (m *outboxModel) Wait(t *rapid.T) {
	below := rapid.IntRange(-1, 200_000).Draw(t, "below")
	if rapid.Bool().Draw(t, "on the edge") {
		below = m.bytes - m.out + rapid.IntRange(-1, 1).Draw(t, "offset")
	}
	w := waiter{below, rapid.Bool().Draw(t, "reserved"), make(chan struct{})}
	m.waiters = append(m.waiters, w)
	go func() {
		if w.reserved {
			m.outbox.WaitReserved(context.Background(), w.below)
		} else {
			m.outbox.Wait(context.Background(), w.below)
		}
		close(w.done)
	}()
}

func (m *outboxModel) Check(t *rapid.T) {
	synctest.Wait()
	if m.conn.bad != "" {
		t.Fatal(m.conn.bad)
	}
	if !bytes.Equal(m.conn.got, m.got) && !m.killed {
		t.Fatalf("%d bytes were written, want %d, or others", len(m.conn.got), len(m.got))
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
	// One that was emptied by Take does until its connection takes more.
	idle := m.outbox.queue == nil || m.outbox.queue.blocked.IsZero() && len(m.conn.writing) == 0
	if idle && len(m.queue) == 0 && m.outbox.queue != nil {
		t.Fatal("an idle outbox keeps a queue")
	}
	if int(m.owner.full.Load()) != m.full {
		t.Fatalf("OutboxFull called %d times, want %d", m.owner.full.Load(), m.full)
	}
	if idle && len(m.queue) == 0 && m.reserved == 0 && m.outbox.pressure != nil && !m.killed {
		t.Fatal("an idle outbox keeps its pressure")
	}
	if (m.owner.flushed == 1) != (m.flushed && idle) || m.owner.flushed > 1 {
		t.Fatalf("OutboxFlushed called %d times, want %v", m.owner.flushed, m.flushed)
	}
	if m.failed != slices.Equal(m.owner.failed, []error{errWrite}) || !m.failed && m.owner.failed != nil {
		t.Fatalf("OutboxFailed got %v, want %v", m.owner.failed, m.failed)
	}
	m.waiters = slices.DeleteFunc(m.waiters, func(w waiter) bool {
		n := m.bytes - m.out
		if w.reserved {
			n += m.reserved
		}
		want := m.finished || m.killed || n < max(w.below, 1)
		got := false
		select {
		case <-w.done:
			got = true
		default:
		}
		if got != want {
			t.Fatalf("Wait(%d) returned: %v, want %v at %d bytes", w.below, got, want, n)
		}
		return got
	})
}

func (m *outboxModel) end() {
	m.outbox.Reserve(-m.reserved, -m.cost)
	m.outbox.Kill()
	for i := range m.taken {
		m.taken[i].release()
	}
	m.conn.fail(errWrite)
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
				conn: newTube(0),
				limits: Limits{
					Bytes: rapid.SampledFrom([]int{0, 1000, 100_000, 1 << 20}).Draw(t, "limit"),
					Stall: stall,
					Drain: drain,
				},
				budget: account.NewBudget(1<<20, func() {}),
				shared: make(map[uint32]bool),
				tags:   make(map[uint32]int),
			}
			m.conn.waits = rapid.Bool().Draw(t, "the connection waits")
			if rapid.Bool().Draw(t, "with a crew") {
				m.limits.Crew = new(Crew)
			}
			m.owner.outbox = &m.outbox
			m.outbox.Init(peer(m.conn, &m.owner), &m.limits, m.budget.Shard(0))
			defer m.end()
			t.Repeat(map[string]func(*rapid.T){
				"push small":  m.PushSmall,
				"push large":  m.PushLarge,
				"room":        m.Room,
				"more room":   m.Room,
				"write fails": m.WriteFails,
				"finish":      m.Finish,
				"kill":        m.Kill,
				"reserve":     m.Reserve,
				"wait":        m.Wait,
				"take":        m.Take,
				"push back":   m.PushBack,
				"":            m.Check,
			})
		})
	})
}
