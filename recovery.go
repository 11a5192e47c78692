package socketcluster

import (
	"context"
	"errors"
	"log/slog"

	"github.com/socketcluster-go/socketcluster/broker"
	"github.com/socketcluster-go/socketcluster/internal/guard"
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
		past.Publications, past.Lost = past.Publications[i:], &broker.Lost{}
	}
	return past
}

// appendPast appends the answer to a subscription: where the channel is, and what the
// client has missed and will not get; or to a publication: where it is stored. It is nil
// for a channel that keeps nothing.
func appendPast(past broker.Past) ([]byte, error) {
	if past.Position == "" {
		return nil, nil
	}
	return wire.Marshal(struct {
		Position string       `json:"position"`
		Lost     *broker.Lost `json:"lost,omitempty"`
	}{past.Position, past.Lost})
}
