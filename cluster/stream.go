package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"time"

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

// maxFills is how many channels of a shard a node reads at the same time.
const maxFills = 4

// shard is a stream with the histories of some channels.
type shard struct {
	stream   string
	subjects string // what the subjects of its channels begin with
	copies   int    // if there are so many nodes
	inFlight chan struct{}
	fills    chan struct{} // limits how many of its channels are read at the same time
	opened   chan struct{} // closed when the stream is there
	look     chan struct{} // live publications may have been lost

	// Up to tail, followers have been compared with the stream of tailEpoch; only for
	// history.watch.
	tail      uint64
	tailEpoch string
	source    int // see newer

	mu    sync.Mutex
	epoch string
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
			fills:    make(chan struct{}, maxFills),
			opened:   make(chan struct{}),
			look:     make(chan struct{}, 1),
		}
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

// open waits for the stream of a shard, and creates it if it is missing, with as many
// copies as there are nodes for.
func (h *history) open(s *shard) error {
	ctx, cancel := context.WithTimeout(h.ctx, streamTimeout)
	defer cancel()
	stream, err := h.n.js.Stream(ctx, s.stream)
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
func (h *history) create(s *shard) (stream jetstream.Stream, err error) {
	h.creating.Lock()
	defer h.creating.Unlock()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(h.ctx), streamTimeout)
	defer cancel()
	err = h.ctx.Err()
	for copies := s.copies; stream == nil && err == nil && copies > 0; copies-- {
		stream, err = h.n.js.CreateStream(ctx, h.config(s, copies))
		switch {
		case errors.Is(err, jetstream.ErrStreamNameAlreadyInUse): // another node was faster
			stream, err = h.n.js.Stream(ctx, s.stream)
		case tooFewNodes(err) && copies > 1:
			err = nil
		}
	}
	return stream, err
}

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
	switch e.ErrorCode {
	case 10005, // no suitable peers
		10074: // one server
		return true
	}
	return false
}

// keep looks after the stream of a shard: it finds out when it has become another one,
// and the first of the nodes adds copies for nodes that have come, and makes what the
// stream keeps that of its own rules. Copies are never taken away: a node that is away may
// come back.
func (h *history) keep(s *shard) error {
	ctx, cancel := context.WithTimeout(h.ctx, streamTimeout)
	defer cancel()
	stream, err := h.n.js.Stream(ctx, s.stream)
	if err != nil {
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			return h.open(s)
		}
		return err
	}
	info := stream.CachedInfo()
	h.adopt(s, info.Created)
	nodes := h.n.Nodes()
	copies := max(info.Config.Replicas, min(len(nodes), s.copies))
	if nodes[0] != h.n.o.Name || copies == info.Config.Replicas && info.Config.MaxMsgsPerSubject == h.limit() {
		return nil
	}
	config := h.config(s, copies)
	if _, err = h.n.js.UpdateStream(ctx, config); tooFewNodes(err) {
		config.Replicas = info.Config.Replicas // the others have no storage
		if config.MaxMsgsPerSubject == info.Config.MaxMsgsPerSubject {
			return nil
		}
		_, err = h.n.js.UpdateStream(ctx, config)
	}
	return err
}
