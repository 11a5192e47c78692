package socketcluster

import "sync/atomic"

// socketCounters count messages and packets of one socket.
type socketCounters struct {
	received, processed atomic.Uint32
	prepared, sent      atomic.Uint32
}

// InboundBackpressure is how many messages of the client have arrived and are
// not being handled yet.
func (s *Socket) InboundBackpressure() int {
	return int(s.stats.received.Load() - s.stats.processed.Load())
}

// OutboundBackpressure is how many packets for the client have not passed the
// outbound middleware.
func (s *Socket) OutboundBackpressure() int {
	return int(s.stats.prepared.Load() - s.stats.sent.Load())
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
		InboundReceived:   s.stats.received.Load(),
		InboundProcessed:  s.stats.processed.Load(),
		OutboundPrepared:  s.stats.prepared.Load(),
		OutboundSent:      s.stats.sent.Load(),
		BytesReceived:     s.conn.BytesRead(),
		OutboxBytes:       s.out.Bytes(),
		SubscriptionCount: s.SubscriptionCount(),
	}
}
