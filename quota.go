package socketcluster

import "sync"

// quota counts the bytes of what a socket has sent and is still in its queues
// or with its handlers.
type quota struct {
	mu    sync.Mutex
	used  int
	given chan struct{} // closed when bytes are given back; nil while nobody waits
}

// take waits until n more bytes fit under the limit, or nothing else is held.
// ok is false when done was closed first.
func (q *quota) take(n, limit int, done func() <-chan struct{}) (ok, waited bool) {
	for {
		q.mu.Lock()
		if n == 0 || q.used == 0 || q.used+n <= limit {
			q.used += n
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

// add counts bytes that were let in with a message already, and that outlive
// it.
func (q *quota) add(n int) {
	q.mu.Lock()
	q.used += n
	q.mu.Unlock()
}

// give takes bytes off the count.
func (q *quota) give(n int) {
	q.mu.Lock()
	q.used -= n
	if q.given != nil {
		close(q.given)
		q.given = nil
	}
	q.mu.Unlock()
}
