package socketcluster

import (
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/socketcluster-go/socketcluster/wire"
)

// writes is a connection that notes how many frames it was given.
type writes chan int

func (w writes) WriteFrames(frames [][]byte, _ time.Duration) (n int, err error) {
	w <- len(frames)
	for _, f := range frames {
		n += len(f)
	}
	return n, nil
}

func (w writes) AwaitWrite(time.Duration) error { return nil }
func (w writes) Prompt() bool                   { return true }

// lone is an open socket without a connection, at the beginning of the server's
// clock.
func lone(t *testing.T, cfg Config) (*Socket, writes) {
	t.Helper()
	cfg.Auth.Key = "a key of this test that is long enough for anybody"
	srv, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	s := &Socket{srv: srv, id: newID(), version: wire.Version2, state: Open}
	w := make(writes, 100)
	s.out.Init(w, (*outboxOwner)(s), &srv.outbox, srv.budget.Shard(0))
	s.nextPing = srv.moment(srv.epoch).add(srv.cfg.Timeouts.PingInterval)
	srv.mu.Lock()
	srv.sockets[s.id] = s
	srv.open++
	srv.mu.Unlock()
	return s, w
}

// A socket whose lock somebody holds does not delay the timers of others.
func TestExpireDoesNotWaitForASocket(t *testing.T) {
	s, w := lone(t, Config{})
	defer s.srv.wheel.Close()
	now := s.srv.epoch.Add(10 * time.Second)
	s.mu.Lock()
	(*wheelTask)(s).Expire(now) // would hang
	if len(w) > 0 {
		t.Error("a ping was sent while the socket was locked")
	}
	// Everything that was due is done when the lock is free.
	s.nextPing = 1
	s.mu.Unlock()
	<-w
}

// PP-3: a client to which the server was late to send a ping is not closed before
// it has had the time to answer that.
func TestLatePingIsNotTheClientsFault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, w := lone(t, Config{Timeouts: Timeouts{PingInterval: 8 * time.Second, Ping: 30 * time.Second}})
		defer s.srv.wheel.Close()
		expire := func(at time.Duration) (pings int, closed bool) {
			s.mu.Lock()
			s.expireLocked(s.srv.epoch.Add(at))
			s.mu.Unlock()
			synctest.Wait()
			for len(w) > 0 {
				pings += <-w
			}
			return pings, s.State() == Closed
		}
		for _, step := range []struct {
			at     time.Duration
			seen   bool // the client, at that time
			pings  int
			closed bool
		}{
			{at: 40 * time.Second, pings: 1},                       // 32 seconds late
			{at: 48 * time.Second, pings: 1},                       // the client is silent
			{at: 61 * time.Second, pings: 1},                       // 21 seconds after the first one
			{at: 61500 * time.Millisecond, seen: true},             // it answers
			{at: 69 * time.Second, pings: 1},                       // in time
			{at: 91 * time.Second, pings: 1},                       // 22 seconds after that, and 29.5 after the answer
			{at: 91500 * time.Millisecond, pings: 1, closed: true}, // the close frame
		} {
			if step.seen {
				s.seen(s.srv.epoch.Add(step.at))
			}
			if pings, closed := expire(step.at); pings != step.pings || closed != step.closed {
				t.Fatalf("after %v: %d frames, closed: %v", step.at, pings, closed)
			}
		}
	})
}

// A time that is as long as can be is never over.
func TestLongestTimes(t *testing.T) {
	s, w := lone(t, Config{Timeouts: Timeouts{PingDisabled: true, Handshake: math.MaxInt64}})
	defer s.srv.wheel.Close()
	now := s.srv.epoch.Add(time.Hour)
	s.state = Connecting
	s.deadline = s.srv.moment(now).add(s.srv.cfg.Timeouts.Handshake)
	(*wheelTask)(s).Expire(now)
	if s.deadline != math.MaxInt64 || len(w) > 0 || s.State() != Connecting {
		t.Errorf("the deadline is %d, %d sent, %v", s.deadline, len(w), s.State())
	}
}
