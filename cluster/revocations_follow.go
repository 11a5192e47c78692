package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// mark is how often a node stores a mark among the revocations.
const mark = time.Second

// flushTimeout is the time within which NATS must have a subscription.
const flushTimeout = 5 * time.Second

// kept is a message that has been stored.
type kept struct {
	seq uint64
	at  time.Time // when the try that has worked was sent
}

// load loads all revocations, and begins to follow them.
func (rv *Revocations) load(ctx context.Context) error {
	if err := rv.open(ctx); err != nil {
		return err
	}
	// From here on the feed keeps what is stored, so that nothing is missed between
	// this and the load.
	live, err := rv.n.nc.ChanSubscribe(rv.n.subject("rl.>"), rv.feed)
	if err == nil {
		rv.live = live
		flush, cancel := context.WithTimeout(ctx, flushTimeout) // NATS wants a deadline
		err = rv.n.nc.FlushWithContext(flush)
		cancel()
	}
	if err != nil {
		return fmt.Errorf("cluster: %w", err)
	}
	if rv.events, err = rv.n.nc.Subscribe(streamCreated+rv.stream, func(*nats.Msg) { wake(rv.created) }); err != nil {
		return fmt.Errorf("cluster: %w", err)
	}
	rv.mu.Lock()
	rv.loading = true
	rv.mu.Unlock()
	m, err := rv.sendMark(ctx)
	if err != nil {
		return err
	}
	begun := time.Now()
	for err = errUnloaded; err != nil; {
		// A load that breaks off goes on where it was.
		if err = rv.read(ctx, m.seq); err != nil && (ctx.Err() != nil || rv.ctx.Err() != nil) {
			return fmt.Errorf("cluster: load the revocations: %w", errors.Join(ctx.Err(), err))
		}
	}
	rv.mu.Lock()
	rv.confirmed = m.at // without a report: nobody has used the store yet
	rv.mu.Unlock()
	rv.log.Debug("cluster: revocations are loaded", slog.Int("number", rv.Len()), slog.Duration("after", time.Since(begun)))
	rv.over.Go(rv.follow)
	rv.over.Go(rv.keepMarking)
	if rv.cutOff > 0 {
		rv.over.Go(rv.keepReporting)
	}
	return nil
}

var errUnloaded = errors.New("cluster: revocations are not loaded")

// A read that gets nothing for so long begins anew: the leader may have died.
const readPatience = time.Second

// read reads the stream up to a sequence, and to the end of the copy that it reads: what was
// replaced meanwhile is beyond that sequence. It does not fill in place of that: with each
// answer to a fill, NATS counts what is left, so that 100,000 took four to eight seconds
// in place of one and a half.
func (rv *Revocations) read(ctx context.Context, to uint64) error {
	rv.mu.Lock()
	from := rv.chain.last + 1
	rv.mu.Unlock()
	start, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	consumer, err := rv.n.js.OrderedConsumer(start, rv.stream, jetstream.OrderedConsumerConfig{
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: from,
	})
	if err != nil {
		return err
	}
	info := consumer.CachedInfo()
	defer func() {
		if info := consumer.CachedInfo(); info != nil {
			end, cancel := context.WithTimeout(context.WithoutCancel(ctx), tryTimeout)
			defer cancel()
			_ = rv.n.js.DeleteConsumer(end, rv.stream, info.Name) // otherwise it ends by itself
		}
	}()
	if from > to && info != nil && info.NumPending == 0 {
		return nil
	}
	messages, err := consumer.Messages(jetstream.PullMaxMessages(4096))
	if err != nil {
		return err
	}
	defer messages.Stop()
	for {
		next, cancel := context.WithTimeout(ctx, readPatience)
		msg, err := messages.Next(jetstream.NextContext(next))
		cancel()
		if err != nil {
			return err
		}
		meta, err := msg.Metadata()
		if err != nil {
			return err
		}
		seq := meta.Sequence.Stream
		rv.handle(msg.Subject(), msg.Data(), seq)
		rv.mu.Lock()
		rv.chain.upTo(seq) // what is missing in between is no longer there
		rv.mu.Unlock()
		if seq >= to && meta.NumPending == 0 {
			return nil
		}
	}
}

// handle puts a message of the stream in force.
func (rv *Revocations) handle(subject string, data []byte, seq uint64) {
	if strings.HasPrefix(subject, rv.n.subject("rv.r.")) || strings.HasPrefix(subject, rv.n.subject("rl.r.")) {
		rv.apply(data, seq)
	}
}

// fillPause is the time that what is missing has to come by itself, and the time
// between two fills, as the copy that was asked may lag.
const fillPause = 50 * time.Millisecond

// follow puts in force what is stored, as it is stored. When nodes have come or gone, this one
// may have been away: it looks into the copies of all of them, as an election may be ahead,
// before which no mark comes back.
func (rv *Revocations) follow() {
	nodes := rv.n.members.watch()
	var due kept              // the mark that has not come back
	var fill <-chan time.Time // when something may be missing
	asked, left := 0, 0       // whose copies have been asked; how many must be in any case
	for {
		gap := false
		select {
		case msg := <-rv.feed:
			seq := number(msg, seqHeader)
			rv.mu.Lock()
			fresh := rv.chain.fresh(seq)
			rv.mu.Unlock()
			if !fresh {
				continue
			}
			rv.handle(msg.Subject, msg.Data, seq)
			rv.mu.Lock()
			gap = rv.chain.handled(seq)
			rv.mu.Unlock()
			rv.tell()
		case due = <-rv.marks:
		case <-nodes:
			left, gap = len(rv.n.Nodes()), true
		case <-fill:
			fill = nil
			err := rv.fill(rv.n.source(asked))
			asked, left = asked+1, max(0, left-1)
			rv.mu.Lock()
			gap = err != nil || left > 0 || len(rv.chain.ahead) > 0
			rv.mu.Unlock()
			rv.tell()
		case <-rv.ctx.Done():
			return
		}
		rv.mu.Lock()
		back := due.seq > 0 && rv.chain.last >= due.seq
		rv.mu.Unlock()
		if back {
			rv.confirm(due)
			due = kept{}
		}
		if (gap || due.seq > 0) && fill == nil {
			fill = time.After(fillPause)
		}
	}
}

// fillBatch is the number of messages for which a fill asks at once.
const fillBatch = 1000

// errLag is the error of a fill that does not get to the end.
var errLag = errors.New("cluster: messages are missing")

// fill asks the copy of a node for what is missing. It gets nil when it has all that this
// copy has.
func (rv *Revocations) fill(node string) error {
	ch := make(chan *nats.Msg, fillBatch+1)
	inbox := rv.n.nc.NewInbox()
	sub, err := rv.n.nc.ChanSubscribe(inbox, ch)
	if err != nil {
		return err
	}
	defer func() { _ = sub.Unsubscribe() }()
	rv.mu.Lock()
	from := rv.chain.last + 1
	rv.mu.Unlock()
	for {
		request, err := json.Marshal(getRequest{Seq: from, NextFor: rv.n.subject("rv.>"), Batch: fillBatch, MaxBytes: askBytes})
		if err != nil {
			return err
		}
		if err := rv.n.nc.PublishRequest(rv.n.copyOf(node, rv.stream), inbox, request); err != nil {
			return err
		}
		last, more, err := rv.takeBatch(ch)
		if err != nil {
			return err
		}
		if from = max(from, last+1); !more {
			// What is missing before is no longer there. What has replaced it has come, too.
			rv.mu.Lock()
			rv.chain.upTo(from - 1)
			rv.mu.Unlock()
			return nil
		}
	}
}

// takeBatch handles the answers to a fill. last is the sequence of the last message among
// them, 0 for none.
func (rv *Revocations) takeBatch(ch chan *nats.Msg) (last uint64, more bool, err error) {
	late := time.NewTimer(tryTimeout)
	defer late.Stop()
	for {
		select {
		case msg := <-ch:
			switch status := msg.Header.Get("Status"); {
			case status == noCopy, number(msg, lastHeader) != last: // or a route has lost what was before
				return last, false, errLag
			case status != "":
				return last, number(msg, "Nats-Num-Pending") > 0, nil
			}
			seq := number(msg, seqHeader)
			rv.mu.Lock()
			fresh := rv.chain.fresh(seq)
			rv.mu.Unlock()
			if fresh {
				rv.handle(msg.Header.Get("Nats-Subject"), msg.Data, seq)
			}
			rv.mu.Lock()
			rv.chain.handled(seq)
			rv.mu.Unlock()
			last = max(last, seq)
			late.Reset(tryTimeout)
		case <-late.C:
			return last, false, errLag
		case <-rv.ctx.Done():
			return last, false, errClosed
		}
	}
}

// confirm records that all that was stored before a mark was sent is in force.
func (rv *Revocations) confirm(m kept) {
	rv.report() // the beginning of a cut that this mark ends
	rv.mu.Lock()
	if m.at.After(rv.confirmed) {
		rv.confirmed = m.at
	}
	rv.forget()
	rv.mu.Unlock()
	rv.report()
}

// sendMark stores a mark.
func (rv *Revocations) sendMark(ctx context.Context) (kept, error) {
	return rv.publish(ctx, &nats.Msg{Subject: rv.n.subject("rv.m." + rv.n.o.Name)}, markTTL)
}

// report logs when the node is cut off, and when it no longer is.
func (rv *Revocations) report() {
	cut := rv.Current() != nil
	rv.mu.Lock()
	since := rv.cutAt
	switch {
	case cut && since.IsZero():
		rv.cutAt = time.Now()
	case !cut:
		rv.cutAt = time.Time{}
	}
	rv.mu.Unlock()
	switch {
	case cut && since.IsZero():
		rv.log.Error("cluster: the node is cut off from the revocations of others: it accepts no token", slog.Duration("bound", rv.cutOff))
	case !cut && !since.IsZero():
		rv.log.Warn("cluster: the node has the revocations of others again: it accepts tokens", slog.Duration("after", time.Since(since)))
	}
}

// keepReporting reports a cut when it begins. It looks once a mark, too, for a machine that
// was suspended.
func (rv *Revocations) keepReporting() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-rv.ctx.Done():
			return
		}
		rv.report()
		rv.mu.Lock()
		left := rv.cutOff - passed(rv.confirmed, time.Now())
		rv.mu.Unlock()
		if left < 0 || left > mark {
			left = mark
		}
		timer.Reset(left + time.Millisecond) // the bound itself is not beyond it
	}
}

// keepMarking stores marks, and looks after the stream: when something may have changed it,
// and each keepEvery. A mark whose sequence is not above that of the one before is in
// another stream.
func (rv *Revocations) keepMarking() {
	ticker := time.NewTicker(mark)
	defer ticker.Stop()
	nodes := rv.n.members.watch()
	last, looked, due := uint64(0), time.Time{}, false
	for {
		select {
		case <-ticker.C:
		case <-nodes:
			due = true
			continue
		case <-rv.created:
			due = true
			continue
		case <-rv.ctx.Done():
			return
		}
		ctx, cancel := context.WithTimeout(rv.ctx, mark)
		m, err := rv.sendMark(ctx)
		cancel()
		if err != nil {
			_ = rv.find(rv.ctx) // the stream may have been removed
		} else {
			select {
			case rv.marks <- m:
			case <-rv.ctx.Done():
				return
			}
			if m.seq <= last || time.Since(looked) >= keepEvery || due && time.Since(looked) >= watchEvery {
				due, looked = !rv.look(), time.Now()
			}
			last = m.seq
		}
	}
}
