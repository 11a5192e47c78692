package account

import "sync"

// Kind is what a ledger counts bytes for.
type Kind uint8

const (
	// Messages are what the client has sent, from its arrival until it has been
	// handled. Take bounds them.
	Messages Kind = iota
	// Handlers are the goroutines that handle messages, and their queues.
	Handlers
	// Unfinished is a message of which a part is still to come.
	Unfinished
	// Subscriptions are the channels, and what the client has sent with them.
	Subscriptions
	// Upgrade is the URL, and the upgrade request.
	Upgrade

	// Batch is what is collected to be sent as one message.
	Batch
	// Withheld is what waits for its approval.
	Withheld
	// Publications are those of the withheld ones that are shared. They count in
	// the budget by themselves.
	Publications

	numKinds
	firstOut = Batch // what waits for the client; before it, what comes from it
)

// Ledger counts what one connection makes the server hold. Init makes it ready.
type Ledger struct {
	mu     sync.Mutex
	shard  *Shard
	bytes  [numKinds]int
	freed  chan struct{} // closed when there is more room for messages; nil while nobody waits
	closed bool
}

// Init says where in the budget the ledger counts.
func (l *Ledger) Init(shard *Shard) { l.shard = shard }

// Take counts a message of n bytes. It waits until that fits under the limit, or
// there is no other one. ok is false if done was closed first.
func (l *Ledger) Take(n, limit int, done func() <-chan struct{}) (ok, waited bool) {
	for {
		l.mu.Lock()
		if held := l.bytes[Messages]; held == 0 || held+n <= limit {
			l.add(Messages, n)
			l.mu.Unlock()
			return true, waited
		}
		if l.freed == nil {
			l.freed = make(chan struct{})
		}
		freed := l.freed
		l.mu.Unlock()
		waited = true
		select {
		case <-freed:
		case <-done():
			return false, true
		}
	}
}

// Add counts n bytes more of a kind, or fewer. It reports whether the connection
// has closed, and has begun or ceased to have orphaned bytes by that.
func (l *Ledger) Add(k Kind, n int) (changed bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	before := l.orphaned()
	l.add(k, n)
	return (before == 0) != (l.orphaned() == 0)
}

// Set makes n bytes of a kind count.
func (l *Ledger) Set(k Kind, n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.add(k, n-l.bytes[k])
}

// add must be called with mu held.
func (l *Ledger) add(k Kind, n int) {
	l.bytes[k] += n
	if k != Publications {
		l.shard.Add(n)
	}
	if l.closed && (k == Messages || k == Handlers) {
		l.shard.orphan(n)
	}
	if k == Messages && n < 0 && l.freed != nil {
		close(l.freed)
		l.freed = nil
	}
}

// Close makes orphans of the messages that handlers hold, now and until they
// return.
func (l *Ledger) Close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed {
		l.closed = true
		l.shard.orphan(l.orphaned())
	}
}

// Orphaned is what handlers hold of a connection that has closed; 0 before.
func (l *Ledger) Orphaned() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.orphaned()
}

func (l *Ledger) orphaned() int {
	if !l.closed {
		return 0
	}
	return l.bytes[Messages] + l.bytes[Handlers]
}

// Bytes is how much of a kind counts.
func (l *Ledger) Bytes(k Kind) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.bytes[k]
}

// Held is how much the connection makes the server hold: what has come from the
// client, and what waits for it.
func (l *Ledger) Held() (in, out int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for k, n := range l.bytes {
		if Kind(k) < firstOut {
			in += n
		} else {
			out += n
		}
	}
	return in, out
}
