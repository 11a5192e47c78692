package calls

import (
	"bytes"
	"context"
	"encoding/json"
	"sync"
	"time"

	"github.com/socketcluster-go/socketcluster/internal/wheel"
	"github.com/socketcluster-go/socketcluster/wire"
)

// Table has the calls of one connection. Its methods are safe for concurrent
// use.
type Table struct {
	wheel *wheel.Wheel
	busy  func(bool)

	mu      sync.Mutex
	last    uint64 // the last id given
	waiting map[uint64]*Call
}

// New returns a table without calls. The first ID that it gives follows last. busy is called under the lock of the
// table: with true when a first call begins to wait, and with false when the
// last one has been answered or removed.
func New(w *wheel.Wheel, last uint64, busy func(bool)) *Table {
	return &Table{wheel: w, last: last, busy: busy, waiting: make(map[uint64]*Call)}
}

// Call is a call that waits for its answer.
type Call struct {
	ID uint64

	table  *Table
	event  string
	timer  wheel.Timer
	answer chan answer                  // room for one; nil if then is set
	then   func(json.RawMessage, error) // see BeginFunc
}

type answer struct {
	data json.RawMessage
	err  error
}

// Begin adds a call that waits until deadline. The caller sends it.
func (t *Table) Begin(event string, deadline time.Time) *Call {
	return t.begin(&Call{table: t, event: event, answer: make(chan answer, 1)}, deadline)
}

// BeginFunc is Begin for a call that nobody waits for: then gets what Wait would
// return. It is called at most once, by whoever ends the call: Answer, Abort, or
// the goroutine of the wheel. A zero deadline means none.
func (t *Table) BeginFunc(event string, deadline time.Time, then func(json.RawMessage, error)) *Call {
	return t.begin(&Call{table: t, event: event, then: then}, deadline)
}

func (t *Table) begin(c *Call, deadline time.Time) *Call {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last++
	c.ID = t.last
	if len(t.waiting) == 0 {
		t.busy(true)
	}
	t.waiting[c.ID] = c
	if !deadline.IsZero() {
		t.wheel.Set(&c.timer, deadline, c)
	}
	return c
}

// Last returns the last ID that has been given.
func (t *Table) Last() uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.last
}

// Cancel removes a call from the table. It returns false if the call has ended.
func (c *Call) Cancel() bool {
	c.table.wheel.Stop(&c.timer)
	return c.table.take(c.ID) != nil
}

// Wait waits for the answer and returns it: the data or the error of the peer,
// the error of Abort, that of [Timeout] after the deadline, or that of [Ended].
func (c *Call) Wait(ctx context.Context) (json.RawMessage, error) {
	defer c.Cancel()
	select {
	case a := <-c.answer:
		return a.data, a.err
	case <-ctx.Done():
		return nil, Ended(ctx, c.event)
	}
}

// Expire implements [wheel.Task].
func (c *Call) Expire(time.Time) {
	if c.then == nil || c.table.take(c.ID) != nil {
		c.end(answer{err: Timeout(c.event)})
	}
}

// end gives the call its answer. Only the first one counts.
func (c *Call) end(a answer) {
	if c.then != nil { // which whoever took it from the table ends
		c.table.wheel.Stop(&c.timer)
		c.then(a.data, a.err)
		return
	}
	select {
	case c.answer <- a:
	default:
	}
}

// Waiting reports whether any call waits.
func (t *Table) Waiting() bool {
	if t == nil {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.waiting) > 0
}

// Answer passes an answer to its call. It returns false if no call waits for
// it, because the call has already ended or never existed.
func (t *Table) Answer(p *wire.Packet) bool {
	id := uint64(p.ID)
	if t == nil || p.ID < 1 || float64(id) != p.ID {
		return false
	}
	c := t.take(id)
	if c == nil {
		return false
	}
	a := answer{err: wire.ParseError(p.Error)}
	if a.err == nil {
		a.data = bytes.Clone(p.Data)
	}
	c.end(a)
	return true
}

// take removes a call from the table. It returns nil if that was done before.
func (t *Table) take(id uint64) *Call {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := t.waiting[id]
	if c == nil {
		return nil
	}
	delete(t.waiting, id)
	if len(t.waiting) == 0 {
		t.busy(false)
	}
	return c
}

// Abort ends all waiting calls, each with the error that failure returns for
// its event. The peer will not answer any more, so no call may begin afterwards.
func (t *Table) Abort(failure func(event string) error) {
	if t == nil {
		return
	}
	t.mu.Lock()
	aborted := t.waiting
	t.waiting = nil
	t.mu.Unlock()
	for _, c := range aborted {
		c.end(answer{err: failure(c.event)})
	}
}
