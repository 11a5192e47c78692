package cluster

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// ErrNoStorage is the error of what needs storage on a node that has none: without
// Options.StoreDir, or with an outside NATS without JetStream.
var ErrNoStorage = errors.New("cluster: the node has no storage: it needs Options.StoreDir, or JetStream in an outside NATS")

// errStoreUsed is the error of a store that another node uses.
var errStoreUsed = errors.New("another node uses it")

// A node that is alone stores in one folder of its StoreDir, and a node of a cluster in another
// one. NATS would take what a node stored alone for a copy of what the others have, which it is not.
const (
	storeAlone   = "alone"
	storeCluster = "cluster"
)

// A store is tried to be locked for so long, with such a pause: the process that had it may just be
// ending.
const (
	lockTimeout = 2 * time.Second
	lockPause   = 20 * time.Millisecond
)

// openStore creates the folder in which a node stores, and locks it. Two servers that write to one
// would destroy it, and NATS does not look.
func openStore(o *Options) (dir string, unlock func(), err error) {
	folder, other := storeAlone, storeCluster
	if o.Listen != "" {
		folder, other = other, folder
	}
	dir = filepath.Join(o.StoreDir, folder)
	if err = os.MkdirAll(dir, 0o700); err == nil {
		for begun := time.Now(); ; time.Sleep(lockPause) {
			unlock, err = lockStore(filepath.Join(o.StoreDir, "lock"))
			if !errors.Is(err, errStoreUsed) || time.Since(begun) >= lockTimeout {
				break
			}
		}
	}
	if err == nil {
		if err = checkOther(o, folder, other); err != nil {
			unlock()
		}
	}
	if err != nil {
		return "", nil, fmt.Errorf("cluster: Options.StoreDir %s: %w", o.StoreDir, err)
	}
	return dir, unlock, nil
}

// checkOther refuses a store with revocations of the other kind of node: they would not be in force.
// Histories of it stay behind, and subscribers are told.
func checkOther(o *Options, folder, other string) error {
	left := filepath.Join(o.StoreDir, other, server.JetStreamStoreDir, streamAccount, "streams")
	old, err := exists(filepath.Join(o.StoreDir, server.JetStreamStoreDir))
	if err != nil {
		return err
	}
	if old {
		return fmt.Errorf("the folder %q is of a version that did not tell nodes of a cluster from one that is alone: move it into a folder %q if it is of a cluster, or %q if it is of a node that was alone",
			server.JetStreamStoreDir, storeCluster, storeAlone)
	}
	revocations, err := exists(filepath.Join(left, o.Prefix+"-revocations"))
	if err != nil {
		return err
	}
	if revocations {
		return fmt.Errorf("the folder %q may have revocations, and a node that stores in %q (by Options.Listen) does not take them along: their tokens would be good again. "+
			"Remove the folder %q once these tokens have expired, or with a new key for tokens", other, folder, other)
	}
	histories, err := exists(left)
	if histories {
		o.Logger.Warn("cluster: histories begin anew: by Options.Listen, the node stores in another folder than before", slog.String("before", other), slog.String("now", folder))
	}
	return err
}

// exists reports whether there is a file or folder.
func exists(path string) (bool, error) {
	switch _, err := os.Stat(path); {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	default:
		return err == nil, err
	}
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
