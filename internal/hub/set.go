package hub

import "iter"

// Set has the subscriptions of one subscriber, one for each channel. It has no
// lock. Most subscribers have one subscription, or few, for which a slice is
// smaller than a map and as fast.
type Set struct {
	one  *Subscription // if there is one
	more *several      // if there were more since the set was empty; then it has all
}

// several has the subscriptions of a set that has had more than one.
type several struct {
	few  []*Subscription
	many map[string]*Subscription // replaces few above fewSubscriptions
}

const fewSubscriptions = 16

// Get returns the subscription to a channel, or nil.
func (s *Set) Get(channel string) *Subscription {
	switch {
	case s.more != nil:
		return s.more.get(channel)
	case s.one != nil && s.one.Channel() == channel:
		return s.one
	}
	return nil
}

// Add adds a subscription to a channel that is not in the set.
func (s *Set) Add(sub *Subscription) {
	switch {
	case s.more != nil:
		s.more.add(sub)
	case s.one == nil:
		s.one = sub
	default:
		s.more = &several{few: []*Subscription{s.one, sub}}
		s.one = nil
	}
}

// Remove removes the subscription to a channel, if there is one.
func (s *Set) Remove(channel string) {
	switch {
	case s.more != nil:
		if s.more.remove(channel); s.more.len() == 0 {
			s.more = nil
		}
	case s.one != nil && s.one.Channel() == channel:
		s.one = nil
	}
}

// Len returns the number of subscriptions.
func (s *Set) Len() int {
	switch {
	case s.more != nil:
		return s.more.len()
	case s.one != nil:
		return 1
	}
	return 0
}

// All yields the subscriptions, in no particular order.
func (s *Set) All() iter.Seq[*Subscription] {
	return func(yield func(*Subscription) bool) {
		if s.one != nil {
			yield(s.one)
			return
		}
		if s.more == nil {
			return
		}
		for _, sub := range s.more.few {
			if !yield(sub) {
				return
			}
		}
		for _, sub := range s.more.many {
			if !yield(sub) {
				return
			}
		}
	}
}

// Names returns the channels, in no particular order.
func (s *Set) Names() []string {
	names := make([]string, 0, s.Len())
	for sub := range s.All() {
		names = append(names, sub.Channel())
	}
	return names
}

func (s *several) len() int { return len(s.few) + len(s.many) }

func (s *several) get(channel string) *Subscription {
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

func (s *several) add(sub *Subscription) {
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

func (s *several) remove(channel string) {
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
