package socketcluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/socketcluster-go/socketcluster/broker"
	"github.com/socketcluster-go/socketcluster/internal/guard"
	"github.com/socketcluster-go/socketcluster/internal/hub"
	"github.com/socketcluster-go/socketcluster/wire"
)

// ErrNoHistory is the error of Exchange.History for a broker that keeps nothing.
var ErrNoHistory = errors.New("socketcluster: the broker keeps no publications")

// History returns the last publications of a channel, oldest first, count of them if
// there are so many. All that were acknowledged before the call are taken into account.
// It fails if the broker or the channel keeps nothing.
func (x *Exchange) History(ctx context.Context, channel string, count int) (past broker.Past, err error) {
	h, ok := x.srv.cfg.Broker.(broker.Historian)
	if !ok {
		return broker.Past{}, ErrNoHistory
	}
	err = guard.Call(x.srv.log, "Broker.History", func() error {
		past, err = h.History(ctx, channel, count)
		return err
	}, slog.String("channel", channel))
	return past, err
}

// LostError is the error of a loop of [Messages] in the place of publications that will
// not come: the channel does not keep them any more, or this node was too slow.
type LostError struct {
	Channel  string
	From, To uint64 // the numbers of the first and the last one; both 0 if that is not known
	Position string // where the channel is, "" if it keeps nothing
}

// Error implements error.
func (e *LostError) Error() string {
	if e.To == 0 {
		return fmt.Sprintf("socketcluster: publications on the channel %s are lost", e.Channel)
	}
	return fmt.Sprintf("socketcluster: publications on the channel %s are lost, from %d to %d", e.Channel, e.From, e.To)
}

// Lose implements broker.PositionSink: it reports to the subscribers on this node what
// will not come, behind what they have got before.
func (x *sink) Lose(channel, position string, lost broker.Lost) {
	if !x.srv.hub.Has(channel) {
		return
	}
	p := (*Exchange)(x).report(channel, position, lost)
	x.srv.hub.Publish(p)
	p.Shared.Settle()
}

// report returns the report of what will not come, in the form of a publication.
func (x *Exchange) report(channel, position string, lost broker.Lost) *hub.Publication {
	p := &hub.Publication{Channel: channel, Position: position, Lost: &lost}
	return x.complete(p, lostPacket(channel, position, lost), 0)
}

// lostError returns the error for a report.
func lostError(p *hub.Publication) error {
	return &LostError{Channel: p.Channel, From: p.Lost.From, To: p.Lost.To, Position: p.Position}
}

// publicationCost is what a publication takes in the outbox besides channel and data.
const publicationCost = 160

// fitting drops the oldest publications if all would not leave room in an outbox: the
// client would be ended as too slow. It counts them as lost.
func fitting(channel string, past broker.Past, limit int) broker.Past {
	size, i := 0, len(past.Publications)
	for i > 0 {
		size += len(past.Publications[i-1].Data) + len(channel) + publicationCost
		if size > limit {
			break
		}
		i--
	}
	if i > 0 {
		past.Begin = past.Publications[i-1].Position
		past.Publications, past.Lost = past.Publications[i:], &broker.Lost{}
	}
	return past
}

// pastAnswer returns the answer to a subscription: the position after which the client gets
// everything, and what it has missed and will not get. What it gets of the past may arrive before the
// answer or, if the token changes meanwhile, behind it: so the position is not that of the
// last publication. Or the answer to a publication: where it is stored. It is nil for a
// channel that keeps nothing.
func pastAnswer(past broker.Past) ([]byte, error) {
	if past.Begin == "" {
		return nil, nil
	}
	return wire.Marshal(struct {
		Position string       `json:"position"`
		Lost     *broker.Lost `json:"lost,omitempty"`
	}{past.Begin, past.Lost})
}

// note remembers up to where a client has got a channel, in case that the subscription is
// suspended. mu must be held.
func (s *Socket) note(channel, position string, including bool) {
	if position == "" || s.ext == nil {
		return
	}
	if o, ok := s.ext.options[channel]; ok && o.waitForAuth {
		o.from = broker.From{Since: position, Including: including}
		s.ext.options[channel] = o
	}
}
