// Package lane provides a FIFO of work items that are handled one at a time,
// by a goroutine that exists only while there is work.
//
// # Ordering
//
// Items are handled in the order in which their Push or PushWait took effect,
// each exactly once, and never two at the same time. Calls made by one
// goroutine take effect in program order; a Push may overtake a PushWait of
// another goroutine that is still blocked.
//
// # Blocking
//
// Push, Len, Lift, Idle and Close never block. PushWait blocks while the queue
// is at its limit, unless Lift has removed the limits. Handle may block for any
// time: it delays the items after it and nothing else. All methods may be
// called from Handle, but a PushWait from there may wait for itself.
//
// # Begin and Resume
//
// Begin, Handle and Resume let a goroutine handle an item itself, in the place of a
// worker, if the lane is idle. What is pushed meanwhile is queued, and gets a worker
// with Resume.
//
// # Memory
//
// The zero value is ready for use. An idle lane is a mutex, a nil pointer and
// three flags: it owns no goroutine and no buffer. The queue behind a running
// item grows and shrinks with its length, and is released once it is empty. Its
// first capacity of 4 items and the quarter-full rule for shrinking are chosen
// here; nothing outside depends on them.
package lane
