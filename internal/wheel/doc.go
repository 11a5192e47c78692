// Package wheel provides one hierarchical timing wheel for the many timers of
// a server: pings, handshake and call timeouts, token expiry.
//
// # Precision
//
// Time is counted in ticks of 10 ms since New, a figure chosen here: far below
// any timeout of the protocol (seconds), and coarse enough that timers of many
// connections share wake-ups. A timer never fires before its time. It becomes
// due at the first tick that is not before it, so the wheel adds at most one
// tick. A timer that is set for the past fires within one tick. Timers that
// share a tick fire in no particular order, all others in the order of their
// ticks.
//
// A time without a monotonic clock reading (from a token, say) is measured
// against the wall clock when Set is called. If the wall clock is stepped
// afterwards, Expire may get a now that is before that time: if that matters,
// the task must compare the times and set its timer again.
//
// # Shape
//
// Seven levels of 64 slots, each level 64 times as coarse as the one below,
// span the 292 years of a time.Duration; later times count as 292 years after
// Set. A bitmap for each level marks the slots in use and gives the next event
// at once: the wheel sleeps until then instead of ticking. Set and Stop are
// O(1); a timer moves down a level at most six times.
//
// # Blocking and ordering
//
// No method blocks beyond a short lock, which is not held while a task runs.
// Tasks run one at a time. Expire must not block, because it would delay all
// other timers. It may call Set and Stop, even for its own timer. After Stop
// has returned true, the task does not run for that setting; if Stop returns
// false, the task may be running.
//
// # Memory
//
// A Timer is embedded in its owner and takes 48 bytes; setting it allocates
// nothing. The wheel has a goroutine only while tasks run, and no wake-up is
// scheduled while no timer is set.
package wheel
