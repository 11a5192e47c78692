package socketcluster

import "sync/atomic"

// counters are what a server counts beside the limits.
type counters struct {
	accepted                 atomic.Uint64
	publications, deliveries atomic.Uint64
	badRequests, afterClose  atomic.Uint64
	byMiddleware, byOrigin   atomic.Uint64
}

// traffic is what sockets have sent and got. Each counts for itself, where it
// costs nothing, and tells the server when it has gone.
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

// ServerStats are figures of a server: what there is at the moment, and counts
// since it was made. They are taken one after the other while the server
// goes on.
type ServerStats struct {
	Connections int // sockets, those included that are being closed, and upgrade requests
	Pending     int // of these, those that are before the end of their handshake
	Clients     int // sockets that are open

	Accepted uint64 // connections that have become sockets
	Refused  RefusedStats

	MessagesIn, BytesIn uint64 // messages of clients, pongs included; bytes that they have sent as frames
	FramesOut, BytesOut uint64 // frames that have been written, and their sizes before they were compressed

	Publications uint64 // that the broker has handed to this server
	Deliveries   uint64 // to subscribers on this server

	BudgetUsed int64 // bytes that count against Limits.Budget
	Budget     int64 // Limits.Budget, or its default

	// LimitHits is how often each limit was reached, by the name of the setting:
	// "Limits.Outbox", and "Timeouts.Handshake", "Timeouts.Ping", "Timeouts.Close" of
	// Config. Every limit is in it. A rate counts how often a socket had to
	// wait, a queue how often it made somebody wait.
	LimitHits map[string]uint64
}

// RefusedStats counts upgrade requests that were refused. Those that a limit
// has refused are in LimitHits.
type RefusedStats struct {
	BadRequest uint64 // no upgrade, or not for one of the server's paths
	Closed     uint64 // the server has been shut down
	Middleware uint64
	Origin     uint64
}

// Stats returns the figures of this moment. It looks at every socket, which is
// meant for every few seconds and not for every message.
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
