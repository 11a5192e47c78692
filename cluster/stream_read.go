package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// stored is a publication as a stream has it.
type stored struct {
	seq  uint64
	at   time.Time
	data []byte // nil for none
}

// Requests to streams, and what they may take: a request is made again after askTimeout
// without an answer, and after twice as long each time, up to maxAskTimeout, as an answer may
// be large or its way long; or so long after an answer that is not enough yet.
const (
	askTimeout    = 250 * time.Millisecond
	maxAskTimeout = 2 * time.Second
	askPause      = 20 * time.Millisecond
	askBatch      = 256
	askBytes      = 1 << 20
)

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
	return h.n.fromLeader(ctx, s.stream, s.getTerm, getRequest{LastFor: subject})
}

// apiError is an error of JetStream.
type apiError struct {
	Code        int                    `json:"code"` // as of HTTP
	ErrCode     server.ErrorIdentifier `json:"err_code"`
	Description string                 `json:"description"`
}

// Error implements error.
func (e *apiError) Error() string {
	return "nats: " + e.Description + " (" + strconv.Itoa(int(e.ErrCode)) + ")"
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

// get asks for messages of a stream at a subject, see sources, and calls each for each. It returns
// the message after the last. If nothing comes for so long as it shall wait, the error is
// errTryAgain: a request or an answer may be lost.
func (h *history) get(ctx context.Context, subject string, r getRequest, wait time.Duration, each func(*nats.Msg)) (end *nats.Msg, err error) {
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
	if err := h.n.nc.PublishRequest(subject, inbox, request); err != nil {
		return nil, errClosed
	}
	for {
		next, cancel := context.WithTimeout(ctx, wait)
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
		case noCopy:
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

// want is what shall be read of a channel: the publications from a sequence on, that one
// included, and of these the last ones, count at most.
type want struct {
	from  uint64
	count int
	bytes int // of their data at most; but the last one in any case
}

// extract is what was read of a channel.
type extract struct {
	list    []stored
	trimmed bool   // older ones were read and dropped, or may have been: there are as many as were wanted
	cut     bool   // so many that fewer are left than were wanted, because of their bytes
	oldest  stored // see streamState; none if list shows whether something is missing
}

// evicted reports whether a stream whose oldest message this is may have dropped what came
// after a position because it was full: it has nothing that is as old.
func (m stored) evicted(since Position) bool {
	return m.seq > max(1, since.Seq+1) && m.at.Add(maxSkew).After(since.Time)
}

// read returns the publications of a channel, with all that were acknowledged when it was
// called. It asks in turn until a copy has the last one.
func (h *history) read(ctx context.Context, s *shard, subject string, w want) (extract, error) {
	e, err := h.readChannel(ctx, s, subject, w)
	if err != nil || e.trimmed || len(e.list) > 0 && e.list[0].seq == w.from {
		return e, err
	}
	state, err := h.state(ctx, s)
	e.oldest = state.oldest
	return e, err
}

// readChannel is read without the oldest message of the stream.
func (h *history) readChannel(ctx context.Context, s *shard, subject string, w want) (e extract, err error) {
	err = terms(s.getTerm).again(ctx, func(wait time.Duration) error {
		last, ok, err := h.last(ctx, s, subject)
		switch {
		case err != nil || !ok || last.seq < w.from:
			e = extract{}
			return err
		case last.seq == w.from || w.count == 1:
			if len(last.data) == 0 {
				last.data = nil
			}
			e = extract{list: []stored{last}, trimmed: last.seq != w.from}
			return nil
		}
		short := w
		short.bytes = min(w.bytes, shortRead)
		e, err = h.readUpTo(ctx, s, subject, short, short.bytes < w.bytes, last.seq, wait)
		if errors.Is(err, errLong) {
			e, err = h.readUpTo(ctx, s, subject, w, false, last.seq, wait)
		}
		return err
	})
	return e, err
}

// readTries is how often copies are asked in vain, one after the other, before the leader
// is asked again what the last publication is: it may have expired.
const readTries = 5

// errLong is the error of a read that was broken off, as there is more than it may hold.
var errLong = errors.New("cluster: there is too much to read")

// readUpTo reads what is wanted of a channel whose last publication is known, when the node has
// room for it. exact is set for a read that is of no use without all of it. The error is
// errTryAgain if no copy gets to the last one.
func (h *history) readUpTo(ctx context.Context, s *shard, subject string, w want, exact bool, last uint64, wait time.Duration) (e extract, err error) {
	leave, err := h.room.enter(ctx, w.bytes+askBytes+int(h.n.nc.MaxPayload()))
	if err != nil {
		return e, err
	}
	defer leave()
	r := &reader{h: h, subject: subject, want: w, next: w.from}
	sources := h.n.sources(s.stream)
	for source, vain := 0, 0; r.next <= last; {
		from := sources[source%len(sources)]
		moved, err := r.more(ctx, from, wait)
		switch {
		case err != nil && !errors.Is(err, errTryAgain):
			return e, err
		case exact && r.cut:
			return e, errLong
		case moved:
			vain = 0
			r.skip(ctx, from, wait, last)
			continue
		case err != nil:
			wait = longer(wait)
		}
		source++ // the copy is behind, or does not answer
		if vain++; vain == readTries {
			return e, errTryAgain
		}
		if err := pause(ctx, askPause); err != nil {
			return e, err
		}
	}
	r.cut = r.trimmed && len(r.list) < r.count
	// What was read may be taken off again, by confirm and by who has delivered less. So it counts
	// here whether the history was full.
	r.trimmed = r.trimmed || len(r.list) >= r.count
	e, err = h.confirm(ctx, s, subject, r)
	if err == nil && e.trimmed && len(e.list) == 0 {
		return e, errTryAgain // others have come meanwhile
	}
	return e, err
}

// confirm returns what was read as far as the leader of the stream still has it. A copy that
// catches up gets what the leader has, behind what it had itself, and so it may lack what
// is between. What the leader has no longer may also have been the oldest of a full history.
func (h *history) confirm(ctx context.Context, s *shard, subject string, r *reader) (e extract, err error) {
	first, ok, err := h.n.fromLeader(ctx, s.stream, s.getTerm, getRequest{Seq: max(r.from, 1), NextFor: subject})
	if err != nil || !ok {
		return e, err
	}
	e = r.extract
	for len(e.list) > 0 && e.list[0].seq < first.seq {
		e.list, e.trimmed = e.list[1:], true
	}
	return e, nil
}

// reader reads the publications of a channel one after the other.
type reader struct {
	want
	extract
	h       *history
	subject string
	next    uint64 // what it asks for
	left    uint64 // how many the copy has from there on
	size    int    // of what it keeps, in bytes of data
}

// more reads some more at a subject, and reports whether there was any. It may be a copy that is
// behind, see confirm.
func (r *reader) more(ctx context.Context, subject string, wait time.Duration) (moved bool, err error) {
	request := getRequest{Seq: r.next, NextFor: r.subject, Batch: askBatch, MaxBytes: askBytes}
	end, err := r.h.get(ctx, subject, request, wait, func(msg *nats.Msg) {
		if m := storedOf(msg); m.seq >= r.next {
			r.keep(m)
			moved = true
		}
	})
	r.left = 0
	if err == nil {
		r.left = number(end, "Nats-Num-Pending")
	}
	return moved, err
}

// skip goes on closer to the last publication if many more are left than are wanted, as none of
// what was read would be kept. It tries where twice as many should be left: if there are fewer than
// wanted, the reader goes on where it is.
func (r *reader) skip(ctx context.Context, subject string, wait time.Duration, last uint64) {
	wanted := uint64(r.count)
	if r.left <= 2*wanted || last <= r.next {
		return
	}
	there := last - (last-r.next)*2*wanted/r.left
	end, err := r.h.get(ctx, subject, getRequest{Seq: there, NextFor: r.subject, Batch: 1}, wait, func(*nats.Msg) {})
	if err == nil && number(end, "Nats-Num-Pending") >= wanted {
		r.next, r.list, r.size, r.trimmed = there, nil, 0, true
	}
}

// keep adds a publication, and drops what is not wanted any more.
func (r *reader) keep(m stored) {
	r.list, r.next = append(r.list, m), m.seq+1
	for r.size += len(m.data); len(r.list) > r.count || r.size > r.bytes && len(r.list) > 1; r.trimmed = true {
		r.cut = r.cut || len(r.list) <= r.count
		r.size -= len(r.list[0].data)
		r.list[0] = stored{} // the array still has it
		r.list = r.list[1:]
	}
}
