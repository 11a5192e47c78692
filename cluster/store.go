package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// ErrNoStorage is the error of what needs storage on a node that has none: without
// Options.StoreDir, or with an outside NATS without JetStream.
var ErrNoStorage = errors.New("cluster: the node has no storage: it needs Options.StoreDir, or JetStream in an outside NATS")

// errStoreUsed is the error of a store that another node uses.
var errStoreUsed = errors.New("another node uses it")

// openStore creates a store directory and locks it. Two servers that write to one
// would destroy it, and NATS does not look.
func openStore(dir string) (unlock func(), err error) {
	if err = os.MkdirAll(dir, 0o700); err == nil {
		unlock, err = lockStore(filepath.Join(dir, "lock"))
	}
	if err != nil {
		return nil, fmt.Errorf("cluster: Options.StoreDir %s: %w", dir, err)
	}
	return unlock, nil
}

// A probe asks whether there is storage: the first for so long, the next ones for longer, with a
// pause between. A machine under load may answer none of the first.
const (
	probeTimeout = 300 * time.Millisecond
	probePause   = 20 * time.Millisecond
)

// Ready waits until the node has storage, or ctx ends. In a cluster that takes a
// majority of the nodes. It returns [ErrNoStorage] if there will be none.
func (n *Node) Ready(ctx context.Context) error {
	if n.o.URL == "" && n.o.StoreDir == "" {
		return ErrNoStorage
	}
	for wait := probeTimeout; ; wait = longer(wait) {
		probe, cancel := context.WithTimeout(ctx, wait)
		_, err := n.js.AccountInfo(probe)
		cancel()
		switch {
		case err == nil:
			return nil
		case errors.Is(err, jetstream.ErrJetStreamNotEnabled), errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount):
			if n.o.URL != "" {
				return ErrNoStorage
			}
		case errors.Is(err, nats.ErrConnectionClosed):
			return errClosed
		}
		select {
		case <-time.After(probePause):
		case <-ctx.Done():
			return fmt.Errorf("cluster: wait for storage: %w", ctx.Err())
		}
	}
}
