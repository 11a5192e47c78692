package socketcluster

import (
	"cmp"
	"log/slog"
	"maps"
	"math"
	"runtime/debug"
	"slices"
	"time"

	"github.com/socketcluster-go/socketcluster/internal/budget"
	"github.com/socketcluster-go/socketcluster/internal/ws"
	"github.com/socketcluster-go/socketcluster/wire"
)

// defaultBudget is a quarter of the process's memory limit, as the collector
// lets the heap grow to twice of what is in use, and something else may need
// memory too; or half a gigabyte if there is no limit.
func defaultBudget() int {
	if limit := debug.SetMemoryLimit(-1); limit != math.MaxInt64 {
		return int(min(max(limit/4, 1), math.MaxInt))
	}
	return 512 << 20
}

// account is where the socket counts what it makes the server hold.
func (s *Socket) account() *budget.Shard { return s.srv.budget.Shard(s.id[0]) }

// takeHeld waits until the socket may hold n bytes more of what it has sent.
// It reports false when the socket has closed meanwhile, or must.
func (s *Socket) takeHeld(n int) bool {
	if s.srv.budget.Over() && s.exceedsShare(n) {
		s.turnAway()
		return false
	}
	ok, waited := s.held.take(n, s.srv.cfg.Limits.InboxBytes, s.Done)
	if waited {
		s.srv.hit(limitInboxBytes)
	}
	if ok {
		s.account().Add(n)
	}
	return ok
}

// hold counts what was let in with a message already, and outlives it: n bytes
// of the message, and what they take beside.
func (s *Socket) hold(n, extra int) {
	if s.held.add(n, extra) {
		s.srv.left(s)
	}
	s.account().Add(n + extra)
}

// giveHeld tells that bytes of what the socket has sent are no longer held.
func (s *Socket) giveHeld(n int) { s.give(n, 0) }

// give is the reverse of hold.
func (s *Socket) give(n, extra int) {
	if s.held.give(n, extra) {
		s.srv.left(s)
	}
	s.account().Add(-n - extra)
}

// assemble counts what a message takes of which a part is still to come.
func (s *Socket) assemble(n int) error {
	s.assembling.Add(int64(n))
	s.account().Add(n)
	if n > 0 && s.srv.budget.Over() && s.exceedsShare(0) {
		s.turnAway()
		return errOverBudget
	}
	return nil
}

// addQueuedOut counts n bytes more, or fewer, that wait for the outbound
// middleware, and cost the budget so many. It counts nothing if the socket is
// ending, or must.
func (s *Socket) addQueuedOut(n, cost int) error {
	err := s.out.Reserve(n)
	if err == nil {
		s.account().Add(cost)
	}
	return err
}

// countBatch brings the count of the batch up to date. mu must be held.
func (s *Socket) countBatch() {
	b := &s.ext.batch
	s.account().Add(b.bytes - b.counted)
	b.counted = b.bytes
}

// subscriptionCost is about what a subscription takes beside its name and data
// when nobody else has the channel, and requestCost what a request takes that
// is kept, of a subscription or of the upgrade: estimates from the growth of a
// process.
const (
	subscriptionCost = 400
	requestCost      = 128
	upgradeCost      = 2 << 10
)

// keep counts what is kept for as long as it is needed: subscriptions, the URL
// and the upgrade request. mu must be held.
func (s *Socket) keep(n int) {
	s.kept += n
	s.account().Add(n)
}

// holds is how much a socket makes the server hold, what it has sent and what
// it has not read.
func (s *Socket) holds() (in, out int64) {
	in = s.held.total()
	out = int64(s.out.Holds())
	s.mu.Lock()
	in += int64(s.kept)
	if s.ext != nil {
		out += int64(s.ext.batch.counted + s.ext.withheldBytes)
	}
	s.mu.Unlock()
	return in + s.assembling.Load(), out
}

// leastShare lets everybody make a small call, however little is left: one with
// a goroutine, and its message. By default there are no more connections than
// have room for that.
const leastShare = 8 << 10

// share is what each socket may hold in any case, so that those that hold much
// cannot crowd out the others: all shares together are half of the budget, less
// what sockets that have gone have left with handlers.
func (srv *Server) share() int64 {
	sockets, _ := srv.places.Count()
	limit := srv.budget.Limit()
	least := min(leastShare, limit/int64(srv.cfg.Limits.Connections))
	return max((limit-srv.leftBytes.Load())/2/int64(max(sockets, 1)), least)
}

// exceedsShare tells whether n bytes more would be more than the share.
func (s *Socket) exceedsShare(n int) bool {
	in, out := s.holds()
	return in+out+int64(n) > s.srv.share()
}

const overBudgetText = "The server holds too many messages"

var errOverBudget = &ws.ProtocolError{Code: wire.CloseTryAgainLater, Reason: overBudgetText}

// turnAway closes a socket that sends more than there is memory for, and makes
// the reading goroutine let go of what it has of a message. See lost.
func (s *Socket) turnAway() {
	if s.turnedAway.Swap(true) {
		return
	}
	s.srv.tellShed(s)
	s.conn.Interrupt()
	go s.disconnect(wire.CloseTryAgainLater, overBudgetText, overBudgetText)
}

func (srv *Server) tellShed(s *Socket) {
	srv.hitLogged(limitBudget, "sockets that hold the most are disconnected: all together hold too much", slog.String("socket", s.id))
}

// overBudget is called when all sockets together hold more than the budget,
// with locks held.
func (srv *Server) overBudget() {
	if !srv.shedding.Swap(true) {
		go srv.shed()
	}
}

// shedPause is how long a shedder rests before it looks again: what readers and
// handlers hold is not given back in the instant in which their sockets close.
const shedPause = 20 * time.Millisecond

// shed disconnects the sockets that hold the most until an eighth of the budget
// is free, but none that is within its share: if what is left is beyond the
// budget all the same, it is with handlers of sockets that have gone.
func (srv *Server) shed() {
	limit := srv.budget.Limit()
	enough := limit - limit/8
	for srv.budget.Used() > limit {
		srv.dropLeft()
		var leaving int64 // will be given back in a moment
		for _, h := range srv.largestHolders() {
			if srv.budget.Used()-leaving <= enough {
				break
			}
			leaving += h.socket.shed(h.in, h.out)
		}
		select {
		case <-time.After(shedPause):
		case <-srv.stopped:
			return
		}
	}
	srv.shedding.Store(false)
	if srv.budget.Used() > limit { // since it was looked at last
		srv.overBudget()
	}
}

// left brings up to date whether a socket that has gone has left something with
// handlers.
func (srv *Server) left(s *Socket) {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	if s.held.total() > 0 {
		srv.leavers[s] = struct{}{}
	} else {
		delete(srv.leavers, s)
	}
}

// dropLeft drops what waits for handlers although its sockets have gone. Those
// that make way for it otherwise are still there.
func (srv *Server) dropLeft() {
	srv.mu.Lock()
	all := slices.Collect(maps.Keys(srv.leavers))
	srv.mu.Unlock()
	for _, s := range all {
		s.dropWaiting()
	}
}

// dropWaiting drops what waits for handlers on a closed socket, as with
// Config.DropWaiting.
func (s *Socket) dropWaiting() {
	before := s.held.total()
	if s.dropping.Swap(true) {
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
	if s.held.total() < before {
		s.srv.hitLogged(limitBudget, "what waits for handlers is dropped, as its socket has gone: all together hold too much", slog.String("socket", s.id))
	}
}

// holder is a socket and what it holds.
type holder struct {
	socket  *Socket
	in, out int64
}

// largestHolders are the sockets beyond their share, those that hold the most
// first. Sockets that are being closed are among them.
func (srv *Server) largestHolders() []holder {
	share := srv.share()
	var all []holder
	for _, s := range srv.everySocket() {
		if in, out := s.holds(); in+out > share {
			all = append(all, holder{s, in, out})
		}
	}
	slices.SortFunc(all, func(a, b holder) int { return cmp.Compare(b.in+b.out, a.in+a.out) })
	return all
}

// shed disconnects the socket. What waits for the client is given back at once;
// it returns what is not.
func (s *Socket) shed(in, out int64) (leaving int64) {
	if in > out {
		s.turnAway() // if that has not been done: what is left is on its way out
		s.cutShort()
		return in
	}
	if !s.turnedAway.Swap(true) {
		s.srv.tellShed(s)
	}
	s.dropUnread()
	return in
}

// cutShort ends the wait for the peer's close frame if it is for a socket whose
// URL alone is more than its share.
func (s *Socket) cutShort() {
	s.mu.Lock()
	kept := s.kept
	closed := s.state == Closed
	s.mu.Unlock()
	if closed && int64(kept) > s.srv.share() {
		s.conn.Close()
	}
}
