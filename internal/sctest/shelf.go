package sctest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/socketcluster-go/socketcluster/broker"
)

// Shelf is a broker whose channels keep their last publications, in memory, also when the
// server ends that uses it.
type Shelf struct {
	// Sink is that of the server that was started last.
	Sink broker.PositionSink

	// Limit is how many publications of each channel it keeps.
	Limit int

	form string
	mu   sync.Mutex
	all  map[string][]broker.Publication
}

// NewShelf returns a shelf that keeps so many publications of each channel. The positions
// are the numbers of the publications, from 1 on, in a form of package fmt.
func NewShelf(limit int, form string) *Shelf {
	return &Shelf{Limit: limit, form: form, all: make(map[string][]broker.Publication)}
}

// Position returns the position of a publication.
func (k *Shelf) Position(number int) string { return fmt.Sprintf(k.form, number) }

// Start implements broker.Broker.
func (k *Shelf) Start(_ context.Context, sink broker.Sink) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.Sink = sink.(broker.PositionSink)
	return nil
}

// Publish implements broker.Broker.
func (k *Shelf) Publish(_ context.Context, channel string, data []byte) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	p := broker.Publication{Position: k.Position(len(k.all[channel]) + 1), Data: slices.Clone(data)}
	k.all[channel] = append(k.all[channel], p)
	k.Sink.DeliverAt(channel, p.Position, p.Data)
	return nil
}

// Keeps implements broker.Historian: it keeps all channels.
func (k *Shelf) Keeps(string) bool { return true }

// PublishOnce implements broker.Historian, without ids.
func (k *Shelf) PublishOnce(ctx context.Context, channel, _ string, data []byte) (string, error) {
	return "", k.Publish(ctx, channel, data)
}

// Subscribe implements broker.Broker.
func (k *Shelf) Subscribe(context.Context, string) error { return nil }

// Unsubscribe implements broker.Broker.
func (k *Shelf) Unsubscribe(context.Context, string) error { return nil }

// Close implements broker.Broker.
func (k *Shelf) Close() error { return nil }

// Join implements broker.Historian.
func (k *Shelf) Join(_ context.Context, channel string, from broker.From, enter func(broker.Past)) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	end := len(k.all[channel])
	begin := end - min(end, from.Last)
	if from.Since != "" {
		if _, err := fmt.Sscanf(from.Since, k.form, &begin); err != nil {
			return err
		}
		if from.Including {
			begin--
		}
	}
	past := broker.Past{Position: k.Position(end)}
	if first := max(0, end-k.Limit); begin < first {
		past.Lost = &broker.Lost{From: uint64(begin + 1), To: uint64(first)}
		begin = first
	}
	past.Begin, past.Publications = k.Position(begin), k.all[channel][begin:]
	enter(past)
	return nil
}

// History implements broker.Historian.
func (k *Shelf) History(context.Context, string, int) (broker.Past, error) {
	return broker.Past{}, errors.New("sctest: a shelf is only joined")
}
