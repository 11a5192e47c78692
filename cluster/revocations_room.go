package cluster

import (
	"errors"
	"fmt"

	"github.com/socketcluster-go/socketcluster/auth/revoke"
)

// The marks of the nodes are in the stream of revocations, so it must never be full: NATS
// would refuse marks, and all nodes would be cut off. So the nodes keep the limit, and the
// stream has room for more.

// most returns the most messages of the stream, and the most revocations that a node takes
// from it.
func most(limit int) int { return 2 * limit }

// room returns the error of a revocation for which the cluster has no room. It does not
// block.
//
// This node has each revocation as soon as it is stored. Of the messages, which stay for
// ttlMargin longer, it has counted what the stream had up to keepEvery ago. So nodes that
// add at the same time may exceed the limit, by far less than the stream has room for: what
// they add within keepEvery must be less than half of the limit.
func (rv *Revocations) room(r revoke.Revocation) error {
	err := rv.memory.Room(r, rv.limit)
	if _, held := rv.memory.Held(r); err == nil && !held && rv.stored.Load() >= uint64(rv.limit+rv.limit/2) {
		err = revoke.ErrFull
	}
	if errors.Is(err, revoke.ErrFull) {
		err = fmt.Errorf("%w: the cluster has %d revocations, in %d messages; the limit is %d (revoke.DefaultLimit)",
			err, rv.memory.Len(), rv.stored.Load(), rv.limit)
	}
	return err
}
