package cluster

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// ErrNoHistory is the error of what needs the history of a channel that has none.
var ErrNoHistory = errors.New("cluster: the channel has no history")

// ErrUncertain is the error of a publication that was not acknowledged in time: it may
// be stored or not. Publishing it again with the same id within two minutes stores it once.
var ErrUncertain = errors.New("cluster: the publication was not acknowledged; it may be stored")

// Publication is one that is stored in the history of a channel.
type Publication struct {
	Position Position
	Data     []byte // JSON; nil if the publisher gave none
}

// Past is a part of the history of a channel.
type Past struct {
	Publications []Publication // oldest first

	// Lost is what is missing before them, nil if nothing is.
	Lost *Lost

	// Begin is the position that they come after.
	Begin Position

	// Position is that of the last publication, or Begin. Recover continues with it.
	Position Position
}

// Lost is a part of a history that is gone: it has expired, was too large, or all
// histories have been lost.
type Lost struct {
	// From and To are the first and the last Seq of what is missing. Both are 0 if
	// that is not known.
	From, To uint64
}

// history stores publications, and delivers them from there.
type history struct {
	n      *Node
	rules  []historyRule
	size   int      // the largest of the rules
	shards []*shard // of all rules
	ids    string   // what the ids of publications of this node begin with

	ctx    context.Context // ends with the node
	cancel context.CancelFunc
	over   sync.WaitGroup

	room      *room         // for what is read
	disturbed atomic.Int64  // when live publications may have been lost, in nanoseconds since 1970
	rings     atomic.Int64  // bytes
	gaps      atomic.Uint64 // reads of what may be missing
	losses    atomic.Uint64 // those in which some was gone
	creating  sync.Mutex    // a stream
	lanes     turns         // of channels: publications that are sent without waiting, and some again, would change places

	mu        sync.Mutex
	followers map[string]*follower
	counter   uint64
	shut      bool
}

// newHistory returns nil if no channel has a history.
func newHistory(n *Node, rules []historyRule) (*history, error) {
	if len(rules) == 0 {
		return nil, nil
	}
	h := &history{
		n: n, rules: rules, ids: rand.Text(), room: newRoom(maxReading),
		followers: make(map[string]*follower),
	}
	byCopies := make(map[int][]*shard)
	for i := range rules {
		r := &rules[i]
		h.size = max(h.size, r.Size)
		if byCopies[r.Copies] == nil {
			byCopies[r.Copies] = n.newShards(r.Copies)
			h.shards = append(h.shards, byCopies[r.Copies]...)
		}
		r.shards = byCopies[r.Copies]
	}
	h.ctx, h.cancel = context.WithCancel(context.Background())
	for _, begin := range streamEvents {
		if _, err := n.nc.Subscribe(begin+"*", h.reported); err != nil {
			h.cancel()
			return nil, fmt.Errorf("cluster: %w", err)
		}
	}
	nodes := n.members.watch()
	h.over.Go(func() { h.run(nodes) })
	return h, nil
}

const (
	streamCreated = "$JS.EVENT.ADVISORY.STREAM.CREATED."
	streamElected = "$JS.EVENT.ADVISORY.STREAM.LEADER_ELECTED."
)

// streamEvents begin the subjects by which NATS tells that a stream, which they name, is
// new, is gone, or has another leader.
var streamEvents = []string{
	streamCreated,
	"$JS.EVENT.ADVISORY.STREAM.DELETED.",
	streamElected,
}

// reported handles an event of a stream.
func (h *history) reported(msg *nats.Msg) {
	stream := msg.Subject[strings.LastIndexByte(msg.Subject, '.')+1:]
	if !strings.HasPrefix(stream, h.n.o.Prefix+"_history") {
		return
	}
	h.suspect()
	if !strings.HasPrefix(msg.Subject, streamElected) {
		return
	}
	for _, s := range h.shards {
		if s.stream == stream {
			s.newTerm()
		}
	}
}

// run looks after each stream and those who follow it on goroutines of their own, so that
// one that does not answer holds up no other. nodes gets something when nodes have come
// or gone.
func (h *history) run(nodes <-chan struct{}) {
	if h.n.Ready(h.ctx) != nil {
		return // the node ends, or what needs storage says that there is none
	}
	for _, s := range h.shards {
		h.over.Go(func() { h.tend(s) })
	}
	for {
		select {
		case <-nodes:
			for _, s := range h.shards {
				s.newTerm()
			}
			h.suspect()
		case <-h.ctx.Done():
			return
		}
	}
}

// tend opens the stream of a shard, and then looks after it until the node ends.
func (h *history) tend(s *shard) {
	for logged := time.Now(); ; {
		err := h.open(s)
		if err == nil {
			break
		}
		if time.Since(logged) > streamTimeout {
			logged = time.Now()
			h.n.o.Logger.Warn("cluster: histories are not there yet", slog.Any("error", err))
		}
		if pause(h.ctx, askPause) != nil {
			return
		}
	}
	close(s.opened)
	h.over.Go(func() { h.watch(s) })
	h.patrol(s.changed, time.Now(), keepEvery, watchEvery, func() (settled bool) {
		settled, err := h.keep(s)
		if err != nil && h.ctx.Err() == nil {
			h.n.o.Logger.Warn("cluster: a stream cannot be looked after", slog.String("stream", s.stream), slog.Any("error", err))
		}
		return settled
	})
}

// wait waits until the stream of a shard is there.
func (h *history) wait(ctx context.Context, s *shard) error {
	select {
	case <-s.opened:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("cluster: wait for storage: %w", ctx.Err())
	case <-h.ctx.Done():
		return errClosed
	}
}

// end ends deliveries, and waits for those that are under way.
func (h *history) end() {
	if h == nil {
		return
	}
	h.mu.Lock()
	h.shut = true
	h.followers = nil
	h.mu.Unlock()
	h.cancel()
	h.over.Wait()
}

// publishTimeout is for how long a publication is sent again when there is no answer, as streams are
// asked again: a leader that has died is replaced after some seconds.
const publishTimeout = 30 * time.Second

// maxID is the length of the longest id of a publication, in bytes.
const maxID = 256

// reserved is what of the largest message belongs to NATS: its headers have the name of
// the channel twice, and the id.
const reserved = 16 << 10

// Publish stores a publication of a channel with history, and returns its position once
// all copies are safe: a majority of them has it. With an id, of at most 256 bytes,
// a publication that was stored under it within the last two minutes is not stored
// again; its position is returned. data is one JSON value, nil for none.
//
// A node sends one publication at a time to a channel, and few to a stream, so this may wait
// for others. The error is [ErrUncertain] if it was sent and nobody acknowledged it within 30
// seconds or before ctx ended. If it was not even sent by then, the error is that of ctx, such
// as [context.DeadlineExceeded], and the publication is not stored.
func (n *Node) Publish(ctx context.Context, channel, id string, data []byte) (Position, error) {
	rule := n.history.rule(channel)
	switch {
	case rule == nil:
		return Position{}, ErrNoHistory
	case len(id) > maxID:
		return Position{}, fmt.Errorf("cluster: the id has %d bytes; it may have %d", len(id), maxID)
	}
	return n.history.publish(ctx, rule, channel, id, data)
}

func (h *history) publish(ctx context.Context, rule *historyRule, channel, id string, data []byte) (Position, error) {
	if err := checkName(channel); err != nil {
		return Position{}, err
	}
	if limit := h.n.nc.MaxPayload() - reserved; int64(len(data)) > limit {
		return Position{}, fmt.Errorf("cluster: a publication of %d bytes is larger than the %d that a history takes (max_payload)", len(data), limit)
	}
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	// Whoever continues behind the position relies on its time: it must not be later
	// than that of what is stored, which may be a publication of an earlier try.
	stored := time.Now()
	if id != "" {
		stored = stored.Add(-dedupWindow)
	}
	s := rule.shardOf(channel)
	if err := h.wait(ctx, s); err != nil {
		return Position{}, err
	}
	leave, err := h.lanes.take(ctx, channel)
	if err != nil {
		return Position{}, err
	}
	defer leave()
	select {
	case s.inFlight <- struct{}{}:
		defer func() { <-s.inFlight }()
	case <-ctx.Done():
		return Position{}, ctx.Err()
	case <-h.ctx.Done():
		return Position{}, errClosed
	}
	msg := &nats.Msg{Subject: s.subject(channel), Data: data, Header: nats.Header{
		"Nats-Msg-Id": {h.messageID(channel, id)},
		"Nats-TTL":    {rule.ttl},
	}}
	epoch := s.getEpoch() // of what is sent, or before: then whoever continues there is told of a loss
	seq, err := h.send(ctx, s, msg)
	if err != nil {
		return Position{}, err
	}
	if f := h.follower(channel); f != nil {
		f.await(ctx, seq)
	}
	return Position{epoch, seq, stored}, nil
}

// messageID returns the id of a publication in its stream, where other channels have
// theirs. Each copy remembers it for dedupWindow, so it is short however long the names are.
func (h *history) messageID(channel, id string) string {
	if id != "" {
		name := sha256.Sum256([]byte(strconv.Itoa(len(channel)) + "." + channel + id))
		return "p." + base64.RawURLEncoding.EncodeToString(name[:])
	}
	h.mu.Lock()
	h.counter++
	count := h.counter
	h.mu.Unlock()
	return "n." + h.ids + "." + strconv.FormatUint(count, 36)
}

// send sends a publication to its stream until it is acknowledged. When there is another leader,
// it does not wait for the answer of the one before.
func (h *history) send(ctx context.Context, s *shard, msg *nats.Msg) (seq uint64, err error) {
	var last error
	var since time.Time // when the leader began to say that a try is in process
	wait := askTimeout
	for tries := 0; ; tries++ {
		answer, err := h.try(ctx, s, msg, wait)
		wait = longer(wait)
		var ack struct {
			Seq   uint64    `json:"seq"`
			Error *apiError `json:"error"`
		}
		if err == nil {
			err = json.Unmarshal(answer.Data, &ack)
		}
		inProcess := err == nil && ack.Error != nil && ack.Error.ErrCode == server.JSStreamDuplicateMessageConflict
		since = s.stuck.look(ctx, h.n, s.stream, inProcess, since)
		switch {
		case err == nil && ack.Error == nil && ack.Seq > 0:
			return ack.Seq, nil
		case errors.Is(err, nats.ErrConnectionClosed):
			return 0, errors.Join(ErrUncertain, errClosed)
		case err != nil:
		case ack.Error == nil:
			err = errors.New("cluster: the answer of the stream is empty")
		case inProcess:
			err = ack.Error
		case ack.Error.Code == unavailable && ack.Error.ErrCode != server.JSInsufficientResourcesErr: // not now
			err = ack.Error
		case tries > 0: // one before may have got through
			return 0, errors.Join(ErrUncertain, ack.Error)
		default:
			return 0, fmt.Errorf("cluster: %w", ack.Error)
		}
		last = err
		if err := pause(ctx, askPause); err != nil {
			return 0, errors.Join(ErrUncertain, err, last)
		}
	}
}

// try sends a publication once, and waits for the answer unless there is another leader.
func (h *history) try(ctx context.Context, s *shard, msg *nats.Msg, wait time.Duration) (*nats.Msg, error) {
	ctx, cancel := terms(s.getTerm).until(ctx, wait)
	defer cancel()
	return h.n.nc.RequestMsgWithContext(ctx, msg)
}

// readTimeout is the longest time for which a history is read.
const readTimeout = 10 * time.Second

// History returns the last publications of a channel, count of them if there are so
// many. All that were acknowledged before the call are taken into account. It waits
// for the streams at most 10 seconds.
func (n *Node) History(ctx context.Context, channel string, count int) (Past, error) {
	h, rule := n.history, n.history.rule(channel)
	if rule == nil {
		return Past{}, ErrNoHistory
	}
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	s := rule.shardOf(channel)
	if err := h.wait(ctx, s); err != nil {
		return Past{}, err
	}
	leave, err := s.turn(ctx)
	if err != nil {
		return Past{}, err
	}
	defer leave()
	epoch, now := s.getEpoch(), time.Now()
	e, err := h.readChannel(ctx, s, s.subject(channel), want{count: max(1, min(count, rule.Size)), bytes: maxRead})
	if err != nil {
		return Past{}, err
	}
	past := pastOf(epoch, e.list, now)
	if count <= 0 {
		past.Publications, past.Begin = nil, past.Position
	}
	return past, nil
}

// Recover returns the publications of a channel after a position, and states what of
// them is lost. All that were acknowledged before the call are taken into account.
// What was kept for longer than the rule says, or is more than it says, is lost. It
// waits for the streams at most 10 seconds.
func (n *Node) Recover(ctx context.Context, channel string, since Position) (Past, error) {
	h, rule := n.history, n.history.rule(channel)
	if rule == nil {
		return Past{}, ErrNoHistory
	}
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	s := rule.shardOf(channel)
	if err := h.wait(ctx, s); err != nil {
		return Past{}, err
	}
	leave, err := s.turn(ctx)
	if err != nil {
		return Past{}, err
	}
	defer leave()
	epoch, now := s.getEpoch(), time.Now()
	if since.Epoch != epoch {
		since = Position{Epoch: epoch} // nothing of it is known here
	}
	e, err := h.read(ctx, s, s.subject(channel), want{since.Seq, rule.Size + 1, maxRead})
	if err != nil {
		return Past{}, err
	}
	list, lost := missing(e, since, rule, time.Now())
	past := pastOf(epoch, list, now)
	past.Lost = lost
	switch {
	case len(list) > 0:
	case lost == nil:
		past.Position.Seq = since.Seq
	default: // the channel may have less than the position says
		last, ok, err := h.last(ctx, s, s.subject(channel))
		if err != nil {
			return Past{}, err
		}
		if ok {
			past.Position = last.position(epoch)
		}
	}
	if len(list) == 0 {
		past.Begin = past.Position
	}
	return past, nil
}

// pastOf returns publications that were read at a time.
func pastOf(epoch string, list []stored, now time.Time) Past {
	past := Past{Position: Position{Epoch: epoch, Time: now}}
	past.Begin = past.Position
	if len(list) > 0 {
		past.Begin = Position{epoch, list[0].seq - 1, list[0].at} // nothing else is between
	}
	for _, m := range list {
		past.Position = m.position(epoch)
		past.Publications = append(past.Publications, Publication{past.Position, m.data})
	}
	return past
}

func (m stored) position(epoch string) Position { return Position{epoch, m.seq, m.at} }

// maxSkew is by how much the clocks of nodes may differ.
const maxSkew = 2 * time.Second

// missing takes the publications that were read from a position on, and returns those
// after it, and what is lost of them. A position without a time is none. Publications vanish
// in order, so nothing is lost if that of the position is still there, or of the next number.
// If they are not, as in a history that was empty, too little must have happened since for any
// to vanish: streams keep one more than the rule says. now must be after the read.
func missing(e extract, since Position, rule *historyRule, now time.Time) ([]stored, *Lost) {
	list := e.list
	switch {
	case len(list) > 0 && list[0].seq == since.Seq:
		return list[1:], nil
	case len(list) > 0 && list[0].seq == since.Seq+1 && !since.Time.IsZero() && len(list) <= rule.Size:
		return list, nil
	}
	young := now.Sub(since.Time) < rule.Age-maxSkew
	if young && !e.trimmed && !e.oldest.evicted(since) && len(list) <= rule.Size && (len(list) > 0 || since.Seq == 0) {
		return list, nil
	}
	list = list[max(0, len(list)-rule.Size):]
	if len(list) == 0 || since.Seq == 0 {
		return list, &Lost{}
	}
	return list, &Lost{since.Seq + 1, list[0].seq - 1}
}
