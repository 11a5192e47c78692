package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/socketcluster-go/socketcluster/auth/revoke"
)

// The subjects of revocations are <prefix>.rv.r.<hash>, by their target, and those of marks
// <prefix>.rv.m.<node>. What has been stored is published again as <prefix>.rl.….

// A try to store something ends after tryTimeout, as the leader of the stream may have
// died. The next one follows after tryPause. It has the same id, so that watchers are told
// once.
const (
	tryTimeout = 500 * time.Millisecond
	tryPause   = 50 * time.Millisecond
)

// The TTL of a message is longer by this than what it is needed for, as clocks differ.
const ttlMargin = time.Minute

// markTTL is the TTL of marks: those of nodes that are gone are of no use.
const markTTL = time.Hour

func (rv *Revocations) config(copies int) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name:              rv.stream,
		Description:       "revocations of tokens",
		Subjects:          []string{rv.n.subject("rv.>")},
		Storage:           jetstream.FileStorage,
		Replicas:          copies,
		MaxMsgsPerSubject: 1,
		MaxMsgs:           int64(most(rv.limit)),
		Discard:           jetstream.DiscardNew,
		DenyDelete:        true,
		AllowDirect:       true,
		AllowMsgTTL:       true,
		RePublish:         &jetstream.RePublish{Source: rv.n.subject("rv.>"), Destination: rv.n.subject("rl.>")},
	}
}

// ttl returns how long the message of a revocation is needed; 0 means forever.
func ttl(r revoke.Revocation, now time.Time) time.Duration {
	if r.Until.IsZero() {
		return 0
	}
	d := r.Until.Sub(now).Truncate(time.Second) + time.Second + ttlMargin
	if d > 100*365*24*time.Hour {
		return 0
	}
	return d
}

// errOther is the error of a message in place of one that is not there.
var errOther = errors.New("cluster: the stream has another message")

// publish stores a message, which NATS keeps for as long as ttl says; 0 means forever. It
// tries again until ctx ends, or NATS has refused it: with [revoke.ErrFull] for want of room,
// with errOther by what opts expect.
func (rv *Revocations) publish(ctx context.Context, msg *nats.Msg, ttl time.Duration, opts ...jetstream.PublishOpt) (kept, error) {
	opts = append(opts, jetstream.WithRetryAttempts(0))
	if ttl > 0 {
		opts = append(opts, jetstream.WithMsgTTL(ttl))
	}
	var since time.Time // when the leader began to say that a try is in process
	for {
		m := kept{at: time.Now()}
		try, cancel := context.WithTimeout(ctx, tryTimeout)
		ack, err := rv.n.js.PublishMsg(try, msg, opts...)
		cancel()
		if err == nil {
			m.seq = ack.Sequence
			return m, nil
		}
		var refused *jetstream.APIError
		code := server.ErrorIdentifier(0)
		if errors.As(err, &refused) {
			code = server.ErrorIdentifier(refused.ErrorCode)
		}
		inProcess := code == server.JSStreamDuplicateMessageConflict
		since = rv.stuck.look(ctx, rv.n, rv.stream, inProcess, since)
		switch {
		case code == server.JSStreamWrongLastSequenceErrF:
			return m, errOther
		case refused == nil, inProcess, code == server.JSStreamWrongLastSequenceConstantErr: // another one is being stored
		case strings.Contains(refused.Description, "maximum messages exceeded"):
			return m, fmt.Errorf("%w: the stream of revocations has %d messages", revoke.ErrFull, most(rv.limit))
		case refused.Code < 500:
			return m, fmt.Errorf("cluster: store among the revocations: %w", err)
		}
		if errors.Is(err, nats.ErrConnectionClosed) || rv.ctx.Err() != nil {
			return m, errClosed
		}
		if paused := pause(ctx, tryPause); paused != nil {
			return m, fmt.Errorf("cluster: store among the revocations: %w; the last try: %w", paused, err)
		}
	}
}

// open finds the stream, or creates it with as many copies as there are nodes for. It
// waits for a leader until ctx ends.
func (rv *Revocations) open(ctx context.Context) error {
	if err := rv.n.Ready(ctx); err != nil {
		return err
	}
	for {
		err := rv.find(ctx)
		if err == nil {
			return nil
		}
		if paused := pause(ctx, tryPause); paused != nil {
			return fmt.Errorf("cluster: open the stream of revocations: %w; the last try: %w", paused, err)
		}
		if rv.ctx.Err() != nil {
			return errClosed
		}
	}
}

func (rv *Revocations) find(ctx context.Context) error {
	// A stream that another node is just creating does not answer.
	try, cancel := context.WithTimeout(ctx, tryTimeout)
	stream, err := rv.n.js.Stream(try, rv.stream)
	cancel()
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		ctx, cancel := context.WithTimeout(ctx, streamTimeout)
		defer cancel()
		stream, err = rv.n.createStream(ctx, defaultCopies, rv.config)
	}
	if err != nil {
		return err
	}
	rv.meet(stream.CachedInfo())
	return nil
}

// meet takes note of how full the stream is. By when it was created, it finds out whether it
// has become another one, whose sequences begin anew.
func (rv *Revocations) meet(info *jetstream.StreamInfo) {
	rv.stored.Store(info.State.Msgs)
	created := info.Created
	rv.mu.Lock()
	defer rv.mu.Unlock()
	if !rv.since.IsZero() && !rv.since.Equal(created) {
		rv.log.Error("cluster: the stream of revocations has begun anew: those from before are only on nodes that have run since")
		rv.chain = chain{}
	}
	rv.since = created
}

// look finds out whether the stream has become another one, and gives it more copies if
// there are more nodes now. It reports whether the stream has as many as it should.
func (rv *Revocations) look() (settled bool) {
	try, cancel := context.WithTimeout(rv.ctx, tryTimeout) // meanwhile, there are no marks
	s, err := rv.n.js.Stream(try, rv.stream)
	cancel()
	if err != nil {
		return false // marks fail, too
	}
	info := s.CachedInfo()
	rv.meet(info)
	copies := rv.n.copiesNow(info.Config.Replicas, defaultCopies)
	if copies == info.Config.Replicas {
		return true
	}
	ctx, cancel := context.WithTimeout(rv.ctx, streamTimeout)
	defer cancel()
	if _, err := rv.n.js.UpdateStream(ctx, rv.config(copies)); err == nil {
		rv.log.Info("cluster: there are more copies of the revocations", slog.Int("copies", copies))
	}
	return false
}
