package wheel

import (
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"
)

func TestSize(t *testing.T) {
	if got := unsafe.Sizeof(Timer{}); got > 48 {
		t.Errorf("a timer takes %d bytes, want at most 48", got)
	}
}

type taskFunc func(now time.Time)

func (f taskFunc) Expire(now time.Time) { f(now) }

func TestFarTimers(t *testing.T) {
	const year = 365 * 24 * time.Hour
	for _, d := range []time.Duration{time.Hour, 24 * time.Hour, year, 30 * year, 200 * year} {
		synctest.Test(t, func(t *testing.T) {
			w := New()
			time.Sleep(1234567 * time.Microsecond)
			var timer Timer
			at := time.Now().Add(d)
			var fired atomic.Int32
			w.Set(&timer, at, taskFunc(func(now time.Time) {
				fired.Add(1)
				if late := now.Sub(at); late < 0 || late > resolution {
					t.Errorf("%v: fires %v late", d, late)
				}
			}))
			time.Sleep(d - 1)
			synctest.Wait()
			if fired.Load() != 0 {
				t.Errorf("%v: fired early", d)
			}
			time.Sleep(resolution + 1)
			synctest.Wait()
			if fired.Load() != 1 {
				t.Errorf("%v: fired %d times", d, fired.Load())
			}
		})
	}
}

// TestBeyondDurations sets times that no time.Duration reaches.
func TestBeyondDurations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := New()
		time.Sleep(time.Hour)
		var future, past Timer
		fired := 0
		w.Set(&future, time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC), taskFunc(func(time.Time) { t.Error("fired") }))
		w.Set(&past, time.Time{}, taskFunc(func(time.Time) { fired++ }))
		time.Sleep(resolution)
		synctest.Wait()
		if fired != 1 {
			t.Errorf("a timer for the year 1 fired %d times within a tick", fired)
		}
		time.Sleep(100 * 365 * 24 * time.Hour)
		if !w.Stop(&future) {
			t.Error("the timer for the year 9999 is gone")
		}
	})
}

// TestWallClockTimes pins that a time without a monotonic reading works.
func TestWallClockTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := New()
		var timer Timer
		at := time.Unix(time.Now().Unix()+3, 0)
		var fired time.Time
		w.Set(&timer, at, taskFunc(func(now time.Time) { fired = now }))
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if late := fired.Sub(at); late < 0 || late > resolution {
			t.Errorf("fires %v late", late)
		}
	})
}

// TestNoWakeUps counts the events that the wheel wakes up for.
func TestNoWakeUps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := New()
		wakeUps := func(d time.Duration) (n int) {
			for end := time.Now().Add(d); ; n++ {
				w.mu.Lock()
				at := w.alarmAt
				w.mu.Unlock()
				next := w.start.Add(time.Duration(at) * resolution)
				if at == never || next.After(end) {
					time.Sleep(time.Until(end))
					synctest.Wait()
					return n
				}
				time.Sleep(time.Until(next))
				synctest.Wait()
			}
		}
		if n := wakeUps(time.Hour); n != 0 {
			t.Errorf("a new wheel wakes up %d times", n)
		}
		var timers [3]Timer
		var fired atomic.Int32
		count := taskFunc(func(time.Time) { fired.Add(1) })
		w.Set(&timers[0], time.Now().Add(365*24*time.Hour), count)
		if n := wakeUps(366 * 24 * time.Hour); n > levels || fired.Load() != 1 {
			t.Errorf("%d wake-ups for one timer, fired %d times", n, fired.Load())
		}
		for range 1000 {
			for i := range timers {
				w.Set(&timers[i], time.Now().Add(20*time.Second), count)
			}
		}
		for i := range timers {
			w.Stop(&timers[i])
		}
		if n := wakeUps(time.Hour); n != 0 || fired.Load() != 1 {
			t.Errorf("a wheel whose timers are stopped wakes up %d times", n)
		}
	})
}

// periodic sets itself from inside Expire.
type periodic struct {
	Timer
	wheel *Wheel
	every time.Duration
	fired int
}

func (p *periodic) Expire(now time.Time) {
	p.fired++
	p.wheel.Set(&p.Timer, now.Add(p.every), p)
}

func TestPeriodic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := New()
		fast, past := &periodic{wheel: w, every: 100 * time.Millisecond}, &periodic{wheel: w, every: -time.Hour}
		fast.Expire(time.Now())
		past.Expire(time.Now())
		time.Sleep(10*time.Second + resolution/2)
		w.Close()
		if fast.fired != 101 {
			t.Errorf("every 100 ms: %d times in 10 s", fast.fired-1)
		}
		if past.fired != 1001 {
			t.Errorf("always overdue: %d times in 10 s, want once per tick", past.fired-1)
		}
	})
}

// TestStopOfDueTimer stops, from a task, another timer that is due in the same
// tick: it must not fire.
func TestStopOfDueTimer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := New()
		var timers [2]Timer
		fired, stopped := 0, 0
		at := time.Now().Add(time.Second)
		for i := range timers {
			w.Set(&timers[i], at, taskFunc(func(time.Time) {
				fired++
				if w.Stop(&timers[1-i]) {
					stopped++
				}
				if w.Stop(&timers[i]) {
					t.Error("Stop of the timer that fires = true")
				}
			}))
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if fired != 1 || stopped != 1 {
			t.Errorf("fired %d, stopped %d, want 1 and 1", fired, stopped)
		}
	})
}

// TestCloseWhileTasksRun closes the wheel from the first of many due tasks.
func TestCloseWhileTasksRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := New()
		timers := make([]Timer, 100)
		fired := 0
		for i := range timers {
			w.Set(&timers[i], time.Now().Add(time.Second), taskFunc(func(time.Time) {
				fired++
				w.Close()
				w.Set(&timers[i], time.Now(), taskFunc(func(time.Time) { t.Error("set after Close") }))
			}))
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if fired != 1 || w.timers.count != 0 {
			t.Errorf("%d tasks ran, %d timers left", fired, w.timers.count)
		}
	})
}

// TestSlowTask pins what the wheel does when it lags behind: timers that became
// due meanwhile run afterwards, one at a time, and none is lost or early.
func TestSlowTask(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := New()
		start := time.Now()
		at := func(minutes int) time.Time { return start.Add(time.Duration(minutes) * time.Minute) }
		var slow, meanwhile, set, after Timer
		type run struct {
			name string
			at   time.Duration
		}
		var mu sync.Mutex
		var got []run
		record := func(name string) taskFunc {
			return func(time.Time) {
				mu.Lock()
				defer mu.Unlock()
				got = append(got, run{name, time.Since(start)})
			}
		}
		w.Set(&slow, at(1), taskFunc(func(time.Time) { time.Sleep(43 * time.Minute) }))
		w.Set(&meanwhile, at(2), record("due meanwhile"))
		// Just past a digit of the third level, which the timer for minute 2 is on:
		// were the present to move here now, that timer would be off by the digit.
		time.Sleep((64*64*64 + 100) * resolution)
		w.Set(&set, time.Now().Add(time.Second), record("set meanwhile"))
		w.Set(&after, at(60), record("after"))
		w.run() // an alarm that comes while tasks run
		time.Sleep(20 * time.Minute)
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		want := []run{{"due meanwhile", 44 * time.Minute}, {"set meanwhile", 44 * time.Minute}, {"after", time.Hour}}
		if !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	})
}

// TestLateAlarm pins that a Set between the due time of a timer and an alarm
// that is late for it does not lose that timer.
func TestLateAlarm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := New()
		var first, second Timer
		firstRuns, secondRuns := 0, 0
		w.Set(&first, time.Now().Add(time.Second), taskFunc(func(time.Time) { firstRuns++ }))
		w.alarm.Stop()
		time.Sleep(5 * time.Minute)
		w.Set(&second, time.Now().Add(time.Second), taskFunc(func(time.Time) { secondRuns++ }))
		w.run()
		if firstRuns != 1 {
			t.Errorf("fired %d times with the late alarm", firstRuns)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if firstRuns != 1 || secondRuns != 1 {
			t.Errorf("fired %d and %d times in the end", firstRuns, secondRuns)
		}
	})
}

// racer counts what becomes of its settings.
type racer struct {
	Timer
	settings, fired, stopped int64
	at                       atomic.Pointer[time.Time]
	early                    atomic.Bool
	firing                   atomic.Int64
}

func (r *racer) Expire(now time.Time) {
	if at := r.at.Load(); now.Before(*at) {
		r.early.Store(true)
	}
	r.firing.Add(1)
}

// TestConcurrent pins that every setting ends once: by firing, or by a Stop
// that returned true.
func TestConcurrent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := New()
		racers := make([]racer, 50)
		for i := range racers {
			r := &racers[i]
			go func() {
				for range 300 {
					at := time.Now().Add(time.Duration(rand.IntN(200)) * time.Millisecond / 2)
					r.at.Store(&at)
					w.Set(&r.Timer, at, r)
					r.settings++
					// Meeting the very tick is where a race would be.
					time.Sleep(time.Until(at.Truncate(resolution).Add(time.Duration(rand.IntN(3)-1) * resolution)))
					if w.Stop(&r.Timer) {
						r.stopped++
						continue
					}
					time.Sleep(resolution)
				}
				r.fired = r.firing.Load()
			}()
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		fired, stopped := int64(0), int64(0)
		for i := range racers {
			r := &racers[i]
			fired, stopped = fired+r.fired, stopped+r.stopped
			if r.settings != 300 || r.fired+r.stopped != r.settings || r.early.Load() {
				t.Errorf("racer %d: %d settings, %d fired, %d stopped, early: %v", i, r.settings, r.fired, r.stopped, r.early.Load())
			}
		}
		if fired == 0 || stopped == 0 {
			t.Errorf("%d fired and %d stopped: nothing was raced", fired, stopped)
		}
	})
}

func BenchmarkSetStop(b *testing.B) {
	b.ReportAllocs()
	w := New()
	defer w.Close()
	timers := make([]Timer, 100_000)
	task := taskFunc(func(time.Time) {})
	base := time.Now().Add(time.Hour)
	for i := range timers {
		w.Set(&timers[i], base.Add(time.Duration(i)*time.Millisecond), task)
	}
	i := 0
	for b.Loop() {
		t := &timers[i%len(timers)]
		w.Stop(t)
		w.Set(t, base.Add(time.Duration(i)*time.Millisecond), task)
		i++
	}
}

func BenchmarkSetAgain(b *testing.B) {
	b.ReportAllocs()
	w := New()
	defer w.Close()
	task := taskFunc(func(time.Time) {})
	base := time.Now().Add(time.Hour)
	var t Timer
	for b.Loop() {
		w.Set(&t, base, task)
	}
}

func BenchmarkSetStopOnly(b *testing.B) {
	b.ReportAllocs()
	w := New()
	defer w.Close()
	task := taskFunc(func(time.Time) {})
	base := time.Now().Add(time.Hour)
	var t Timer
	for b.Loop() {
		w.Set(&t, base, task)
		w.Stop(&t)
	}
}
