package socketcluster

import (
	"slices"
	"time"

	"github.com/socketcluster-go/socketcluster/internal/account"
	"github.com/socketcluster-go/socketcluster/internal/hub"
	"github.com/socketcluster-go/socketcluster/internal/outbox"
	"github.com/socketcluster-go/socketcluster/internal/ws"
)

// batch collects packets that are sent as one message. The socket's mu guards
// it.
type batch struct {
	collecting bool
	parts      []part
	bytes      int // of the message that parts make
	ticker     *time.Timer
	until      time.Time // zero: until stopped
	barrier    *barrier  // until it is over, nothing is sent
}

// part is a packet, after header space. A publication also has the subscription
// by which it comes. After a barrier there may be raw messages, further
// barriers and ends of batches too.
type part struct {
	packet      []byte
	sub         *hub.Subscription
	publication *hub.Publication
	op          ws.Opcode // of a raw message; else 0
	barrier     bool
	flush       bool // a batch ends here
	batched     bool // it belongs to a batch
}

// size returns the length of the part in a message.
func (p *part) size() int {
	if p.barrier || p.flush {
		return 0
	}
	return len(p.packet) - ws.HeaderSpace + 1
}

// stop drops the collected packets and ends collecting.
func (b *batch) stop() {
	b.collecting = false
	b.parts, b.bytes = nil, 0
	b.stopTicker()
}

func (b *batch) stopTicker() {
	if b.ticker != nil {
		b.ticker.Stop()
		b.ticker = nil
	}
}

// Batch is a running collection of packets. See [Socket.StartBatch].
type Batch struct {
	socket *Socket
	ticks  bool
}

// StartBatch collects the packets for the socket from now on. [Batch.End] sends
// them as one message. A batch of more than Limits.Outbox bytes is sent in
// parts. A socket has one such batch at a time.
func (s *Socket) StartBatch() Batch {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != Closed {
		s.extend().batch.collecting = true
	}
	return Batch{s, false}
}

// StartBatching collects the packets of each Config.Batching.Interval into one
// message from now on, until the batch is ended.
func (s *Socket) StartBatching() Batch {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.startBatching(time.Time{})
	return Batch{s, true}
}

// End ends the batch and sends what it has collected.
func (b Batch) End() { b.end((*Socket).flushLocked) }

// Cancel ends the batch and drops what it has collected.
func (b Batch) Cancel() { b.end((*Socket).dropBatch) }

func (b Batch) end(rest func(*Socket)) {
	s := b.socket
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ext == nil {
		return
	}
	if b.ticks {
		s.ext.batch.stopTicker()
	}
	s.ext.batch.collecting = s.ext.batch.ticker != nil
	rest(s)
}

// startBatching is StartBatching until a time, or without an end. mu must be
// held.
func (s *Socket) startBatching(until time.Time) {
	if s.state == Closed {
		return
	}
	b := &s.extend().batch
	b.until = until
	if b.ticker != nil {
		return
	}
	b.collecting = true
	b.ticker = time.AfterFunc(s.srv.cfg.Batching.Interval, s.batchTick)
}

// batchTick sends a batch and starts the next one.
func (s *Socket) batchTick() {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := &s.ext.batch
	if b.ticker == nil {
		return
	}
	if !b.until.IsZero() && !time.Now().Before(b.until) {
		s.stopBatching()
		return
	}
	s.flushLocked()
	b.ticker.Reset(s.srv.cfg.Batching.Interval)
}

// stopBatching must be called with mu held.
func (s *Socket) stopBatching() {
	if s.ext == nil {
		return
	}
	s.ext.batch.stopTicker()
	s.ext.batch.collecting = false
	s.flushLocked()
}

// batching reports whether packets are collected. mu must be held.
func (s *Socket) batching() bool {
	return s.ext != nil && (s.ext.batch.collecting || s.ext.batch.barrier != nil)
}

// addToBatch collects a packet. mu must be held.
func (s *Socket) addToBatch(p part) {
	b := &s.ext.batch
	b.parts = append(b.parts, p)
	b.bytes += p.size()
	s.ledger.Set(account.Batch, b.bytes)
	if b.bytes > s.srv.cfg.Limits.Outbox {
		for b.barrier != nil {
			s.pass()
		}
		s.flushLocked()
	}
}

// dropBatch drops the collected packets, but nothing else that a barrier holds.
// mu must be held.
func (s *Socket) dropBatch() {
	b := &s.ext.batch
	ended := 0 // batches that have ended are not dropped
	for i, p := range b.parts {
		if p.flush {
			ended = i + 1
		}
	}
	open := slices.DeleteFunc(slices.Clone(b.parts[ended:]), func(p part) bool { return p.batched })
	s.setBatch(slices.Concat(b.parts[:ended], open))
}

// setBatch replaces the collected parts. mu must be held.
func (s *Socket) setBatch(parts []part) {
	b := &s.ext.batch
	b.parts, b.bytes = parts, 0
	for i := range parts {
		b.bytes += parts[i].size()
	}
	s.ledger.Set(account.Batch, b.bytes)
}

// flushLocked queues the batch, except publications whose right has expired. mu
// must be held, so that nothing overtakes it; the outbox is a leaf.
func (s *Socket) flushLocked() {
	if s.ext.batch.barrier != nil {
		s.addToBatch(part{flush: true})
		return
	}
	frame, tag := s.sealBatch(s.takeBatch())
	s.pushTagged(outbox.Frame[cargo]{Bytes: frame, Tag: tag}, false)
}

// takeBatch removes and returns the collected parts, except publications whose
// right has expired: they are withheld. mu must be held.
func (s *Socket) takeBatch() []part {
	now := s.srv.moment(time.Now())
	parts, late := splitBatch(s.ext.batch.parts, func(sub *hub.Subscription) bool { return s.approved(sub, now) }, nil)
	s.setBatch(nil)
	s.keepBack(late)
	return parts
}

// sealBatch makes one frame of the parts of a batch, or none if there are no
// parts. mu must be held.
func (s *Socket) sealBatch(parts []part) (frame []byte, tag cargo) {
	if len(parts) == 0 {
		return nil, cargo{}
	}
	size := 2
	for _, p := range parts {
		size += len(p.packet)
	}
	if slices.ContainsFunc(parts, func(p part) bool { return p.sub != nil }) && s.guarded() {
		tag.batch = &parts
	}
	buf := ws.NewBuffer(size)
	separator := byte('[')
	for _, p := range parts {
		buf = append(append(buf, separator), p.packet[ws.HeaderSpace:]...)
		separator = ','
	}
	return s.srv.seal(append(buf, ']')), tag
}
