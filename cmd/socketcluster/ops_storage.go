package main

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/socketcluster-go/socketcluster/cluster"
)

// storageProbe is the time that the storage has to answer.
const storageProbe = time.Second

// errNoStorageYet is the error of a node whose storage has not been there yet.
var errNoStorageYet = errors.New("starting: wait for storage")

// storage looks whether the storage of a node has been there. Once it was, the node stays
// ready without it: plain channels, presence and calls go on, and the load balancer has no
// better node when a majority of them is gone.
type storage struct {
	node *cluster.Node
	seen atomic.Bool
}

// check returns the error of a node that waits for its first storage. A node that should
// have none is ready.
func (s *storage) check(ctx context.Context) error {
	if s.seen.Load() {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, storageProbe)
	defer cancel()
	if err := s.node.Ready(ctx); err != nil && !errors.Is(err, cluster.ErrNoStorage) {
		return errNoStorageYet
	}
	s.seen.Store(true)
	return nil
}
