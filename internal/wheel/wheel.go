package wheel

import (
	"math"
	"sync"
	"time"
)

const resolution = 10 * time.Millisecond

const never = tick(math.MaxInt64)

// Wheel runs tasks when their timers are due. Its methods are safe for
// concurrent use.
type Wheel struct {
	mu      sync.Mutex
	start   time.Time
	alarm   *time.Timer // runs run; nil before the first Set
	alarmAt tick        // the value never if the alarm is not armed
	running bool        // run is working, and will arm the alarm at its end
	closed  bool
	timers  levelSet
}

// New returns a wheel without timers. It has no goroutine.
func New() *Wheel {
	return &Wheel{start: time.Now(), alarmAt: never}
}

// Set schedules task for the time at, in place of an earlier setting of t.
// After Close it does nothing.
func (w *Wheel) Set(t *Timer, at time.Time, task Task) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return
	}
	if t.list() != noList {
		w.timers.unlink(t)
	}
	now := time.Now()
	// The current tick may move up to the present as long as it skips no event,
	// and the alarm is never later than the next event.
	if present := w.ticksUntil(now); !w.running && present < w.alarmAt {
		w.timers.current = max(w.timers.current, present)
	}
	t.task = task
	t.setDue(max(w.dueTick(now, at), w.timers.current+1))
	w.timers.place(t)
	if !w.running {
		w.arm(now)
	}
}

// Stop removes t from the wheel. It returns false if t was not set, or if its
// task has been started.
func (w *Wheel) Stop(t *Timer) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if t.list() == noList {
		return false
	}
	w.timers.unlink(t)
	t.task = nil
	if w.timers.count == 0 {
		w.disarm()
	}
	return true
}

// Close drops all timers. No task starts after it has returned. Close does not
// wait for a running task.
func (w *Wheel) Close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	w.disarm()
	for _, head := range w.timers.heads {
		for t := head; t != nil; {
			following := t.next
			w.timers.unlink(t)
			t.task = nil
			t = following
		}
	}
}

// run is started by the alarm, and runs all tasks that are due.
func (w *Wheel) run() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.running {
		return
	}
	w.running = true
	w.alarmAt = never
	now := time.Now()
	for present := w.ticksUntil(now); w.timers.advance(present); {
		t := w.timers.heads[dueList]
		w.timers.unlink(t)
		task := t.task
		t.task = nil
		w.expire(task, now)
	}
	w.running = false
	if w.timers.count > 0 {
		w.arm(time.Now())
	} else {
		w.disarm()
	}
}

// expire is called with the lock held, and releases it while the task runs.
func (w *Wheel) expire(task Task, now time.Time) {
	w.mu.Unlock()
	defer w.mu.Lock()
	task.Expire(now)
}

// arm sets the alarm to the next event, unless it is already set no later.
func (w *Wheel) arm(now time.Time) {
	at, _, ok := w.timers.next()
	if !ok || at >= w.alarmAt {
		return
	}
	w.alarmAt = at
	wait := time.Duration(at)*resolution - now.Sub(w.start)
	if w.alarm == nil {
		w.alarm = time.AfterFunc(wait, w.run)
		return
	}
	w.alarm.Reset(wait)
}

// disarm stops the alarm even if alarmAt says never: a run that was started
// before the alarm was last set has overwritten it.
func (w *Wheel) disarm() {
	w.alarmAt = never
	if w.alarm != nil {
		w.alarm.Stop()
	}
}

// ticksUntil returns the last tick that is not after now.
func (w *Wheel) ticksUntil(now time.Time) tick {
	return tick(now.Sub(w.start) / resolution)
}

// dueTick returns the first tick that is not before at. It uses the distance
// from now, because at may be a reading of the wall clock, which may have been
// stepped since the start.
func (w *Wheel) dueTick(now, at time.Time) tick {
	since := now.Sub(w.start)
	distance := min(at.Sub(now), math.MaxInt64-since-resolution)
	after := since + distance
	due := after / resolution
	if after%resolution > 0 {
		due++
	}
	return tick(due)
}
