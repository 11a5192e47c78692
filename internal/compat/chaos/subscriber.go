package main

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/socketcluster-go/socketcluster/internal/compat/chaos/judge"
	"github.com/socketcluster-go/socketcluster/internal/sctest"
)

// subscriber follows channels, and recovers after each interruption. It keeps no more
// than the last position of each channel, and drops nothing: what comes twice is noted
// twice. But it asks again from where it was if the connection ends before the answer, which says
// what is lost, and then drops what it has had until that comes, as clients do.
type subscriber struct {
	r    *round
	name string
	node *node // it stays there; nil: anywhere
	last int   // with so many publications it begins a channel
	rng  *rand.Rand

	// stay is for how long it is connected, and away for how long it is not; nil: it is
	// always connected.
	stay, away func(*rand.Rand) time.Duration

	positions map[string]string // used by the reader of the connection, one after the other
	asked     map[string]string // what they were at the first request without an answer; the same
	ready     atomic.Bool       // it is subscribed to everything but what came later

	mu       sync.Mutex
	channels []string
	conn     *conn // nil without one
	later    int   // how many channels came later, on this connection, and are not answered
}

// run follows until ctx ends. Once calm is done, it stays connected.
func (s *subscriber) run(ctx, calm context.Context) {
	s.positions, s.asked = make(map[string]string), make(map[string]string)
	for ctx.Err() == nil {
		c := s.dial(ctx)
		if c == nil {
			return
		}
		stay := ctx
		if s.stay != nil && calm.Err() == nil {
			limited, cancel := context.WithTimeout(ctx, s.stay(s.rng))
			stay = limited
			defer cancel()
		}
		if s.subscribe(stay, c) {
			s.ready.Store(true)
			select {
			case <-c.done:
			case <-stay.Done():
			}
		}
		s.ready.Store(false)
		c.close()
		s.r.diary.add(judge.Event{Kind: judge.Ended, Who: s.name, Node: c.node})
		if s.away != nil {
			_ = pause(calm, s.away(s.rng))
		}
	}
}

func (s *subscriber) dial(ctx context.Context) *conn {
	if s.node == nil {
		return s.r.dialAny(ctx, s.rng, s.event)
	}
	for ctx.Err() == nil {
		if c, err := dial(ctx, s.node, "", s.event); err == nil {
			return c
		}
		_ = pause(ctx, 50*time.Millisecond)
	}
	return nil
}

// answer is that to a subscription, or a report of a loss.
type answer struct {
	Channel  string `json:"channel"` // in a report of a loss
	Position string `json:"position"`
	Lost     *struct {
		From uint64 `json:"from"`
		To   uint64 `json:"to"`
	} `json:"lost"`
}

// subscribe subscribes to all channels. It reports whether that succeeded.
func (s *subscriber) subscribe(ctx context.Context, c *conn) bool {
	s.mu.Lock()
	channels := s.channels[:len(s.channels):len(s.channels)]
	since := make([]string, len(channels))
	for i, channel := range channels {
		if s.asked[channel] == "" {
			s.asked[channel] = s.positions[channel]
		}
		since[i] = s.asked[channel]
	}
	s.conn, s.later = c, 0
	s.mu.Unlock()
	// From now on, positions belong to the reader of the connection.
	answers := make(chan bool, len(channels))
	for i, channel := range channels {
		if s.ask(c, channel, since[i], func(ok bool) { answers <- ok }) != nil {
			return false
		}
	}
	for range channels {
		select {
		case ok := <-answers:
			if !ok {
				return false
			}
		case <-c.done:
			return false
		case <-ctx.Done():
			return false
		}
	}
	return true
}

// ask asks for a channel since a position, or from the beginning if there is none. answered
// is called with whether that succeeded.
func (s *subscriber) ask(c *conn, channel, since string, answered func(ok bool)) error {
	data := map[string]any{"channel": channel}
	switch {
	case since != "":
		data["since"] = since
	case s.last > 0:
		data["last"] = s.last
	}
	return c.start("#subscribe", data, func(p sctest.Packet) { answered(s.subscribed(c, channel, since, p)) })
}

// join subscribes to another channel, now or when there is a connection. If that fails, the
// connection ends, and everything is tried again on the next one.
func (s *subscriber) join(channel string) {
	s.mu.Lock()
	s.channels = append(s.channels, channel)
	c := s.conn
	s.later++
	s.mu.Unlock()
	if c == nil {
		return
	}
	_ = s.ask(c, channel, "", func(ok bool) { // if it fails, the connection has ended
		if !ok {
			c.ws.Close()
			return
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.conn == c {
			s.later--
		}
	})
}

// there reports whether it is subscribed to everything.
func (s *subscriber) there() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ready.Load() && s.later == 0
}

// subscribed handles the answer to a subscription since a position. What was missed has come
// before it.
func (s *subscriber) subscribed(c *conn, channel, since string, p sctest.Packet) bool {
	if p.Error != nil {
		return false
	}
	var a answer
	if len(p.Data) > 0 && json.Unmarshal(p.Data, &a) != nil {
		return false
	}
	delete(s.asked, channel)
	s.lost(c, channel, a)
	s.move(channel, a.Position, a.Lost != nil && s.positions[channel] == since)
	s.r.diary.add(judge.Event{Kind: judge.Subscribed, Who: s.name, Node: c.node, Channel: channel, Position: a.Position, Last: s.last})
	return true
}

// lost notes what is lost, if something is.
func (s *subscriber) lost(c *conn, channel string, a answer) {
	if a.Lost != nil {
		s.r.diary.add(judge.Event{Kind: judge.Lost, Who: s.name, Node: c.node, Channel: channel, Position: a.Position, From: a.Lost.From, To: a.Lost.To})
	}
}

// event handles a publication, or a report of a loss.
func (s *subscriber) event(c *conn, p sctest.Packet) {
	if p.Event == "#lost" {
		var a answer
		if json.Unmarshal(p.Data, &a) == nil {
			s.lost(c, a.Channel, a)
			s.move(a.Channel, a.Position, true)
		}
		return
	}
	if p.Event != "#publish" {
		return
	}
	e, ok := parseChannelEvent(p)
	if !ok {
		return
	}
	asked := s.asked[e.Channel]
	if moved := s.move(e.Channel, e.Position, false); !moved && asked != "" && asked != s.positions[e.Channel] {
		return
	}
	s.r.diary.add(judge.Event{Kind: judge.Got, Who: s.name, Node: c.node, Channel: e.Channel, Publisher: e.Data.P, N: e.Data.N, Position: e.Position})
}

// move takes a position over if it is newer, or in any case, and reports whether it did.
func (s *subscriber) move(channel, position string, always bool) bool {
	now, ok := judge.ParsePosition(position)
	before, known := judge.ParsePosition(s.positions[channel])
	if ok && (always || !known || now.Newer(before)) {
		s.positions[channel] = position
		return true
	}
	return false
}
