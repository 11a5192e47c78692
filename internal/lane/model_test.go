package lane

import (
	"slices"
	"testing"
	"testing/synctest"

	"pgregory.net/rapid"
)

// gated handles an item by recording it and waiting for a release.
type gated struct {
	began   []int
	ended   []int
	release chan struct{}
}

func (g *gated) Handle(v int) {
	g.began = append(g.began, v)
	<-g.release
	g.ended = append(g.ended, v)
}

// laneModel is what a lane with a gated handler should look like whenever all
// goroutines are blocked.
type laneModel struct {
	lane    Lane[int]
	handler gated
	next    int

	began   []int
	queue   []int
	running bool
	closed  bool
	lifted  bool

	waiting      bool // one PushWait is blocked
	waitingValue int
	waitingLimit int
	waitResult   chan bool
}

func (m *laneModel) settle(t *rapid.T) {
	synctest.Wait()
	if m.waiting && (m.closed || m.lifted || len(m.queue) < m.waitingLimit) {
		m.waiting = false
		if ok := <-m.waitResult; ok == m.closed {
			t.Fatalf("blocked PushWait = %v, closed = %v", ok, m.closed)
		}
		if !m.closed {
			m.accept(m.waitingValue)
		}
	}
	synctest.Wait()
}

func (m *laneModel) accept(v int) {
	if m.running {
		m.queue = append(m.queue, v)
		return
	}
	m.running = true
	m.began = append(m.began, v)
}

func (m *laneModel) Push(t *rapid.T) {
	m.next++
	if ok := m.lane.Push(m.next, &m.handler); ok == m.closed {
		t.Fatalf("Push = %v, closed = %v", ok, m.closed)
	}
	if !m.closed {
		m.accept(m.next)
	}
	m.settle(t)
}

func (m *laneModel) PushWait(t *rapid.T) {
	if m.waiting {
		return // one at a time keeps the order known
	}
	m.next++
	v, limit := m.next, rapid.IntRange(0, 6).Draw(t, "limit")
	m.waiting, m.waitingValue, m.waitingLimit = true, v, max(limit, 1)
	m.waitResult = make(chan bool, 1)
	go func() { m.waitResult <- m.lane.PushWait(v, &m.handler, limit) }()
	m.settle(t)
	if m.waiting {
		select {
		case ok := <-m.waitResult:
			t.Fatalf("PushWait = %v with %d queued, limit %d", ok, len(m.queue), limit)
		default:
		}
	}
}

// Lift takes limits away or gives them back, whether they are there or not.
func (m *laneModel) Lift(t *rapid.T) {
	m.lifted = rapid.Bool().Draw(t, "on")
	m.lane.Lift(m.lifted)
	m.settle(t)
}

func (m *laneModel) Release(t *rapid.T) {
	if !m.running {
		return
	}
	m.handler.release <- struct{}{}
	m.running = false
	if len(m.queue) > 0 {
		m.accept(m.queue[0])
		m.queue = m.queue[1:]
	}
	m.settle(t)
}

func (m *laneModel) Close(t *rapid.T) {
	if rapid.IntRange(0, 9).Draw(t, "really") > 0 && !m.closed {
		return // rarely, or the rest of the run is dull
	}
	var dropped []int
	m.lane.Close(func(v int) { dropped = append(dropped, v) })
	if !slices.Equal(dropped, m.queue) {
		t.Fatalf("dropped %v, want %v", dropped, m.queue)
	}
	m.closed, m.queue = true, nil
	m.settle(t)
}

func (m *laneModel) Check(t *rapid.T) {
	synctest.Wait()
	if got := m.lane.Len(); got != len(m.queue) {
		t.Fatalf("Len = %d, want %d", got, len(m.queue))
	}
	if !slices.Equal(m.handler.began, m.began) {
		t.Fatalf("handled %v, want %v", m.handler.began, m.began)
	}
	ended := m.began
	if m.running {
		ended = m.began[:len(m.began)-1]
	}
	if !slices.Equal(m.handler.ended, ended) {
		t.Fatalf("finished %v, want %v", m.handler.ended, ended)
	}
	if !m.running && (m.lane.busy || m.lane.queue != nil) {
		t.Fatal("an idle lane keeps a worker or a queue")
	}
	if q := m.lane.queue; q != nil && len(q.ring) > max(minCapacity, 4*len(m.queue)) {
		t.Fatalf("a queue of %d has a capacity of %d", len(m.queue), len(q.ring))
	}
}

func (m *laneModel) finish() {
	m.lane.Close(nil)
	close(m.handler.release)
	synctest.Wait()
}

// bubble hides Deadline, which must not be called inside a synctest bubble,
// from rapid.
type bubble struct{ *testing.T }

func TestModel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rapid.Check(bubble{t}, func(t *rapid.T) {
			m := &laneModel{handler: gated{release: make(chan struct{})}}
			defer m.finish()
			t.Repeat(map[string]func(*rapid.T){
				"push":      m.Push,
				"push more": m.Push,
				"push wait": m.PushWait,
				"lift":      m.Lift,
				"release":   m.Release,
				"close":     m.Close,
				"":          m.Check,
			})
		})
	})
}
