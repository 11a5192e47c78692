package upstream

import (
	"log/slog"
	"sync"
	"time"

	"github.com/socketcluster-go/socketcluster/broker"
	"github.com/socketcluster-go/socketcluster/internal/guard"
)

// Gap is a time in which the clients of the node may miss publications.
type Gap struct {
	// Channel is the channel, or "" for all channels.
	Channel string

	// From is the earliest time, by the clock of this machine, at which something
	// was published that has not arrived. As the loss of a connection may be noticed late, it
	// lies before that by the ping timeout that the upstream server has announced,
	// but not before the connection began.
	From time.Time

	// To is when publications were known to arrive again. It is zero in the first
	// of the two reports.
	To time.Time

	// Cause is why: a *[wire.Error] with the close code for a connection, a refusal
	// of the upstream server, or a *[client.KickOutError].
	Cause error
}

// lossFrom returns the From of a loss that is noticed now. mu must be held.
func (b *Broker) lossFrom() time.Time {
	from := time.Now().Add(-b.ping)
	if from.Before(b.connected) {
		return b.connected
	}
	return from
}

// miss counts a channel among those that must be renewed before the gap of all
// channels ends. mu must be held.
func (b *Broker) miss(ch *channel) {
	if !ch.missing {
		ch.missing = true
		b.missing++
	}
}

// renewed is the opposite of miss. mu must be held.
func (b *Broker) renewed(ch *channel) {
	if ch.missing {
		ch.missing = false
		b.missing--
	}
	b.settle()
}

// settle ends the gap of all channels if it is over. mu must be held.
func (b *Broker) settle() {
	select {
	case <-b.ready:
	default:
		return
	}
	if b.gap != nil && b.missing == 0 {
		b.gap.To = time.Now()
		b.report(*b.gap)
		b.gap = nil
	}
}

// confirmed takes note of a subscription that the upstream server has confirmed.
func (b *Broker) confirmed(name string) {
	if first := b.found(name); first != nil {
		first()
	}
}

// found is confirmed, and returns the function of the request if that ends a gap of the
// channel.
func (b *Broker) found(name string) (first func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	ch := b.channels[name]
	if ch == nil {
		return nil
	}
	if ch.gap != nil && ch.sub.Err() == nil {
		ch.gap.To = time.Now()
		b.report(*ch.gap)
		ch.gap = nil
		first = ch.first
	}
	b.renewed(ch)
	return first
}

// losing returns a function that tells once what is lost as the upstream server had ended
// the subscription to a channel.
func (b *Broker) losing(name string) func() {
	var once sync.Once // and not OnceFunc, which repeats a panic of the sink
	return func() { once.Do(func() { b.lose(name, broker.Lost{}) }) }
}

// endedLater is ended for an event.
func (b *Broker) endedLater(name string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ended(name)
}

// ended begins a gap if the upstream server has ended the subscription to a channel, and
// sees to it that it is asked again. mu must be held.
func (b *Broker) ended(name string) {
	ch := b.channels[name]
	if b.closed || ch == nil || !ch.joined || ch.sub.Err() == nil {
		return
	}
	if ch.gap == nil {
		ch.gap = &Gap{Channel: name, From: b.lossFrom(), Cause: ch.sub.Err()}
		if ch.missing {
			ch.gap.From = b.gap.From
		}
		b.report(*ch.gap)
	}
	b.renewed(ch)
	if b.again == nil {
		b.again = time.AfterFunc(delay(b.asked), func() {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.askAgain()
		})
		b.asked++
	}
}

// askAgain requests the channels whose subscriptions have ended, unless the client is not
// logged in: the next login does so. mu must be held.
func (b *Broker) askAgain() {
	if b.again != nil {
		b.again.Stop()
		b.again = nil
	}
	select {
	case <-b.ready:
	default:
		return
	}
	if b.closed {
		return
	}
	for name, ch := range b.channels {
		if ch.gap != nil && ch.sub.Err() != nil {
			_ = b.request(name, ch, b.losing(name)) // fails if the client is closed
		}
	}
}

// report logs a gap and passes it to OnGap. mu must be held, so that reports have
// the order of what they report.
func (b *Broker) report(g Gap) { b.reports.Push(g, (*reporter)(b)) }

// reporter calls OnGap.
type reporter Broker

// Handle implements lane.Handler.
func (r *reporter) Handle(g Gap) {
	channel := slog.String("channel", g.Channel)
	if g.Channel == "" {
		channel = slog.Bool("all", true)
	}
	if g.To.IsZero() {
		r.log.Warn("publications of the upstream server may be missed", channel, slog.Time("from", g.From), slog.Any("error", g.Cause))
	} else {
		r.log.Info("publications of the upstream server arrive again", channel, slog.Time("from", g.From), slog.Time("to", g.To))
	}
	if r.opts.OnGap == nil {
		return
	}
	_ = guard.Call(r.log, "upstream.Options.OnGap", func() error {
		r.opts.OnGap(g)
		return nil
	})
}
