package client

import (
	"time"

	"github.com/socketcluster-go/socketcluster/internal/ws"
)

// DefaultBatchInterval is the default of [Batching].Interval.
const DefaultBatchInterval = 50 * time.Millisecond

// Batching of a [Client]: packets that are sent within a short time leave as one
// message. See also [Client.StartBatch].
type Batching struct {
	// OnHandshake is the time after a handshake during which packets are
	// collected, such as many subscriptions. Default: 0, which is off;
	// socketcluster-client uses 100 ms if its batchOnHandshake is set.
	OnHandshake time.Duration

	// Interval is the time for which packets are collected into one message.
	// Default: [DefaultBatchInterval].
	Interval time.Duration
}

// batch collects packets that are sent as one message. The client's mu guards it.
type batch struct {
	collecting bool
	packets    []byte // after header space: the beginning of an array; nil without packets
	ticker     *time.Timer
	until      time.Time // zero: until stopped
}

// Batch is a running collection of packets. See [Client.StartBatch].
type Batch struct {
	link  *link // nil without a connection
	ticks bool
}

// StartBatch collects the packets that the client sends from now on. [Batch.End]
// sends them as one message. A batch of more than Limits.Outbox bytes is sent in
// parts. A batch belongs to the connection, and is lost with it; it is empty if
// there is none.
func (c *Client) StartBatch() Batch {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.link != nil {
		c.link.batch.collecting = true
	}
	return Batch{c.link, false}
}

// StartBatching collects the packets of each Batching.Interval into one message
// from now on, until the batch is ended.
func (c *Client) StartBatching() Batch {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.link != nil {
		c.link.startBatching(time.Time{})
	}
	return Batch{c.link, true}
}

// End ends the batch and sends what it has collected.
func (b Batch) End() { b.end((*link).flushBatch) }

// Cancel ends the batch and drops what it has collected. Calls among it fail after
// Timeouts.Ack.
func (b Batch) Cancel() { b.end(func(l *link) { l.batch.packets = nil }) }

func (b Batch) end(rest func(*link)) {
	l := b.link
	if l == nil {
		return
	}
	l.c.mu.Lock()
	defer l.c.mu.Unlock()
	if b.ticks {
		l.batch.stop()
	}
	l.batch.collecting = l.batch.ticker != nil
	rest(l)
}

// stop ends the ticker.
func (b *batch) stop() {
	if b.ticker != nil {
		b.ticker.Stop()
		b.ticker = nil
	}
	b.collecting = false
}

// startBatching is StartBatching until a time, or without an end. mu must be held.
func (l *link) startBatching(until time.Time) {
	b := &l.batch
	if l.ended {
		return
	}
	b.until = until
	b.collecting = true
	if b.ticker == nil {
		b.ticker = time.AfterFunc(l.c.opts.Batching.Interval, l.batchTick)
	}
}

// batchTick sends a batch and starts the next one.
func (l *link) batchTick() {
	l.c.mu.Lock()
	defer l.c.mu.Unlock()
	b := &l.batch
	if b.ticker == nil {
		return
	}
	l.flushBatch()
	if !b.until.IsZero() && !time.Now().Before(b.until) {
		b.stop()
		return
	}
	b.ticker.Reset(l.c.opts.Batching.Interval)
}

// collect adds a packet to the batch. It returns false if there is none. mu must
// be held.
func (l *link) collect(packet []byte) bool {
	b := &l.batch
	if !b.collecting {
		return false
	}
	separator := byte(',')
	if b.packets == nil {
		b.packets, separator = ws.NewBuffer(len(packet)), '['
	}
	b.packets = append(append(b.packets, separator), packet[ws.HeaderSpace:]...)
	if len(b.packets) > l.c.opts.Limits.Outbox {
		l.flushBatch()
	}
	return true
}

// flushBatch sends what has been collected. mu must be held.
func (l *link) flushBatch() {
	packets := l.batch.packets
	if l.batch.packets = nil; packets != nil {
		l.pushMessage(append(packets, ']'))
	}
}
