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
	due        tick
	list       listID
}

// listID identifies the list of the wheel that has a timer. The zero value
// means none.
type listID uint16

// tick counts from the start of the wheel.
type tick int64
