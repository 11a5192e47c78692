package socketcluster

import (
	"cmp"
	"log/slog"
	"maps"
	"math"
	"runtime/debug"
	"slices"
	"time"

	"github.com/socketcluster-go/socketcluster/internal/account"
	"github.com/socketcluster-go/socketcluster/internal/ws"
	"github.com/socketcluster-go/socketcluster/wire"
)

// defaultBudget returns a quarter of the process's memory limit, because the
// collector lets the heap grow to twice the memory in use, and other parts of
// the process need memory too. Without a limit it is half a gigabyte.
func defaultBudget() int {
	if limit := debug.SetMemoryLimit(-1); limit != math.MaxInt64 {
		return int(min(max(limit/4, 1), math.MaxInt))
	}
	return 512 << 20
}

// takeMessage waits until there is room for a message of n bytes from the
// client. It returns false if the socket has closed meanwhile, or must close.
func (s *Socket) takeMessage(n int) bool {
	if s.srv.budget.Over() && s.exceedsShare(n) {
		s.turnAway()
		return false
	}
	ok, waited := s.ledger.Take(n, s.srv.cfg.Limits.InboxBytes, s.stopReading)
	if waited {
		s.srv.hit(limitInboxBytes)
	}
	return ok
}

// stopReading is called before the reading waits.
func (s *Socket) stopReading() <-chan struct{} {
	s.sendCorked(false)
	return s.Done()
}

// count counts n more bytes of a kind, or fewer if n is negative.
func (s *Socket) count(kind account.Kind, n int) {
	if s.ledger.Add(kind, n) {
		s.srv.noteOrphan(s)
	}
}

// countTask counts bytes of messages and of handlers in one step.
func (s *Socket) countTask(messages, handlers int) {
	if s.ledger.AddTask(messages, handlers) {
		s.srv.noteOrphan(s)
	}
}

// countUnfinished counts the bytes of a message of which a part has not arrived
// yet.
func (s *Socket) countUnfinished(n int) error {
	s.ledger.Add(account.Unfinished, n)
	if n > 0 && s.srv.budget.Over() && s.exceedsShare(0) {
		s.turnAway()
		return errOverBudget
	}
	return nil
}

// Approximate memory besides names and data: of a subscription to a channel
// without other subscribers, of its options, and of an upgrade request. These
// are estimates from the growth of a process.
const (
	subscriptionCost = 400
	optionsCost      = 192
	upgradeCost      = 2 << 10
)

// held returns the number of bytes that the server holds for a socket: those
// that it has sent, and those that wait for it.
func (s *Socket) held() (in, out int64) {
	i, o := s.ledger.Held()
	return int64(i), int64(o) + int64(s.out.Held())
}

// leastShare lets every client make a small call, however little is left: it
// has room for a message and a goroutine. The default number of connections
// leaves this room for each.
const leastShare = 8 << 10

// share returns the number of bytes that each socket may always hold, so that
// those that hold much cannot crowd out the others: all shares together are
// half of the budget, minus the bytes that handlers of closed sockets hold.
func (srv *Server) share() int64 {
	sockets, _ := srv.places.Count()
	limit := srv.budget.Limit()
	least := min(leastShare, limit/int64(srv.cfg.Limits.Connections))
	return max((limit-srv.budget.Orphaned())/2/int64(max(sockets, 1)), least)
}

// exceedsShare reports whether n more bytes would exceed the share.
func (s *Socket) exceedsShare(n int) bool {
	in, out := s.held()
	return in+out+int64(n) > s.srv.share()
}

const overBudgetText = "The server holds too many messages"

var errOverBudget = &ws.ProtocolError{Code: wire.CloseTryAgainLater, Reason: overBudgetText}

// turnAway closes a socket that sends more than there is memory for, and makes
// the reading goroutine release an incomplete message. See lost.
func (s *Socket) turnAway() {
	if !s.endFor(overBudget) {
		return
	}
	s.srv.tellShed(s)
	s.conn.Interrupt()
	go s.disconnect(wire.CloseTryAgainLater, overBudgetText, overBudgetText)
}

func (srv *Server) tellShed(s *Socket) {
	srv.hitLogged(limitBudget, "sockets that hold the most are disconnected: all together hold too much", slog.String("socket", s.ID()))
}

// overBudget is called, with locks held, when all sockets together hold more
// than the budget.
func (srv *Server) overBudget() {
	if !srv.shedding.Swap(true) {
		go srv.shed()
	}
}

// shedPause is the time after which shed checks again: the memory of readers
// and handlers is not freed at the moment when their sockets close.
const shedPause = 20 * time.Millisecond

// shed disconnects the sockets that hold the most until an eighth of the budget
// is free, but none that is within its share. If the rest still exceeds the
// budget, handlers of closed sockets hold it.
func (srv *Server) shed() {
	limit := srv.budget.Limit()
	enough := limit - limit/8
	for srv.budget.Used() > limit {
		srv.dropOrphans()
		var pending int64 // is about to be freed
		for _, u := range srv.aboveShare() {
			if srv.budget.Used()-pending <= enough {
				break
			}
			pending += u.socket.shed(u.in, u.out)
		}
		select {
		case <-time.After(shedPause):
		case <-srv.ctx.Done():
			return
		}
	}
	srv.shedding.Store(false)
	if srv.budget.Used() > limit { // since the last check
		srv.overBudget()
	}
}

// noteOrphan updates the set of closed sockets for which handlers still hold
// memory.
func (srv *Server) noteOrphan(s *Socket) {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	if s.ledger.Orphaned() > 0 {
		srv.orphans[s] = struct{}{}
	} else {
		delete(srv.orphans, s)
	}
}

// dropOrphans drops messages that wait for handlers of closed sockets.
// Otherwise open sockets would have to make room for them.
func (srv *Server) dropOrphans() {
	srv.mu.Lock()
	all := slices.Collect(maps.Keys(srv.orphans))
	srv.mu.Unlock()
	for _, s := range all {
		s.dropWaiting()
	}
}

// dropWaiting drops messages that wait for handlers on a closed socket, as with
// Config.Compat.DropWaiting.
func (s *Socket) dropWaiting() {
	before := s.ledger.Orphaned()
	if s.discards.Swap(true) {
		return
	}
	s.killStreams()
	s.mu.Lock()
	var queues []*nameQueue
	if s.ext != nil {
		queues = slices.Collect(maps.Values(s.ext.queues))
	}
	s.mu.Unlock()
	for _, q := range queues {
		q.lane.Close(q.drop)
	}
	if s.ledger.Orphaned() < before {
		s.srv.hitLogged(limitBudget, "what waits for handlers is dropped, as its socket has gone: all together hold too much", slog.String("socket", s.ID()))
	}
}

// usage is the number of bytes that the server holds for a socket.
type usage struct {
	socket  *Socket
	in, out int64
}

// aboveShare returns the sockets that hold more than their share, the largest
// first, including sockets that are being closed.
func (srv *Server) aboveShare() []usage {
	share := srv.share()
	var all []usage
	for _, s := range srv.everySocket() {
		if in, out := s.held(); in+out > share {
			all = append(all, usage{s, in, out})
		}
	}
	slices.SortFunc(all, func(a, b usage) int { return cmp.Compare(b.in+b.out, a.in+a.out) })
	return all
}

// shed disconnects the socket. The bytes that wait for the client are freed at
// once; shed returns the number of the others.
func (s *Socket) shed(in, out int64) (pending int64) {
	if in > out {
		s.turnAway() // unless that has been done: the rest is about to be freed
		s.cutShort()
		return in
	}
	if s.endFor(overBudget) {
		s.srv.tellShed(s)
	}
	s.dropUnread()
	return in
}

// cutShort ends the wait for the peer's close frame if the URL of the socket
// alone exceeds its share.
func (s *Socket) cutShort() {
	if s.State() == Closed && int64(s.ledger.Bytes(account.Upgrade)) > s.srv.share() {
		s.conn.Close()
	}
}
