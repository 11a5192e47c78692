package socketcluster

import (
	"slices"
	"sync/atomic"
)

// socketCounters counts messages and packets of one socket.
type socketCounters struct {
	received                  atomic.Uint64
	processed, prepared, sent atomic.Uint32
	raw                       atomic.Int32 // messages in ext.raw or on their way from there to inbox
}

// waiting returns the number of items that wait in a stream. mu must be held.
func (s *Socket) waiting(name queueName) int {
	if s.ext == nil {
		return 0
	}
	n := s.ext.loops.Longest(name)
	if q := s.ext.queues[name]; q != nil {
		n += q.users
	}
	if slices.Contains(s.ext.tails, name) {
		n++
	}
	return n
}

// SocketStats are the figures of one socket: counts since it was accepted,
// which wrap around at 2^32, and the numbers of messages, packets and bytes
// that wait.
type SocketStats struct {
	InboundReceived  uint32 // messages that have arrived
	InboundProcessed uint32 // those whose turn has come
	OutboundPrepared uint32 // packets that were prepared for sending
	OutboundSent     uint32 // those that have passed the outbound middleware
	BytesReceived    int64
	OutboxBytes      int // waiting for the client to read them
	Subscriptions    int

	InboundBackpressure  int // messages that have arrived and are not being handled yet
	OutboundBackpressure int // packets that have not passed the outbound middleware

	// Backpressure is the maximum of these two, of that of each procedure and
	// receiver ([Stream.Backpressure]), and of the number of events that wait
	// for their handlers and loops.
	Backpressure int
}

// Stats returns the current figures.
func (s *Socket) Stats() SocketStats {
	st := SocketStats{
		InboundReceived:  uint32(s.stats.received.Load()),
		InboundProcessed: s.stats.processed.Load(),
		OutboundPrepared: s.stats.prepared.Load(),
		OutboundSent:     s.stats.sent.Load(),
		BytesReceived:    s.conn.BytesRead(),
		OutboxBytes:      s.out.Bytes(),
	}
	st.InboundBackpressure = int(st.InboundReceived - st.InboundProcessed)
	st.OutboundBackpressure = int(st.OutboundPrepared - st.OutboundSent)
	st.Backpressure = max(st.InboundBackpressure, st.OutboundBackpressure)
	s.mu.Lock()
	defer s.mu.Unlock()
	st.Subscriptions = s.subs.Len()
	if s.ext == nil {
		return st
	}
	st.Backpressure = max(st.Backpressure, len(s.ext.events))
	for name := range s.ext.queues {
		st.Backpressure = max(st.Backpressure, s.waiting(name))
	}
	for _, name := range s.ext.loops.Names() {
		st.Backpressure = max(st.Backpressure, s.waiting(name))
	}
	return st
}
