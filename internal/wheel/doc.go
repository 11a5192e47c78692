// Package wheel provides one hierarchical timing wheel for the many timers of
// a server: pings, handshake and call timeouts, token expiry.
//
// # Precision
//
// Time is counted in ticks of 10 ms since New, a figure chosen here: far below
// any timeout of the protocol (seconds), and coarse enough that timers of many
// connections share wake-ups. A timer never fires before its time and becomes
// due at the first tick that is not before it, so the wheel adds at most one
// tick; one set for the past fires within one tick. Timers that share a tick
// fire in no particular order, all others in the order of their ticks.
//
// A time without a monotonic clock reading (from a token, say) is measured
// against the wall clock when Set is called. If the wall clock is stepped
// afterwards, Expire may see a now that is before that time: a task that cares
// compares and sets its timer again.
//
// # Shape
//
// Seven levels of 64 slots, each level 64 times as coarse as the one below,
// span the 292 years of a time.Duration; farther times count as 292 years from
// the Set. A bitmap per level marks the slots in use, which gives the next
// event at once: the wheel sleeps until then instead of ticking. Set and Stop
// are O(1); a timer moves down a level at most six times.
//
// # Blocking and ordering
//
// No method blocks beyond a short lock, which is not held while a task runs.
// Tasks run one at a time. Expire must not block, since it holds up all other
// timers; it may call Set and Stop, for its own timer as well. After Stop has
// returned true the task does not run for that setting; when it returns false
// the task may be running.
//
// # Memory
//
// A Timer is embedded in its owner and costs 48 bytes; setting it allocates
// nothing. The wheel has a goroutine only while tasks run, and no wake-up is
// armed while no timer is set.
package wheel
