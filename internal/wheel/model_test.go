package wheel

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// wheelModel is the sorted list that a wheel should be equivalent to: for each
// timer that is set, the time of the Set and the time it is set for.
type wheelModel struct {
	mu     sync.Mutex // for the race detector: tasks run while the test sleeps
	wheel  *Wheel
	timers [12]modelTimer
	last   time.Time // due time of the last timer that fired
	bad    string
	closed bool
}

type modelTimer struct {
	Timer
	model *wheelModel
	set   bool
	due   time.Time     // the later of the time asked for and the time of Set
	again time.Duration // Set again from inside Expire, if not 0
	other *modelTimer   // stopped from inside Expire, if not nil
}

func (m *modelTimer) Expire(now time.Time) {
	m.model.mu.Lock()
	defer m.model.mu.Unlock()
	switch late := time.Since(m.due); {
	case !m.set || m.model.closed:
		m.model.bad = "a timer fires that is not set"
	case !now.Equal(time.Now()):
		m.model.bad = "wrong time passed to Expire"
	case late < 0 || late > resolution:
		m.model.bad = fmt.Sprintf("timer for %v fires %v late", m.due, late)
	case m.due.Before(m.model.last.Add(-resolution)):
		m.model.bad = fmt.Sprintf("timer for %v fires after one for %v", m.due, m.model.last)
	}
	m.model.last = m.due
	m.set = false
	if m.again != 0 {
		m.schedule(m.again)
		m.again = 0
	}
	if m.other != nil {
		m.other.stop()
		m.other = nil
	}
}

func (m *modelTimer) schedule(d time.Duration) {
	now := time.Now()
	m.due = now.Add(max(d, 0))
	m.set = !m.model.closed
	m.model.wheel.Set(&m.Timer, now.Add(d), m)
}

func (m *modelTimer) stop() {
	if got := m.model.wheel.Stop(&m.Timer); got != m.set {
		m.model.bad = fmt.Sprintf("Stop = %v, want %v", got, m.set)
	}
	m.set = false
}

func distance(t *rapid.T) time.Duration {
	limit := rapid.SampledFrom([]time.Duration{
		3 * time.Millisecond, 50 * time.Millisecond, time.Second, time.Minute,
	}).Draw(t, "limit")
	return time.Duration(rapid.Int64Range(-int64(limit)/8, int64(limit)).Draw(t, "distance"))
}

func (m *wheelModel) timer(t *rapid.T) *modelTimer {
	return &m.timers[rapid.IntRange(0, len(m.timers)-1).Draw(t, "timer")]
}

func (m *wheelModel) Set(t *rapid.T) {
	m.mu.Lock()
	defer m.mu.Unlock()
	mt := m.timer(t)
	mt.again, mt.other = 0, nil
	switch rapid.IntRange(0, 5).Draw(t, "kind") {
	case 0:
		mt.again = distance(t)
	case 1:
		mt.other = m.timer(t)
	}
	mt.schedule(distance(t))
}

func (m *wheelModel) Stop(t *rapid.T) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.timer(t).stop()
}

func (m *wheelModel) Sleep(t *rapid.T) {
	time.Sleep(max(distance(t), 0))
}

func (m *wheelModel) Close(t *rapid.T) {
	if rapid.IntRange(0, 29).Draw(t, "really") > 0 {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.wheel.Close()
	m.closed = true
	for i := range m.timers {
		m.timers[i].set = false
	}
}

func (m *wheelModel) Check(t *rapid.T) {
	synctest.Wait()
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.bad != "" {
		t.Fatal(m.bad)
	}
	set := 0
	for i := range m.timers {
		mt := &m.timers[i]
		if mt.set {
			set++
			if late := time.Since(mt.due); late > resolution {
				t.Fatalf("timer %d has not fired %v after its time", i, late)
			}
		}
	}
	m.wheel.mu.Lock()
	count, alarmAt := m.wheel.timers.count, m.wheel.alarmAt
	m.wheel.mu.Unlock()
	if count != set {
		t.Fatalf("the wheel holds %d timers, want %d", count, set)
	}
	if set == 0 && alarmAt != never {
		t.Fatal("the alarm of an empty wheel is armed")
	}
}

// bubble hides Deadline, which must not be called inside a synctest bubble,
// from rapid.
type bubble struct{ *testing.T }

func TestModel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rapid.Check(bubble{t}, func(t *rapid.T) {
			m := &wheelModel{wheel: New()}
			defer m.wheel.Close()
			for i := range m.timers {
				m.timers[i].model = m
			}
			t.Repeat(map[string]func(*rapid.T){
				"set":      m.Set,
				"set more": m.Set,
				"stop":     m.Stop,
				"sleep":    m.Sleep,
				"close":    m.Close,
				"":         m.Check,
			})
		})
	})
}
