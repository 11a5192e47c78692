package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
)

// stored is a publication as a stream has it.
type stored struct {
	seq  uint64
	at   time.Time
	data []byte // nil for none
}

// Requests to streams, and what they may take: a request is made again after so long
// without an answer, or so long after an answer that is not enough yet.
const (
	askTimeout = 250 * time.Millisecond
	askPause   = 20 * time.Millisecond
	askBatch   = 256
	askBytes   = 1 << 20
)

// maxRead is how many bytes of one channel are read at once. Older publications count as
// lost.
const maxRead = 16 << 20

// errTryAgain is the error of a request that nobody could answer just now.
var errTryAgain = errors.New("cluster: the stream has no answer")

// getRequest is a request for messages of a stream.
type getRequest struct {
	Seq       uint64   `json:"seq,omitempty"`
	LastFor   string   `json:"last_by_subj,omitempty"`
	NextFor   string   `json:"next_by_subj,omitempty"`
	Batch     int      `json:"batch,omitempty"`
	MaxBytes  int      `json:"max_bytes,omitempty"`
	MultiLast []string `json:"multi_last,omitempty"`
}

// last returns the last publication of a channel. ok is false if there is none.
func (h *history) last(ctx context.Context, s *shard, subject string) (m stored, ok bool, err error) {
	return h.fromLeader(ctx, s, getRequest{LastFor: subject})
}

// fromLeader returns one message of a stream. Only the leader of a stream answers to this,
// which has all that was acknowledged; a copy may be behind. ok is false if there is none.
func (h *history) fromLeader(ctx context.Context, s *shard, r getRequest) (m stored, ok bool, err error) {
	request, err := json.Marshal(r)
	if err != nil {
		return m, false, err
	}
	err = h.again(ctx, func() error {
		try, cancel := context.WithTimeout(ctx, askTimeout)
		defer cancel()
		msg, err := h.n.nc.RequestWithContext(try, "$JS.API.STREAM.MSG.GET."+s.stream, request)
		if err != nil {
			return errors.Join(errTryAgain, err)
		}
		var answer struct {
			Message *struct {
				Seq  uint64    `json:"seq"`
				Time time.Time `json:"time"`
				Data []byte    `json:"data"`
			} `json:"message"`
			Error *apiError `json:"error"`
		}
		switch err := json.Unmarshal(msg.Data, &answer); {
		case err != nil:
			return err
		case answer.Message != nil:
			m, ok = stored{answer.Message.Seq, answer.Message.Time, answer.Message.Data}, true
			return nil
		case answer.Error != nil && answer.Error.ErrCode == 10037: // no message found
			return nil
		case answer.Error != nil && answer.Error.Code == 503:
			return errors.Join(errTryAgain, answer.Error)
		case answer.Error != nil:
			return answer.Error
		}
		return errors.New("cluster: the answer of the stream is empty")
	})
	return m, ok, err
}

// apiError is an error of JetStream.
type apiError struct {
	Code        int    `json:"code"`
	ErrCode     int    `json:"err_code"`
	Description string `json:"description"`
}

// Error implements error.
func (e *apiError) Error() string {
	return "nats: " + e.Description + " (" + strconv.Itoa(e.ErrCode) + ")"
}

// again calls ask until it returns another error than errTryAgain, or ctx ends.
func (h *history) again(ctx context.Context, ask func() error) error {
	for {
		err := ask()
		switch {
		case !errors.Is(err, errTryAgain):
			return err
		case errors.Is(err, nats.ErrConnectionClosed):
			return errClosed
		}
		if err := pause(ctx, askPause); err != nil {
			return err
		}
	}
}

// pause waits, or returns the error of ctx.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// get asks the copy of a stream on a node, or any if it has none, for messages, and calls
// each for each. It returns the message after the last. If nothing comes for askTimeout,
// the error is errTryAgain: a request or an answer may be lost.
func (h *history) get(ctx context.Context, s *shard, node string, r getRequest, each func(*nats.Msg)) (end *nats.Msg, err error) {
	request, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	inbox := h.n.nc.NewInbox()
	sub, err := h.n.nc.SubscribeSync(inbox)
	if err != nil {
		return nil, errClosed
	}
	defer func() { _ = sub.Unsubscribe() }()
	if err := h.n.nc.PublishRequest(h.n.copyOf(node, s.stream), inbox, request); err != nil {
		return nil, errClosed
	}
	for {
		next, cancel := context.WithTimeout(ctx, askTimeout)
		msg, err := sub.NextMsgWithContext(next)
		cancel()
		if err != nil {
			return nil, errors.Join(errTryAgain, err)
		}
		switch status := msg.Header.Get("Status"); status {
		case "":
			each(msg)
		case "204", "404": // the end, and nothing found
			return msg, nil
		case "503": // there is no copy just now
			return nil, errTryAgain
		default:
			return nil, fmt.Errorf("nats: %s %s", status, msg.Header.Get("Description"))
		}
	}
}

// number returns a number in the header of a message.
func number(msg *nats.Msg, name string) uint64 {
	n, err := strconv.ParseUint(msg.Header.Get(name), 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// storedOf returns the publication in a message of a stream.
func storedOf(msg *nats.Msg) stored {
	at, err := time.Parse(time.RFC3339Nano, msg.Header.Get(timeHeader))
	if err != nil {
		at = time.Time{} // NATS does not write another
	}
	m := stored{number(msg, seqHeader), at, msg.Data}
	if len(m.data) == 0 {
		m.data = nil
	}
	return m
}

// The headers that NATS gives to messages of a stream.
const (
	seqHeader  = "Nats-Sequence"
	lastHeader = "Nats-Last-Sequence"
	timeHeader = "Nats-Time-Stamp"
)

// extract is what was read of a channel.
type extract struct {
	list    []stored
	trimmed bool   // older ones were read and dropped
	oldest  stored // of the stream, of any channel; none if list shows whether something is missing
}

// evicted reports whether the stream may have dropped what came after a position because
// it was full: it has nothing that is as old.
func (e *extract) evicted(since Position) bool {
	return e.oldest.seq > max(1, since.Seq+1) && e.oldest.at.After(since.Time)
}

// read returns the publications of a channel from a sequence on, that one included, with
// all that were acknowledged when it was called. It keeps the last of them, as many
// as said, and at most maxRead bytes. It asks the copies of all nodes in turn until one
// has the last one.
func (h *history) read(ctx context.Context, s *shard, subject string, from uint64, keep int) (extract, error) {
	e, err := h.readChannel(ctx, s, subject, from, keep)
	if err != nil || e.trimmed || len(e.list) > 0 && e.list[0].seq == from {
		return e, err
	}
	e.oldest, err = h.oldest(ctx, s)
	return e, err
}

// oldest returns the number and the time of the oldest message that a stream has, of any
// channel, without its data, which may be large.
func (h *history) oldest(ctx context.Context, s *shard) (m stored, err error) {
	err = h.again(ctx, func() error {
		try, cancel := context.WithTimeout(ctx, askTimeout)
		defer cancel()
		stream, err := h.n.js.Stream(try, s.stream)
		if err != nil {
			return errors.Join(errTryAgain, err)
		}
		state := stream.CachedInfo().State
		m = stored{seq: state.FirstSeq, at: state.FirstTime}
		return nil
	})
	return m, err
}

func (h *history) readChannel(ctx context.Context, s *shard, subject string, from uint64, keep int) (e extract, err error) {
	last, ok, err := h.last(ctx, s, subject)
	if err != nil || !ok || last.seq < from {
		return e, err
	}
	if last.seq == from || keep == 1 {
		if len(last.data) == 0 {
			last.data = nil
		}
		return extract{list: []stored{last}, trimmed: last.seq != from}, nil
	}
	r := newReader(h, s, subject, from, keep)
	for tries := 0; r.next <= last.seq; {
		moved, err := r.more(ctx, h.n.source(tries))
		switch {
		case err != nil && !errors.Is(err, errTryAgain):
			return e, err
		case moved:
			continue
		}
		// The copy is behind, or what was the last one has expired.
		if tries++; tries%5 == 0 {
			var ok bool
			if last, ok, err = h.last(ctx, s, subject); err != nil || !ok {
				return e, err
			}
		}
		if err := pause(ctx, askPause); err != nil {
			return e, err
		}
	}
	e, err = h.confirm(ctx, s, subject, from, r)
	if err == nil && e.trimmed && len(e.list) == 0 { // others have come meanwhile
		return h.readChannel(ctx, s, subject, from, keep)
	}
	return e, err
}

// confirm returns what was read as far as the leader of the stream still has it. A copy that
// catches up gets what the leader has, behind what it had itself, and so it may lack what
// is between. What the leader has no longer may also have been the oldest of a full history.
func (h *history) confirm(ctx context.Context, s *shard, subject string, from uint64, r *reader) (e extract, err error) {
	first, ok, err := h.fromLeader(ctx, s, getRequest{Seq: max(from, 1), NextFor: subject})
	if err != nil || !ok {
		return e, err
	}
	e = extract{list: r.list, trimmed: r.trimmed}
	for len(e.list) > 0 && e.list[0].seq < first.seq {
		e.list, e.trimmed = e.list[1:], true
	}
	return e, nil
}

// reader reads the publications of a channel one after the other.
type reader struct {
	h       *history
	s       *shard
	subject string
	keep    int // of the last ones, and at most maxRead bytes

	next    uint64 // what it asks for
	list    []stored
	bytes   int
	trimmed bool // some are not kept
}

func newReader(h *history, s *shard, subject string, from uint64, keep int) *reader {
	return &reader{h: h, s: s, subject: subject, keep: keep, next: from}
}

// more reads some more from the copy of a node, and reports whether there was any. The copy
// may be behind, see confirm.
func (r *reader) more(ctx context.Context, node string) (moved bool, err error) {
	request := getRequest{Seq: r.next, NextFor: r.subject, Batch: askBatch, MaxBytes: askBytes}
	_, err = r.h.get(ctx, r.s, node, request, func(msg *nats.Msg) {
		m := storedOf(msg)
		if m.seq < r.next {
			return
		}
		r.list, r.next, moved = append(r.list, m), m.seq+1, true
		for r.bytes += len(m.data); len(r.list) > r.keep || r.bytes > maxRead && len(r.list) > 1; r.trimmed = true {
			r.bytes -= len(r.list[0].data)
			r.list = r.list[1:]
		}
	})
	return moved, err
}
