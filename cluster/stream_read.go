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

// last returns the last publication of a channel. Only the leader of a stream answers
// to this, which has all that was acknowledged; a copy may be behind. ok is
// false if there is none.
func (h *history) last(ctx context.Context, s *shard, subject string) (m stored, ok bool, err error) {
	request, err := json.Marshal(getRequest{LastFor: subject})
	if err != nil {
		return m, false, err
	}
	err = h.again(ctx, func(ctx context.Context) error {
		msg, err := h.n.nc.RequestWithContext(ctx, "$JS.API.STREAM.MSG.GET."+s.stream, request)
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

// again calls ask until it returns another error than errTryAgain, or ctx ends. It gives
// each try some time.
func (h *history) again(ctx context.Context, ask func(context.Context) error) error {
	for {
		try, cancel := context.WithTimeout(ctx, askTimeout)
		err := ask(try)
		cancel()
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

// get asks any copy of a stream for messages, and calls each for each. It returns the
// message after the last.
func (h *history) get(ctx context.Context, s *shard, r getRequest, each func(*nats.Msg)) (end *nats.Msg, err error) {
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
	if err := h.n.nc.PublishRequest("$JS.API.DIRECT.GET."+s.stream, inbox, request); err != nil {
		return nil, errClosed
	}
	for {
		msg, err := sub.NextMsgWithContext(ctx)
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

// read returns the publications of a channel from a sequence on, that one included, with
// all that were acknowledged when it was called. It keeps the last of them, as many
// as said, and at most maxRead bytes; trimmed is whether it dropped any.
func (h *history) read(ctx context.Context, s *shard, subject string, from uint64, keep int) (list []stored, trimmed bool, err error) {
	last, ok, err := h.last(ctx, s, subject)
	if err != nil || !ok || last.seq < from {
		return nil, false, err
	}
	if last.seq == from || keep == 1 {
		if len(last.data) == 0 {
			last.data = nil
		}
		return []stored{last}, last.seq != from, nil
	}
	bytes, next, idle := 0, from, 0
	for {
		before := next
		err = h.again(ctx, func(ctx context.Context) error {
			_, err := h.get(ctx, s, getRequest{Seq: next, NextFor: subject, Batch: askBatch, MaxBytes: askBytes}, func(msg *nats.Msg) {
				m := storedOf(msg)
				if m.seq < next {
					return
				}
				list, next = append(list, m), m.seq+1
				for bytes += len(m.data); len(list) > keep || bytes > maxRead && len(list) > 1; trimmed = true {
					bytes -= len(list[0].data)
					list = list[1:]
				}
			})
			return err
		})
		if err != nil || next > last.seq {
			return list, trimmed, err
		}
		if next > before {
			idle = 0
			continue
		}
		// The copy is behind, or what was the last one has expired.
		if idle++; idle%5 == 0 {
			if last, ok, err = h.last(ctx, s, subject); err != nil || !ok || last.seq < next {
				return list, trimmed, err
			}
		}
		if err := pause(ctx, askPause); err != nil {
			return nil, false, err
		}
	}
}
