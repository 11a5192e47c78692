package hub

import "sync"

// mapKeep is the size below which a map of channels is not worth shrinking.
const mapKeep = 64

// shard is the part of the channels that share a lock.
type shard struct {
	mu     sync.RWMutex
	topics map[string]*topic
	peak   int // most entries since the map was made: Go maps never shrink
}

func (s *shard) find(name string) *topic {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.topics[name]
}

// obtain returns the topic of that name, and makes it if there is none.
func (s *shard) obtain(name string) *topic {
	if t := s.find(name); t != nil {
		return t
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.topics[name]; t != nil {
		return t
	}
	if s.topics == nil {
		s.topics = make(map[string]*topic)
	}
	t := &topic{name: name}
	s.topics[name] = t
	s.peak = max(s.peak, len(s.topics))
	return t
}

// remove removes a closed topic, unless another one has taken its place.
func (s *shard) remove(t *topic) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.topics[t.name] != t {
		return
	}
	delete(s.topics, t.name)
	switch n := len(s.topics); {
	case n == 0:
		s.topics, s.peak = nil, 0
	case s.peak > mapKeep && n <= s.peak/4:
		smaller := make(map[string]*topic, n)
		for name, t := range s.topics {
			smaller[name] = t
		}
		s.topics, s.peak = smaller, n
	}
}

func (s *shard) appendNames(names []string) []string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for name := range s.topics {
		names = append(names, name)
	}
	return names
}
