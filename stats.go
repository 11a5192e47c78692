package socketcluster

import "sync/atomic"

// socketCounters count messages and packets of one socket.
type socketCounters struct {
	received                  atomic.Uint64
	processed, prepared, sent atomic.Uint32
}

// InboundBackpressure is how many messages of the client have arrived and are
// not being handled yet.
func (s *Socket) InboundBackpressure() int {
	return int(uint32(s.stats.received.Load()) - s.stats.processed.Load())
}

// OutboundBackpressure is how many packets for the client have not passed the
// outbound middleware.
func (s *Socket) OutboundBackpressure() int {
	return int(s.stats.prepared.Load() - s.stats.sent.Load())
}

// ProcedureBackpressure is how many calls of a procedure have come on this
// socket and have not been taken by the slowest of its loops, or not been
// handled to their end by the server's handler.
func (s *Socket) ProcedureBackpressure(name string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.waiting(queueName{true, name})
}

// ReceiverBackpressure is [Socket.ProcedureBackpressure] for transmissions.
func (s *Socket) ReceiverBackpressure(name string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.waiting(queueName{false, name})
}

// Backpressure is the greatest of the figures for this socket: inbound,
// outbound, of each procedure and receiver, and of the events that wait for
// their handlers and loops.
func (s *Socket) Backpressure() int {
	greatest := max(s.InboundBackpressure(), s.OutboundBackpressure())
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ext == nil {
		return greatest
	}
	greatest = max(greatest, len(s.ext.events))
	for name := range s.ext.queues {
		greatest = max(greatest, s.waiting(name))
	}
	for _, name := range s.ext.procedures.Names() {
		greatest = max(greatest, s.waiting(queueName{true, name}))
	}
	for _, name := range s.ext.receivers.Names() {
		greatest = max(greatest, s.waiting(queueName{false, name}))
	}
	return greatest
}

// waiting is how much waits in a stream. mu must be held.
func (s *Socket) waiting(name queueName) int {
	if s.ext == nil {
		return 0
	}
	n := 0
	if q := s.ext.queues[name]; q != nil {
		n = q.users
	}
	if name.call {
		return n + s.ext.procedures.Longest(name.name)
	}
	return n + s.ext.receivers.Longest(name.name)
}

// BytesReceived is how many bytes have been read from the connection.
func (s *Socket) BytesReceived() int64 { return s.conn.BytesRead() }

// Stats are counts of one socket since it was accepted. They wrap around at
// 2^32.
type Stats struct {
	InboundReceived   uint32 // messages that have arrived
	InboundProcessed  uint32 // those of them whose turn has come
	OutboundPrepared  uint32 // packets that were to be sent
	OutboundSent      uint32 // those of them that have passed the outbound middleware
	BytesReceived     int64
	OutboxBytes       int // waiting to be taken by the client's side
	SubscriptionCount int
}

// Stats returns the counts of this moment.
func (s *Socket) Stats() Stats {
	return Stats{
		InboundReceived:   uint32(s.stats.received.Load()),
		InboundProcessed:  s.stats.processed.Load(),
		OutboundPrepared:  s.stats.prepared.Load(),
		OutboundSent:      s.stats.sent.Load(),
		BytesReceived:     s.conn.BytesRead(),
		OutboxBytes:       s.out.Bytes(),
		SubscriptionCount: s.SubscriptionCount(),
	}
}
