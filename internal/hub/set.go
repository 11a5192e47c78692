package hub

import "iter"

// Set has the subscriptions of one subscriber, one for each channel. It has no
// lock. Most subscribers have few subscriptions, for which a slice is smaller
// than a map and as fast.
type Set struct {
	few  []*Subscription
	many map[string]*Subscription // replaces few above fewSubscriptions
}

const fewSubscriptions = 16

// Get returns the subscription to a channel, or nil.
func (s *Set) Get(channel string) *Subscription {
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

// Add adds a subscription to a channel that is not in the set.
func (s *Set) Add(sub *Subscription) {
	if s.many == nil && len(s.few) == fewSubscriptions {
		s.many = make(map[string]*Subscription, 2*fewSubscriptions)
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

// Remove removes the subscription to a channel, if there is one.
func (s *Set) Remove(channel string) {
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

// Len returns the number of subscriptions.
func (s *Set) Len() int { return len(s.few) + len(s.many) }

// All yields the subscriptions, in no particular order.
func (s *Set) All() iter.Seq[*Subscription] {
	return func(yield func(*Subscription) bool) {
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

// Names returns the channels, in no particular order.
func (s *Set) Names() []string {
	names := make([]string, 0, s.Len())
	for _, sub := range s.few {
		names = append(names, sub.Channel())
	}
	for name := range s.many {
		names = append(names, name)
	}
	return names
}
