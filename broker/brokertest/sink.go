package brokertest

import (
	"encoding/json"
	"fmt"
	"reflect"
	"sync"
	"time"
)

// nothing stands for a publication without data, in what a sink has received.
const nothing = "nothing"

// noise is the data of publications that sinks do not keep.
const noise = `"noise"`

// sink keeps what a node receives.
type sink struct {
	mu       sync.Mutex
	received map[string][]string
	changed  chan struct{} // closed at the next publication; nil if nobody waits
	panicsAt string        // a publication with this data makes it panic
}

// Deliver implements [broker.Sink].
func (s *sink) Deliver(channel string, data []byte) {
	text := nothing
	if data != nil {
		text = string(data)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.panicsAt != "" && text == s.panicsAt {
		panic("the sink panics, as this check makes it do")
	}
	if text == noise {
		return
	}
	if s.received == nil {
		s.received = make(map[string][]string)
	}
	s.received[channel] = append(s.received[channel], text)
	if s.changed != nil {
		close(s.changed)
		s.changed = nil
	}
}

// await waits until enough has been received on a channel, for at most limit. It
// returns what has been received.
func (s *sink) await(channel string, enough func(got []string) bool) []string {
	late := time.NewTimer(limit)
	defer late.Stop()
	for {
		s.mu.Lock()
		got := s.received[channel]
		if enough(got) {
			s.mu.Unlock()
			return got
		}
		if s.changed == nil {
			s.changed = make(chan struct{})
		}
		changed := s.changed
		s.mu.Unlock()
		select {
		case <-changed:
		case <-late.C:
			return got
		}
	}
}

// forget drops what has been received.
func (s *sink) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.received = nil
}

// channels returns the names of the channels on which something has been received.
func (s *sink) channels() (names []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name := range s.received {
		names = append(names, name)
	}
	return names
}

// different says how publications differ from those that should have come, or
// returns "". Data is compared as JSON values.
func different(got, want []string) string {
	for i := range min(len(got), len(want)) {
		if !same(got[i], want[i]) {
			return fmt.Sprintf("%.80s as number %d of %d, want %.80s as number %d of %d", got[i], i, len(got), want[i], i, len(want))
		}
	}
	if len(got) != len(want) {
		return fmt.Sprintf("%d publications, want %d", len(got), len(want))
	}
	return ""
}

// same compares the data of two publications.
func same(a, b string) bool {
	if a == b {
		return true
	}
	var values [2]any
	for i, text := range []string{a, b} {
		if text == nothing || json.Unmarshal([]byte(text), &values[i]) != nil {
			return false
		}
	}
	return reflect.DeepEqual(values[0], values[1])
}
