package account

import "sync"

// Kind is a purpose for which a ledger counts bytes.
type Kind uint8

const (
	// Messages are those that the client has sent, from their arrival until
	// they have been handled. Take bounds them.
	Messages Kind = iota
	// Handlers are the goroutines that handle messages, and their queues.
	Handlers
	// Subscriptions are the channels, and the data that the client sent with
	// them.
	Subscriptions
	// Upgrade is the URL, and the upgrade request.
	Upgrade
	// Unfinished is a message of which a part has not arrived yet.
	Unfinished

	// Batch has the packets that are collected to be sent as one message.
	Batch
	// Withheld are the publications that wait for approval.
	Withheld
	// Publications are the withheld ones that are shared. They count separately
	// in the budget.
	Publications

	numKinds
	firstOut    = Batch      // from here on: bytes that wait for the client; before: bytes from it
	firstSeldom = Unfinished // from here on: kinds that few connections have at a time
)

// Ledger counts the bytes that the server holds for one connection. Init makes
// it ready.
type Ledger struct {
	mu     sync.Mutex
	shard  *Shard
	bytes  [firstSeldom]int
	seldom *seldom // nil until it is needed
	closed bool
}

// seldom has the fields of a ledger that few connections need.
type seldom struct {
	bytes [numKinds - firstSeldom]int
	freed chan struct{} // closed when there is more room for messages; nil while nobody waits
}

// more returns the fields that few connections need. It is called with mu held.
func (l *Ledger) more() *seldom {
	if l.seldom == nil {
		l.seldom = new(seldom)
	}
	return l.seldom
}

// of returns the bytes of a kind. It is called with mu held.
func (l *Ledger) of(k Kind) int {
	switch {
	case k < firstSeldom:
		return l.bytes[k]
	case l.seldom == nil:
		return 0
	}
	return l.seldom.bytes[k-firstSeldom]
}

// Init sets the shard in which the ledger counts.
func (l *Ledger) Init(shard *Shard) { l.shard = shard }

// Take counts a message of n bytes. It waits until the message fits under the
// limit, or is the only one. ok is false if done was closed first.
func (l *Ledger) Take(n, limit int, done func() <-chan struct{}) (ok, waited bool) {
	for {
		l.mu.Lock()
		if held := l.bytes[Messages]; held == 0 || held+n <= limit {
			l.add(Messages, n)
			l.mu.Unlock()
			return true, waited
		}
		m := l.more()
		if m.freed == nil {
			m.freed = make(chan struct{})
		}
		freed := m.freed
		l.mu.Unlock()
		waited = true
		select {
		case <-freed:
		case <-done():
			return false, true
		}
	}
}

// Add counts n more bytes of a kind, or fewer if n is negative. It reports
// whether the connection has closed and this has given it its first orphaned
// bytes, or freed its last ones.
func (l *Ledger) Add(k Kind, n int) (changed bool) {
	l.mu.Lock()
	before := l.orphaned()
	l.add(k, n)
	after := l.orphaned()
	l.mu.Unlock()
	return (before == 0) != (after == 0)
}

// AddTask is Add for bytes of Messages and of Handlers in one step.
func (l *Ledger) AddTask(messages, handlers int) (changed bool) {
	l.mu.Lock()
	before := l.orphaned()
	l.add(Messages, messages)
	l.add(Handlers, handlers)
	after := l.orphaned()
	l.mu.Unlock()
	return (before == 0) != (after == 0)
}

// Set sets the number of bytes of a kind.
func (l *Ledger) Set(k Kind, n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.add(k, n-l.of(k))
}

// add is called with mu held.
func (l *Ledger) add(k Kind, n int) {
	switch {
	case n == 0:
		return
	case k < firstSeldom:
		l.bytes[k] += n
	default:
		l.more().bytes[k-firstSeldom] += n
	}
	if k != Publications {
		l.shard.Add(n)
	}
	if l.closed && (k == Messages || k == Handlers) {
		l.shard.orphan(n)
	}
	if m := l.seldom; k == Messages && n < 0 && m != nil && m.freed != nil {
		close(m.freed)
		m.freed = nil
	}
}

// Close makes the messages that handlers hold orphans, until the handlers
// return. It reports a change as Add does.
func (l *Ledger) Close() (changed bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return false
	}
	l.closed = true
	l.shard.orphan(l.orphaned())
	return l.orphaned() > 0
}

// Orphaned returns the bytes that handlers hold of a connection that has
// closed, or 0 before.
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

// Bytes returns the number of bytes of a kind.
func (l *Ledger) Bytes(k Kind) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.of(k)
}

// Held returns the number of bytes that the server holds for the connection:
// those that have come from the client, and those that wait for it.
func (l *Ledger) Held() (in, out int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for k := range numKinds {
		if k < firstOut {
			in += l.of(k)
		} else {
			out += l.of(k)
		}
	}
	return in, out
}
