package socketcluster

import (
	"sync"
	"sync/atomic"
)

// quota counts the bytes of what a socket has sent and is still in its queues
// or with its handlers.
type quota struct {
	mu    sync.Mutex
	used  int
	extra int           // what they take beside their bytes: it counts in the budget alone
	gone  *atomic.Int64 // once the socket has closed: all that sockets such as this hold
	given chan struct{} // closed when bytes are given back; nil while nobody waits
}

// take waits until n more bytes fit under the limit, or nothing else is held.
// ok is false when done was closed first.
func (q *quota) take(n, limit int, done func() <-chan struct{}) (ok, waited bool) {
	for {
		q.mu.Lock()
		if q.used == 0 || q.used+n <= limit {
			q.count(n, 0)
			q.mu.Unlock()
			return true, waited
		}
		if q.given == nil {
			q.given = make(chan struct{})
		}
		given := q.given
		q.mu.Unlock()
		waited = true
		select {
		case <-given:
		case <-done():
			return false, true
		}
	}
}

// count changes what is held. mu must be held.
func (q *quota) count(n, extra int) {
	q.used += n
	q.extra += extra
	if q.gone != nil {
		q.gone.Add(int64(n + extra))
	}
}

// add counts what was let in with a message already, and outlives it. It
// reports whether the socket has gone.
func (q *quota) add(n, extra int) (gone bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.count(n, extra)
	return q.gone != nil
}

// total is how much is held.
func (q *quota) total() int64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return int64(q.used + q.extra)
}

// leave has what is held now, and until it is given back, counted as that of
// sockets that have gone.
func (q *quota) leave(gone *atomic.Int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.gone = gone
	gone.Add(int64(q.used + q.extra))
}

// give takes bytes off the counts. It reports whether those were the last of a
// socket that has gone.
func (q *quota) give(n, extra int) (last bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.count(-n, -extra)
	if q.given != nil {
		close(q.given)
		q.given = nil
	}
	return q.gone != nil && q.used == 0 && q.extra == 0
}
