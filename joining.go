package socketcluster

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/socketcluster-go/socketcluster/broker"
	"github.com/socketcluster-go/socketcluster/internal/account"
	"github.com/socketcluster-go/socketcluster/wire"
)

// A subscription to a channel whose past cannot be read at the moment waits until it can be, as
// long as the client is there: stock clients wait for the answer without a limit, and give up a
// channel for good after an error. What else the client sends goes on meanwhile, but for
// publications to that channel.

// joinPatience is for how long a subscription holds up what the same client sends after it.
const joinPatience = 250 * time.Millisecond

// joinPause is the time between two tries, and joinedTimeout is for how long a publication waits
// for the subscription of its client to the channel.
const (
	joinPause     = 200 * time.Millisecond
	joinedTimeout = 10 * time.Second
)

// joining is a subscription that waits. The socket's mu guards it.
type joining struct {
	counted bool // in the budget
	left    bool // the client does not want it any more
	over    bool
	done    chan struct{} // closed when it is over
}

// keepsHistory reports whether the broker may have to read before a subscription begins.
func (srv *Server) keepsHistory() bool {
	_, ok := srv.cfg.Broker.(broker.Historian)
	return ok
}

// enterAside is enterAndAnswer, but returns when that waits for longer than joinPatience. It does not
// wait if other subscriptions of the socket do.
func (s *Socket) enterAside(id float64, req wire.Subscribe, e entering) {
	if err := s.mayEnter(e.channel, true); err != nil {
		s.emitError(err)
		s.respond(id, nil, err)
		return
	}
	// It may go on when the message is gone.
	req.Data = e.options.data
	channel, size := e.channel, len(e.channel)+len(req.Options)+len(e.raw)+len(e.options.data)+subscriptionCost
	j := &joining{done: make(chan struct{})}
	e.join = j
	go func() {
		defer s.joined(channel, size, j)
		s.enterAndAnswer(id, &req, &e)
	}()
	s.mu.Lock()
	waiting := 0
	if s.ext != nil {
		waiting = len(s.ext.joins)
	}
	s.mu.Unlock()
	if limit := s.srv.cfg.Limits.Calls; limit > 0 && waiting >= limit {
		<-j.done
		return
	}
	if waiting == 0 {
		s.waitFor(j.done, joinPatience)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if j.over || s.state == Closed {
		return
	}
	x := s.extend()
	if old := x.joins[channel]; old != nil {
		old.left = true
	}
	if x.joins == nil {
		x.joins = make(map[string]*joining)
	}
	x.joins[channel] = j
	j.counted = true
	s.count(account.Subscriptions, size)
}

// joined takes note that a subscription does not wait any more.
func (s *Socket) joined(channel string, size int, j *joining) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ext != nil && s.ext.joins[channel] == j {
		delete(s.ext.joins, channel)
	}
	if j.counted && s.state != Closed { // emitEnd sets the count of a closed one
		s.count(account.Subscriptions, -size)
	}
	j.over = true
	close(j.done)
}

// stopJoining makes a subscription that waits fail, and reports whether there was one.
func (s *Socket) stopJoining(channel string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ext == nil || s.ext.joins[channel] == nil {
		return false
	}
	s.ext.joins[channel].left = true
	delete(s.ext.joins, channel)
	return true
}

// awaitJoined waits for a subscription of the socket to a channel, so that it gets what it publishes
// there afterwards.
func (s *Socket) awaitJoined(channel string) {
	var j *joining
	s.mu.Lock()
	if s.ext != nil {
		j = s.ext.joins[channel]
	}
	s.mu.Unlock()
	if j != nil {
		s.waitFor(j.done, joinedTimeout)
	}
}

// joiningOthers counts the subscriptions to other channels that wait. mu must be held.
func (s *Socket) joiningOthers(channel string) int {
	if s.ext == nil {
		return 0
	}
	n := len(s.ext.joins)
	if s.ext.joins[channel] != nil {
		n--
	}
	return n
}

// unwanted reports whether the client has left a channel for which a subscription waits. mu must be held.
func (j *joining) unwanted() bool { return j != nil && j.left }

// waits reports whether a subscription that the broker has failed waits until what the broker keeps
// can be read.
func (e *entering) waits(failure error) bool {
	return (e.join != nil || e.resume) && errors.Is(failure, context.DeadlineExceeded)
}

// again reports whether a subscription that has failed is to be tried again, after a pause: the client
// still waits for the answer.
func (s *Socket) again(e *entering, failure error, tries int) bool {
	if !e.waits(failure) {
		return false
	}
	if tries == 0 {
		s.srv.log.Warn("a subscription waits, as the broker cannot read what it keeps", slog.String("socket", s.ID()), slog.String("channel", e.channel), slog.Any("error", failure))
	}
	s.waitFor(nil, joinPause)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state == Open && !e.join.left
}

// waitFor waits until something is over, for so long or until the socket closes.
func (s *Socket) waitFor(over <-chan struct{}, patience time.Duration) {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-over:
	case <-timer.C:
	case <-s.Done():
	}
}
