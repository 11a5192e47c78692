package socketcluster

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/socketcluster-go/socketcluster/wire"
)

// A pong that the poller has read counts as any other. If it may mean more than its
// time, or the poller would have to wait, it is left to the reader and has no effect.
func TestPongInThePoller(t *testing.T) {
	for name, test := range map[string]struct {
		version wire.Version
		text    string
		prepare func(s *Socket)
		taken   bool
	}{
		"version 2":            {wire.Version2, "", nil, true},
		"version 1":            {wire.Version1, "#2", nil, true},
		"another text":         {wire.Version2, "#2", nil, false},
		"a ping of version 1":  {wire.Version1, "#1", nil, false},
		"an empty text":        {wire.Version1, "", nil, false},
		"before the handshake": {wire.Version2, "", func(s *Socket) { s.state = Connecting }, false},
		"a codec for pings":    {wire.Version1, "#2", func(s *Socket) { s.srv.coded.pong = []byte("x") }, false},
		"over the budget":      {wire.Version2, "", func(s *Socket) { s.srv.budget.Shard(0).Add(1 << 50) }, false},
		"a barrier":            {wire.Version2, "", func(s *Socket) { s.extend().batch.barrier = &barrier{pongs: 2} }, false},
		"a busy socket":        {wire.Version2, "", func(s *Socket) { s.mu.Lock() }, false},
		"raw middleware": {wire.Version2, "", func(s *Socket) {
			Use(s.srv, func(context.Context, *RawMessage) error { return nil })
		}, false},
		"raw messages that wait": {wire.Version2, "", func(s *Socket) { s.stats.raw.Add(1) }, false},
		"who listens to messages": {wire.Version2, "", func(s *Socket) {
			On(s, func(MessageEvent) {})
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, _ := lone(t, Config{})
				defer s.srv.wheel.Close()
				defer func() { // for what sheds
					s.srv.budget.Shard(0).Add(-int(s.srv.budget.Used()))
					time.Sleep(time.Minute)
				}()
				s.version = test.version
				s.turns.pings = 2
				if test.prepare != nil {
					test.prepare(s)
				}
				time.Sleep(time.Minute)
				if taken := (*connOwner)(s).TakeShort([]byte(test.text)); taken != test.taken {
					t.Fatalf("taken: %v", taken)
				}
				want := [3]int64{0, 0, 2}
				seen := moment(0)
				if test.taken {
					want = [3]int64{1, 1, 1}
					seen = s.srv.moment(time.Now())
				}
				if got := [3]int64{int64(s.stats.received.Load()), int64(s.stats.processed.Load()), int64(s.turns.pings)}; got != want {
					t.Errorf("received, processed, pings not answered: %v, want %v", got, want)
				}
				if s.lastSeenAt() != seen || s.ponged != test.taken {
					t.Errorf("seen at %v, want %v; ponged: %v", s.lastSeenAt(), seen, s.ponged)
				}
			})
		})
	}
}
