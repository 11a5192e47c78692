package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"
)

// Histories with one number of copies are in so many streams. A stream or a key for each channel would cost far
// more.
const numShards = 8

// defaultCopies is how many nodes store each publication, if there are so many and its rule says
// nothing else, and each revocation. With three, one may be lost.
const defaultCopies = 3

// dedupWindow is for how long NATS knows the ids of publications.
const dedupWindow = 2 * time.Minute

// maxInFlight is how many publications of a node to one stream wait for their
// acknowledgements at the same time. If a leader is cut off, those in flight are in its copy
// only, and NATS takes seconds for each to take it out again (leadership.standAside).
const maxInFlight = 8

// maxReads is how many channels of a shard a node reads at the same time.
const maxReads = 4

// shard is a stream with the histories of some channels.
type shard struct {
	stream   string
	subjects string // what the subjects of its channels begin with
	copies   int    // if there are so many nodes
	inFlight chan struct{}
	reads    chan struct{} // limits how many of its channels are read at the same time
	opened   chan struct{} // closed when the stream is there
	look     chan struct{} // live publications may have been lost
	changed  chan struct{} // the stream may be another one, or there may be more nodes
	stuck    stuck

	// Up to tail, followers have been compared with the stream of tailEpoch, seen is its
	// state after that, and compared is when that was; only for history.watch.
	tail      uint64
	tailEpoch string
	seen      streamState
	compared  time.Time // zero if nobody was compared

	mu      sync.Mutex
	epoch   string
	term    context.Context // see newTerm
	endTerm context.CancelFunc
}

// newShards returns the shards of histories with a number of copies.
func (n *Node) newShards(copies int) []*shard {
	all := make([]*shard, numShards)
	which := ""
	if copies != defaultCopies {
		which = strconv.Itoa(copies)
	}
	for i := range all {
		number := strconv.Itoa(i)
		all[i] = &shard{
			stream:   n.o.Prefix + "_history" + which + "_" + number,
			subjects: n.subject("h" + which + "." + number + "."),
			copies:   copies,
			inFlight: make(chan struct{}, maxInFlight),
			reads:    make(chan struct{}, maxReads),
			opened:   make(chan struct{}),
			look:     make(chan struct{}, 1),
			changed:  make(chan struct{}, 1),
		}
		all[i].term, all[i].endTerm = context.WithCancel(context.Background())
	}
	return all
}

// shardOf returns the shard of a channel for which the rule is. All nodes agree on it.
func (r *historyRule) shardOf(channel string) *shard { return r.shards[shardNumber(channel)] }

func shardNumber(channel string) uint32 {
	sum := uint32(2166136261) // FNV-1a
	for i := range len(channel) {
		sum = (sum ^ uint32(channel[i])) * 16777619
	}
	return sum % numShards
}

// subject returns the subject under which the publications of a channel are stored.
func (s *shard) subject(channel string) string {
	return string(appendToken([]byte(s.subjects), channel))
}

// getTerm returns a context that ends with newTerm.
func (s *shard) getTerm() context.Context {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.term
}

// newTerm takes note that the stream has another leader, or that nodes have come or gone: an answer
// may be on no way any more.
func (s *shard) newTerm() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.endTerm()
	s.term, s.endTerm = context.WithCancel(context.Background())
}

// turn waits until one more of the channels may be read. leave lets the next one.
func (s *shard) turn(ctx context.Context) (leave func(), err error) {
	select {
	case s.reads <- struct{}{}:
		return func() { <-s.reads }, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("cluster: wait for other reads: %w", ctx.Err())
	}
}

func (s *shard) getEpoch() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.epoch
}

// setEpoch takes over when the stream was created, and reports whether it is another
// stream than before.
func (s *shard) setEpoch(created time.Time) (changed bool) {
	epoch := strconv.FormatInt(created.UnixMicro(), 36) + "-" + strconv.Itoa(numShards)
	s.mu.Lock()
	defer s.mu.Unlock()
	changed = s.epoch != "" && s.epoch != epoch
	s.epoch = epoch
	return changed
}

// config returns the configuration of a shard's stream.
func (h *history) config(s *shard, copies int) jetstream.StreamConfig {
	source := s.subjects + "*"
	return jetstream.StreamConfig{
		Name:              s.stream,
		Description:       "histories of channels",
		Subjects:          []string{source},
		Storage:           jetstream.FileStorage,
		Replicas:          copies,
		MaxMsgsPerSubject: h.limit(),
		MaxBytes:          h.n.o.HistoryBytes / numShards,
		Duplicates:        dedupWindow,
		AllowMsgTTL:       true,
		AllowDirect:       true,
		RePublish:         &jetstream.RePublish{Source: source, Destination: h.n.subject("l.{{wildcard(1)}}")},
	}
}

// limit returns how many publications of a channel a stream keeps: one more than the
// largest history, see missing.
func (h *history) limit() int64 { return int64(h.size) + 1 }

// streamTimeout is the time for one request about a stream.
const streamTimeout = 2 * time.Second

// open waits for the stream of a shard, and creates it if it is missing.
func (h *history) open(s *shard) error {
	ctx, cancel := context.WithTimeout(h.ctx, streamTimeout)
	defer cancel()
	t := terms(s.getTerm)
	var stream jetstream.Stream
	// While NATS elects a leader of the cluster, it drops the question.
	err := t.again(ctx, func(wait time.Duration) (err error) {
		try, cancel := t.until(ctx, wait)
		defer cancel()
		if stream, err = h.n.js.Stream(try, s.stream); err != nil && try.Err() != nil {
			err = errors.Join(errTryAgain, err)
		}
		return err
	})
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		stream, err = h.create(s)
	}
	if err != nil {
		return fmt.Errorf("stream %s: %w", s.stream, err)
	}
	h.adopt(s, stream.CachedInfo().Created)
	return nil
}

// create creates the stream of a shard, one at a time, as each of them needs an election.
// NATS does not close what it creates while it ends, so the node does not end before.
func (h *history) create(s *shard) (jetstream.Stream, error) {
	h.creating.Lock()
	defer h.creating.Unlock()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(h.ctx), streamTimeout)
	defer cancel()
	if err := h.ctx.Err(); err != nil {
		return nil, err
	}
	return h.n.createStream(ctx, s.copies, func(copies int) jetstream.StreamConfig { return h.config(s, copies) })
}

// createStream creates a stream with as many copies as there are nodes for, and as said
// at most. If another node was faster, it returns that one's.
func (n *Node) createStream(ctx context.Context, copies int, config func(copies int) jetstream.StreamConfig) (jetstream.Stream, error) {
	for ; ; copies-- {
		c := config(copies)
		stream, err := n.js.CreateStream(ctx, c)
		switch {
		case errors.Is(err, jetstream.ErrStreamNameAlreadyInUse):
			return n.js.Stream(ctx, c.Name)
		case !tooFewNodes(err) || copies == 1:
			return stream, err
		}
	}
}

// copiesNow returns how many copies a stream should have that has some: as many as there
// are nodes, and as said at most. Copies are never taken away: a node that is away may
// come back.
func (n *Node) copiesNow(has, most int) int { return max(has, min(len(n.Nodes()), most)) }

// adopt takes over when a stream was created. If it is another stream than before, its
// channels begin anew.
func (h *history) adopt(s *shard, created time.Time) {
	if s.setEpoch(created) {
		h.n.o.Logger.Error("cluster: histories have been lost", slog.String("stream", s.stream))
		h.restart(s)
	}
}

// tooFewNodes reports whether an error of JetStream means that it cannot make so many
// copies.
func tooFewNodes(err error) bool {
	var e *jetstream.APIError
	if !errors.As(err, &e) {
		return false
	}
	code := server.ErrorIdentifier(e.ErrorCode)
	return code == server.JSClusterNoPeersErrF || code == server.JSStreamReplicasNotSupportedErr
}

// A node looks after a stream so often, and each watchEvery for doubtPeriod after something
// that may have changed it, or while it has less than it should. NATS reports such things,
// but a report may be lost.
const keepEvery = 20 * time.Second

// keep looks after the stream of a shard: it finds out when it has become another one,
// and the first of the nodes adds copies for nodes that have come, and makes what the
// stream keeps that of its own rules. It reports whether the stream has what it should.
func (h *history) keep(s *shard) (settled bool, err error) {
	ctx, cancel := context.WithTimeout(h.ctx, streamTimeout)
	defer cancel()
	stream, err := h.n.js.Stream(ctx, s.stream)
	if err != nil {
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			err = h.open(s)
		}
		return false, err
	}
	info := stream.CachedInfo()
	h.adopt(s, info.Created)
	copies := h.n.copiesNow(info.Config.Replicas, s.copies)
	config := h.config(s, copies)
	same := info.Config.MaxMsgsPerSubject == config.MaxMsgsPerSubject && info.Config.MaxBytes == config.MaxBytes
	if copies == info.Config.Replicas && same {
		return true, nil
	}
	if h.n.Nodes()[0] != h.n.o.Name {
		return true, nil // another one sees to it
	}
	if _, err = h.n.js.UpdateStream(ctx, config); tooFewNodes(err) {
		config.Replicas = info.Config.Replicas // the others have no storage, or not yet
		if same {
			return false, nil
		}
		_, err = h.n.js.UpdateStream(ctx, config)
	}
	return false, err
}
