package wheel

import "time"

// Task is run by a timer. Expire is called on the wheel's goroutine, without
// its lock, and must not block. now is the time at which the wheel woke up.
type Task interface {
	Expire(now time.Time)
}

// Timer is a place in a wheel, embedded in its owner. The zero value is ready
// for use. It must not be copied while it is set, nor used with two wheels.
type Timer struct {
	next, prev *Timer
	task       Task
	place      place
}

// place is the due tick of a timer and the list of the wheel that has it, in one
// word. Ticks have no more than 40 bits, as times have 63 bits of nanoseconds.
type place uint64

const listBits = 16

// due returns the due tick.
func (t *Timer) due() tick { return tick(t.place >> listBits) }

// list returns the list that has the timer.
func (t *Timer) list() listID { return listID(t.place) }

func (t *Timer) setDue(due tick)   { t.place = place(due)<<listBits | place(t.list()) }
func (t *Timer) setList(id listID) { t.place = t.place>>listBits<<listBits | place(id) }

// listID identifies the list of the wheel that has a timer. The zero value
// means none.
type listID uint16

// tick counts from the start of the wheel.
type tick int64
