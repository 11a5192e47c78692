package socketcluster

import "sync/atomic"

// counters has the counts of a server other than those of limits.
type counters struct {
	accepted                 atomic.Uint64
	publications, deliveries atomic.Uint64
	badRequests, afterClose  atomic.Uint64
	byMiddleware, byOrigin   atomic.Uint64
}

// traffic has the counts of sockets' messages and bytes. Each socket counts by
// itself, where it costs nothing, and adds its counts to the server's when it
// ends.
type traffic struct {
	messagesIn, bytesIn, framesOut, bytesOut uint64
}

func (t *traffic) add(s *Socket) {
	frames, size := s.out.Written()
	t.messagesIn += s.stats.received.Load()
	t.bytesIn += uint64(s.conn.BytesRead())
	t.framesOut += frames
	t.bytesOut += size
}

// ServerStats are the figures of a server: current numbers, and counts since it
// was made. They are read one after the other while the server is running.
type ServerStats struct {
	Connections int // sockets, including those that are being closed, and upgrade requests
	Pending     int // of these, those before the end of their handshake
	Clients     int // sockets that are open

	Accepted uint64 // connections that have become sockets
	Refused  RefusedStats

	MessagesIn, BytesIn uint64 // messages of clients, including pongs; bytes that they have sent as frames
	FramesOut, BytesOut uint64 // frames that have been written, and their sizes before they were compressed

	Publications uint64 // that the broker has delivered to this server
	Deliveries   uint64 // to subscribers on this server

	BudgetUsed int64 // bytes that count against Limits.Budget
	Budget     int64 // Limits.Budget, or its default

	// LimitHits has the number of times that each limit was reached, by the
	// name of the setting, such as "Limits.Outbox", and "Timeouts.Handshake",
	// "Timeouts.Ping" and "Timeouts.Close" of Config. It contains every limit.
	// The count of a rate is how often a socket had to wait, that of a queue
	// how often it made somebody wait.
	LimitHits map[string]uint64
}

// RefusedStats counts refused upgrade requests, except those refused because of
// a limit, which are in LimitHits.
type RefusedStats struct {
	BadRequest uint64 // not an upgrade, or not for one of the server's paths
	Closed     uint64 // the server has been shut down
	Middleware uint64
	Origin     uint64
}

// Stats returns the current figures. It reads every socket, so call it every
// few seconds, not for every message.
func (srv *Server) Stats() ServerStats {
	c := &srv.counters
	st := ServerStats{
		Clients:  srv.NumClients(),
		Accepted: c.accepted.Load(),
		Refused: RefusedStats{
			BadRequest: c.badRequests.Load(),
			Closed:     c.afterClose.Load(),
			Middleware: c.byMiddleware.Load(),
			Origin:     c.byOrigin.Load(),
		},
		BudgetUsed:   srv.budget.Used(),
		Budget:       srv.budget.Limit(),
		Publications: c.publications.Load(),
		Deliveries:   c.deliveries.Load(),
		LimitHits:    make(map[string]uint64, numLimits),
	}
	st.Connections, st.Pending = srv.places.Count()
	srv.mu.Lock()
	sum := srv.traffic
	sockets := srv.allLocked()
	srv.mu.Unlock()
	for _, s := range sockets {
		sum.add(s)
	}
	st.MessagesIn, st.BytesIn, st.FramesOut, st.BytesOut = sum.messagesIn, sum.bytesIn, sum.framesOut, sum.bytesOut
	for l := range numLimits {
		st.LimitHits[l.String()] = srv.hits.count[l].Load()
	}
	return st
}
