package socketcluster

import (
	"time"

	"github.com/socketcluster-go/socketcluster/internal/ws"
)

// batch collects packets that leave as one message. The socket's mu guards it.
type batch struct {
	collecting bool
	counted    int    // of buf, in the budget
	buf        []byte // header space, then "[" and packets with commas between
	ticker     *time.Timer
	until      time.Time // zero: until stopped
}

// add appends a packet. It reports true when the batch is larger than limit.
func (b *batch) add(packet []byte, limit int) (full bool) {
	if b.buf == nil {
		b.buf = append(ws.NewBuffer(len(packet)+64), '[')
	} else {
		b.buf = append(b.buf, ',')
	}
	b.buf = append(b.buf, packet...)
	return len(b.buf) > limit
}

// take returns the collected packets as a message behind header space, or nil
// if there are none.
func (b *batch) take() []byte {
	if b.buf == nil {
		return nil
	}
	buf := append(b.buf, ']')
	b.buf = nil
	return buf
}

// stop drops what has been collected and ends collecting.
func (b *batch) stop() {
	b.collecting = false
	b.buf = nil
	if b.ticker != nil {
		b.ticker.Stop()
		b.ticker = nil
	}
}

// StartBatch collects what is sent until FlushBatch or CancelBatch.
func (s *Socket) StartBatch() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != Closed {
		x := s.extend()
		x.batch.collecting = true
	}
}

// FlushBatch sends what StartBatch has collected, as one message.
func (s *Socket) FlushBatch() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ext != nil {
		s.flushLocked()
		s.ext.batch.collecting = s.ext.batch.ticker != nil
	}
}

// CancelBatch drops what StartBatch has collected.
func (s *Socket) CancelBatch() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ext != nil {
		s.ext.batch.collecting = s.ext.batch.ticker != nil
		s.ext.batch.buf = nil
		s.countBatch()
	}
}

// StartBatching sends what is sent from now on as one message for each
// Config.BatchInterval.
func (s *Socket) StartBatching() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.startBatching(time.Time{})
}

// StopBatching ends [Socket.StartBatching] and sends what is left.
func (s *Socket) StopBatching() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopBatching()
}

// CancelBatching ends [Socket.StartBatching] and drops what is left.
func (s *Socket) CancelBatching() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ext != nil {
		s.ext.batch.stop()
		s.countBatch()
	}
}

// startBatching is StartBatching until a time, or for good. mu must be held.
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
	b.ticker = time.AfterFunc(s.srv.cfg.BatchInterval, s.batchTick)
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
	b.ticker.Reset(s.srv.cfg.BatchInterval)
}

// stopBatching must be called with mu held.
func (s *Socket) stopBatching() {
	if s.ext == nil {
		return
	}
	b := &s.ext.batch
	if b.ticker != nil {
		b.ticker.Stop()
		b.ticker = nil
	}
	b.collecting = false
	s.flushLocked()
}

// flushLocked queues the batch. mu must be held, so that nothing overtakes it;
// the outbox is a leaf.
func (s *Socket) flushLocked() {
	if buf := s.ext.batch.take(); buf != nil {
		s.countBatch()
		s.pushFrame(s.srv.seal(buf))
	}
}
