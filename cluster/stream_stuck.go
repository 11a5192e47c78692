package cluster

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// stuckTime is for how long a leader may say of one publication that a try before is in process, as it is
// not stored everywhere yet (JSStreamDuplicateMessageConflict). It takes milliseconds, or as long as
// the disks do. But a leader of NATS (2.15) that was deposed may keep the id of what it lost: when it
// leads again, it says so for as long as it knows ids (dedupWindow).
const stuckTime = 2 * time.Second

// stuck is what a node knows of a stream whose leader may do that.
type stuck struct {
	mu     sync.Mutex
	looked time.Time // when the node last looked at the leader
}

// look takes note of an answer about a publication, or that there was none. When all answers
// since a time, for stuckTime, said that a try before is in process, it makes another node lead the
// stream. It returns that time for the next answer, zero if this one did not say so.
func (x *stuck) look(ctx context.Context, n *Node, stream string, inProcess bool, since time.Time) time.Time {
	now := time.Now()
	switch {
	case !inProcess:
		return time.Time{}
	case since.IsZero():
		return now
	case now.Sub(since) >= stuckTime && x.due(now):
		ctx, cancel := context.WithTimeout(ctx, streamTimeout)
		defer cancel()
		if err := x.depose(ctx, n, stream, now.Sub(since)); err != nil {
			n.o.Logger.Debug("cluster: the node cannot ask for another leader", slog.String("stream", stream), slog.Any("error", err))
		}
	}
	return since
}

// due reports whether the node should look at the leader, which others may just have done.
func (x *stuck) due(now time.Time) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	if now.Sub(x.looked) < stuckTime {
		return false
	}
	x.looked = now
	return true
}

// depose makes another node lead a stream, unless this leader, which has stored nothing for so
// long, only waits for the copies.
func (x *stuck) depose(ctx context.Context, n *Node, stream string, waited time.Duration) error {
	s, err := n.js.Stream(ctx, stream)
	if err != nil {
		return err
	}
	info := s.CachedInfo()
	if info.Cluster == nil || !canStore(info.Cluster, waited) {
		return nil
	}
	n.o.Logger.Warn("cluster: the node asks for another leader of a stream, as this one does not store what it says is in process",
		slog.String("stream", stream), slog.String("leader", info.Cluster.Leader))
	return n.askStepDown(ctx, stream, "")
}
