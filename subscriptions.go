package socketcluster

import (
	"iter"

	"github.com/socketcluster-go/socketcluster/internal/hub"
)

// subscriptions is the set of a socket's subscriptions by channel. Most
// sockets have a few, for which a slice is smaller than a map and as fast.
type subscriptions struct {
	few  []*hub.Subscription
	many map[string]*hub.Subscription // instead of few beyond fewSubscriptions
}

const fewSubscriptions = 16

func (s *subscriptions) get(channel string) *hub.Subscription {
	if s.many != nil {
		return s.many[channel]
	}
	for _, sub := range s.few {
		if sub.Channel() == channel {
			return sub
		}
	}
	return nil
}

// add adds a subscription to a channel that is not in the set.
func (s *subscriptions) add(sub *hub.Subscription) {
	if s.many == nil && len(s.few) == fewSubscriptions {
		s.many = make(map[string]*hub.Subscription, 2*fewSubscriptions)
		for _, sub := range s.few {
			s.many[sub.Channel()] = sub
		}
		s.few = nil
	}
	if s.many != nil {
		s.many[sub.Channel()] = sub
		return
	}
	s.few = append(s.few, sub)
}

func (s *subscriptions) remove(channel string) {
	if s.many != nil {
		delete(s.many, channel)
		return
	}
	for i, sub := range s.few {
		if sub.Channel() == channel {
			last := len(s.few) - 1
			s.few[i] = s.few[last]
			s.few[last] = nil
			s.few = s.few[:last]
			return
		}
	}
}

func (s *subscriptions) len() int { return len(s.few) + len(s.many) }

// all yields the subscriptions, in no order.
func (s *subscriptions) all() iter.Seq[*hub.Subscription] {
	return func(yield func(*hub.Subscription) bool) {
		for _, sub := range s.few {
			if !yield(sub) {
				return
			}
		}
		for _, sub := range s.many {
			if !yield(sub) {
				return
			}
		}
	}
}

func (s *subscriptions) names() []string {
	names := make([]string, 0, s.len())
	for _, sub := range s.few {
		names = append(names, sub.Channel())
	}
	for name := range s.many {
		names = append(names, name)
	}
	return names
}
