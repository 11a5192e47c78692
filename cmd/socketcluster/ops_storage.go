package main

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/socketcluster-go/socketcluster/cluster"
)

// storageGrace is for how long a node may have no storage before it is not ready any
// more. During an election, which takes up to 8 seconds, no node has it, and all would
// lose their clients at once.
const storageGrace = 10 * time.Second

// storageProbe is the time that the storage has to answer.
const storageProbe = time.Second

// storage looks whether the storage of a node is there.
type storage struct {
	node *cluster.Node

	mu      sync.Mutex
	seen    bool
	missing time.Time // since when; zero: it is there
}

// had says that the storage has been there.
func (s *storage) had() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen = true
}

// check returns the error of a node that waits for its storage, or has not had it for
// longer than storageGrace. A node that should have none is ready.
func (s *storage) check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, storageProbe)
	defer cancel()
	err := s.node.Ready(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	switch {
	case err == nil || errors.Is(err, cluster.ErrNoStorage):
		s.seen, s.missing = true, time.Time{}
		return nil
	case s.missing.IsZero():
		s.missing = now
	}
	if s.seen && now.Sub(s.missing) < storageGrace {
		return nil
	}
	return err
}
