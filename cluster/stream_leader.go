package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// unavailable is the code of errors of JetStream when nobody leads the stream, or the cluster.
const unavailable = 503

// terms tells when a stream may have another leader: it returns a context that ends then.
// context.Background is for a stream of which nobody tells.
type terms func() context.Context

// until returns a context that ends after a time, or when the stream may have another leader: that
// one answers nothing that the one before was asked.
func (t terms) until(ctx context.Context, wait time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(ctx, wait)
	stop := context.AfterFunc(t(), cancel)
	return ctx, func() {
		stop()
		cancel()
	}
}

// again calls ask until it returns another error than errTryAgain, or ctx ends. ask is told
// how long to wait for an answer.
func (t terms) again(ctx context.Context, ask func(wait time.Duration) error) error {
	for wait := askTimeout; ; {
		term := t()
		err := ask(wait)
		switch {
		case !errors.Is(err, errTryAgain):
			return err
		case errors.Is(err, nats.ErrConnectionClosed):
			return errClosed
		}
		if wait = longer(wait); term.Err() != nil {
			wait = askTimeout // the leader that did not answer is another one now
		}
		if err := pause(ctx, askPause); err != nil {
			return err
		}
	}
}

// longer returns how long to wait for an answer that has not come for so long.
func longer(wait time.Duration) time.Duration { return min(2*wait, maxAskTimeout) }

// askLeader asks what only the leader of a stream answers, until ctx ends, and passes each answer to
// parse, until that returns another error than errTryAgain. An answer may come after the question
// was asked again, as the leader asks others first (see ledStreams). A server of an outside NATS whose
// own copy knows of no leader answers, too, and sooner: that there is none.
func (n *Node) askLeader(ctx context.Context, t terms, question string, request []byte, parse func(*nats.Msg) error) error {
	subject := n.subject(ledPrefix + question)
	if n.engine.srv == nil {
		subject = apiPrefix + question
	}
	inbox := n.nc.NewInbox()
	sub, err := n.nc.SubscribeSync(inbox)
	if err != nil {
		return errClosed
	}
	defer func() { _ = sub.Unsubscribe() }()
	return t.again(ctx, func(wait time.Duration) error {
		try, cancel := t.until(ctx, wait)
		defer cancel()
		if err := n.nc.PublishRequest(subject, inbox, request); err != nil {
			return errClosed
		}
		for {
			msg, err := sub.NextMsgWithContext(try)
			if err != nil {
				return errors.Join(errTryAgain, err)
			}
			if err = parse(msg); !errors.Is(err, errTryAgain) {
				return err
			}
		}
	})
}

// fromLeader returns one message of a stream. Only the leader of a stream answers to this,
// which has all that was acknowledged; a copy may be behind. ok is false if there is none.
func (n *Node) fromLeader(ctx context.Context, stream string, t terms, r getRequest) (m stored, ok bool, err error) {
	request, err := json.Marshal(r)
	if err != nil {
		return m, false, err
	}
	err = n.askLeader(ctx, t, askMessage+stream, request, func(msg *nats.Msg) error {
		switch msg.Header.Get("Status") {
		case "":
			if msg.Header != nil {
				m, ok = storedOf(msg), true
				return nil
			}
		case "404":
			return nil
		default:
			return errTryAgain // the copy is not open to requests
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
			return errors.Join(errTryAgain, err)
		case answer.Message != nil:
			m, ok = stored{answer.Message.Seq, answer.Message.Time, answer.Message.Data}, true
			return nil
		case answer.Error != nil && answer.Error.ErrCode == server.JSNoMessageFoundErr:
			return nil
		case answer.Error != nil && answer.Error.Code == unavailable:
			return errors.Join(errTryAgain, answer.Error)
		case answer.Error != nil:
			return answer.Error
		}
		return errors.New("cluster: the answer of the stream is empty")
	})
	return m, ok, err
}

// streamState is what the leader of a stream says of it.
type streamState struct {
	led  bool      // a majority of the copies follows the leader
	at   time.Time // by the clock of the leader
	last uint64    // the number of the last message

	// The number and the time of the oldest message of any channel, without its data. In an
	// empty stream, the number is that of the next one, and the time that of the last one.
	oldest stored
}

// state asks the leader of a stream.
func (h *history) state(ctx context.Context, s *shard) (state streamState, err error) {
	err = h.n.askLeader(ctx, s.getTerm, askState+s.stream, nil, func(msg *nats.Msg) error {
		var info struct {
			jetstream.StreamInfo
			Error *apiError `json:"error"`
		}
		err := json.Unmarshal(msg.Data, &info)
		switch {
		case err == nil && info.Error != nil:
			err = info.Error // it may be one of a copy that knows of no stream yet
		case err == nil && info.Cluster != nil && info.Cluster.Leader == "":
			return errTryAgain // it is a copy that knows of no leader
		}
		if err != nil {
			return errors.Join(errTryAgain, err)
		}
		state = stateOf(&info.StreamInfo)
		return nil
	})
	if err == nil && state.oldest.seq > 1 && state.oldest.at.Unix() <= 0 {
		state.oldest.at, err = h.timeOf(ctx, s, state.oldest.seq, state.at)
	}
	return state, err
}

// timeOf returns when a message of a stream was stored, of which NATS has only the number at
// hand, as it may after it has dropped others or has caught up; or now if it is gone.
func (h *history) timeOf(ctx context.Context, s *shard, seq uint64, now time.Time) (time.Time, error) {
	m, ok, err := h.n.fromLeader(ctx, s.stream, s.getTerm, getRequest{Seq: seq})
	if err != nil || !ok {
		return now, err
	}
	return m.at, nil
}

func stateOf(info *jetstream.StreamInfo) streamState {
	state := streamState{
		led: led(info.Cluster), at: info.TimeStamp, last: info.State.LastSeq,
		oldest: stored{seq: info.State.FirstSeq, at: info.State.FirstTime},
	}
	if info.State.Msgs == 0 {
		state.oldest = stored{seq: info.State.LastSeq + 1, at: info.State.LastTime}
	}
	return state
}

// fresh is the time since which a leader must have heard of a majority, so that there is
// no other one. NATS waits for longer before it elects another.
const fresh = 3 * time.Second

// led reports whether a leader is followed by a majority of the copies. One that is cut
// off does not know at once that it does not lead any more.
func led(info *jetstream.ClusterInfo) bool {
	if info == nil {
		return true // there is one copy
	}
	return majority(info, fresh, func(*jetstream.PeerInfo) bool { return true })
}

// canStore reports whether a majority of the copies of a stream has what its leader has, and has
// answered it within a time. NATS says much later that a copy is offline.
func canStore(info *jetstream.ClusterInfo, within time.Duration) bool {
	return majority(info, within, func(peer *jetstream.PeerInfo) bool { return peer.Current })
}

// majority reports whether a leader, and the copies that have answered it within a time and of
// which ok is true, are a majority.
func majority(info *jetstream.ClusterInfo, within time.Duration, ok func(*jetstream.PeerInfo) bool) bool {
	copies := 1
	for _, peer := range info.Replicas {
		if !peer.Offline && peer.Active > 0 && peer.Active < within && ok(peer) {
			copies++
		}
	}
	return copies > (len(info.Replicas)+1)/2
}
