package main

import (
	"maps"
	"slices"
	"sync"
	"time"
)

// sessions lists the devices of each user, in place of a table in a database.
// It need be complete only for users who keep the device that requests a
// logout.
type sessions struct {
	mu     sync.Mutex
	byUser map[string]map[string]time.Time // when each session began
}

func newSessions() *sessions {
	return &sessions{byUser: make(map[string]map[string]time.Time)}
}

// add adds a session, and removes those whose tokens have expired.
func (s *sessions) add(user, session string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	began := s.byUser[user]
	if began == nil {
		began = make(map[string]time.Time)
		s.byUser[user] = began
	}
	maps.DeleteFunc(began, func(_ string, t time.Time) bool { return now.Sub(t) > life })
	began[session] = now
}

func (s *sessions) remove(user, session string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.byUser[user], session)
}

func (s *sessions) removeAll(user string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.byUser, user)
}

// others returns all sessions of a user except one.
func (s *sessions) others(user, session string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := slices.Collect(maps.Keys(s.byUser[user]))
	return slices.DeleteFunc(all, func(one string) bool { return one == session })
}

// times returns the times when the sessions of a user began, the oldest first.
func (s *sessions) times(user string) []time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.SortedFunc(maps.Values(s.byUser[user]), time.Time.Compare)
}
