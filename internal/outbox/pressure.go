package outbox

import (
	"context"
	"time"
)

const (
	// patience is the total time for which WaitFor waits, from the moment when
	// an outbox is full until it is empty again, or is half empty in time.
	patience = 250 * time.Millisecond

	// pace is the time for which WaitFor waits for a connection that takes
	// nothing.
	pace = 50 * time.Millisecond

	// hurry is the factor by which Limits.Stall is shorter while more than
	// Limits.Bytes waits.
	hurry = 2
)

// pressure is the state of an outbox that is full, or for which somebody waits.
type pressure struct {
	changed  chan struct{} // closed when those who wait should check again; nil if nobody waits
	full     bool
	spent    bool      // it was full for longer than patience, and has not been empty since
	since    time.Time // when it became full
	progress time.Time // when the connection last took something, as far as known
	mark     time.Time // since when more than Limits.Bytes has waited without shrinking by as much from the peak; or zero
	peak     int       // the maximum that has waited since mark
}

// pressed returns the pressure, and makes it if there is none. It is called
// with the lock held.
func (o *Outbox[Tag]) pressed() *pressure {
	if o.pressure == nil {
		o.pressure = new(pressure)
	}
	return o.pressure
}

// waiting returns the number of bytes that wait for the connection. It is
// called with the lock held.
func (o *Outbox[Tag]) waiting() int { return o.queued() + o.reserved }

// queued returns the number of pushed bytes that the connection has not taken.
func (o *Outbox[Tag]) queued() int {
	if o.queue == nil || o.killed {
		return 0
	}
	return o.queue.bytes - o.queue.out
}

// full is called with the lock held.
func (o *Outbox[Tag]) full() bool { return o.pressure != nil && o.pressure.full }

// grown checks whether the outbox has become full, and returns true if the
// owner must be notified. It is called with the lock held.
func (o *Outbox[Tag]) grown() bool {
	n := o.waiting()
	if o.limits.Bytes <= 0 || n <= o.limits.Bytes {
		return false
	}
	p := o.pressed()
	p.peak = max(p.peak, n)
	if p.full && !p.mark.IsZero() {
		return false
	}
	now := time.Now()
	p.mark, p.peak = now, n
	if p.full {
		return false
	}
	p.full, p.since, p.progress = true, now, now
	if o.queue != nil && !o.queue.blocked.IsZero() {
		p.progress = o.queue.blocked
	}
	return !p.spent
}

// shrunk checks whether the outbox is no longer full. It is called with the
// lock held.
func (o *Outbox[Tag]) shrunk(progress bool) {
	if o.full() {
		p, n, now := o.pressure, o.waiting(), time.Now()
		if progress {
			p.progress = now
		}
		switch {
		case n <= o.limits.Bytes:
			p.mark = time.Time{}
		case n <= p.peak-o.limits.Bytes:
			p.mark, p.peak = now, n
		}
		if n <= o.limits.Bytes/2 {
			p.full = false
			p.spent = p.spent || now.Sub(p.since) >= patience
		}
	}
	o.wake()
}

// over reports whether more than Limits.Bytes waits. It is called with the lock
// held.
func (o *Outbox[Tag]) over() bool { return o.pressure != nil && !o.pressure.mark.IsZero() }

// crowded reports whether so much waits that the outbox may be full, or that
// those who push may wait for room. It is called with the lock held.
func (o *Outbox[Tag]) crowded() bool {
	return o.limits.Bytes > 0 && o.waiting() >= o.limits.Bytes/2
}

// stall returns the time for which the connection may take nothing. It is
// called with the lock held.
func (o *Outbox[Tag]) stall() time.Duration {
	if o.over() {
		return o.limits.Stall / hurry
	}
	return o.limits.Stall
}

// overdue reports whether the connection has taken too little for too long. It is
// called with the lock held.
func (o *Outbox[Tag]) overdue() bool {
	if !o.over() {
		return false
	}
	mark, now := o.pressure.mark, time.Now()
	if now.Sub(mark) > o.limits.Drain {
		return true
	}
	// A wait that began earlier has a longer timeout.
	return o.limits.Stall > 0 && o.queue != nil && !o.queue.blocked.IsZero() && now.Sub(later(mark, o.queue.blocked)) > o.stall()
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// settle forgets the pressure if nothing is left. It is called with the lock
// held.
func (o *Outbox[Tag]) settle() {
	if o.queue == nil && o.reserved <= 0 {
		o.wake()
		o.pressure = nil
	}
}

// wake makes those who wait check again. It is called with the lock held.
func (o *Outbox[Tag]) wake() {
	if p := o.pressure; p != nil && p.changed != nil {
		close(p.changed)
		p.changed = nil
	}
}

// await waits for wake, for the timeout, or for the end of ctx, which it
// reports. The lock is held before and afterwards, but not while it waits. No
// method of the context is called with the lock held, because it may have locks
// of its own.
func (o *Outbox[Tag]) await(ctx context.Context, timeout <-chan time.Time) (ended bool) {
	o.pull()
	p := o.pressed()
	if p.changed == nil {
		p.changed = make(chan struct{})
	}
	changed := p.changed
	o.mu.Unlock()
	defer o.mu.Lock()
	select {
	case <-changed:
	case <-timeout:
	case <-ctx.Done():
		return true
	}
	return false
}

// Wait blocks until fewer than below bytes are queued or being written, or
// until Push would return ErrClosed. Its error is that of ctx if that ends
// first. A below less than 1 counts as 1.
func (o *Outbox[Tag]) Wait(ctx context.Context, below int) error {
	return o.waitUntil(ctx, func() bool { return o.queued() < max(below, 1) })
}

// WaitReserved is Wait, but also counts reserved bytes.
func (o *Outbox[Tag]) WaitReserved(ctx context.Context, below int) error {
	return o.waitUntil(ctx, func() bool { return o.waiting() < max(below, 1) })
}

func (o *Outbox[Tag]) waitUntil(ctx context.Context, enough func() bool) error {
	o.mu.Lock()
	ended := false
	for !enough() && !o.finished && !o.killed && !ended {
		ended = o.await(ctx, nil)
	}
	o.mu.Unlock()
	if ended {
		return ctx.Err()
	}
	return nil
}

// WaitFor blocks while the outbox is full, but not so long that it would be a
// burden to others: until half of the limit is left, for at most 250 ms in all,
// and for at most 50 ms if the connection takes nothing. It returns when ctx
// ends.
func (o *Outbox[Tag]) WaitFor(ctx context.Context) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for ended := false; o.worthWaiting() && !ended; {
		p, now := o.pressure, time.Now()
		left := min(p.since.Add(patience).Sub(now), p.progress.Add(pace).Sub(now))
		if left <= 0 {
			return
		}
		timeout := time.NewTimer(left)
		ended = o.await(ctx, timeout.C)
		timeout.Stop()
	}
}

// Full reports whether WaitFor may wait, now or once the connection takes
// something again.
func (o *Outbox[Tag]) Full() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.worthWaiting()
}

// worthWaiting is called with the lock held.
func (o *Outbox[Tag]) worthWaiting() bool {
	return o.full() && !o.pressure.spent && time.Since(o.pressure.since) < patience && !o.finished && !o.killed
}

// Drain blocks until everything in the queue has been written, including the
// frame of Finish, or until a write has failed or Kill was called. No new
// frames should be pushed meanwhile.
func (o *Outbox[Tag]) Drain() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for o.bytes() > 0 && !o.killed {
		o.await(context.Background(), nil)
	}
}
