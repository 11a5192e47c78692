package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Questions about a stream, to which its name is added. Only its leader answers them.
const (
	askMessage = "STREAM.MSG.GET."
	askState   = "STREAM.INFO."
)

// Where they are asked: of an outside NATS, and of the nodes of a cluster, see ledStreams.
const (
	apiPrefix = "$JS.API."
	ledPrefix = "n.led."
)

// followSubject is where a node asks the others whether they follow it.
const followSubject = "n.follow"

// ledStreams answers questions about the streams that this node leads, from its own copy. Before it
// answers, a majority of the copies must say that they follow this node in its term, so that there
// was no other leader when the question came: the answer has all that was acknowledged before.
//
// NATS could answer them, too. But while a leader of the cluster is elected, it answers none, for
// seconds, although the streams have leaders. And a leader that was cut off or stopped answers
// before it hears of the next one.
type ledStreams struct {
	n      *Node
	nc     *nats.Conn // not that of the node, which gets nothing of what it sends
	ctx    context.Context
	cancel context.CancelFunc
	over   sync.WaitGroup

	mu      sync.Mutex
	waiting map[string][]*nats.Msg // questions about a stream, while a goroutine answers those
}

// newLedStreams returns nil for a node without a NATS of its own.
func newLedStreams(n *Node) (*ledStreams, error) {
	if n.engine.srv == nil {
		return nil, nil
	}
	nc, err := n.engine.connect("leader")
	if err != nil {
		return nil, err
	}
	l := &ledStreams{n: n, nc: nc, waiting: make(map[string][]*nats.Msg)}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	if _, err = nc.Subscribe(n.subject(ledPrefix+">"), l.take); err == nil {
		_, err = nc.Subscribe(n.subject(followSubject), l.follow)
	}
	if err != nil {
		l.end()
		return nil, fmt.Errorf("cluster: %w", err)
	}
	return l, nil
}

// end ends it.
func (l *ledStreams) end() {
	if l == nil {
		return
	}
	l.mu.Lock()
	l.cancel() // take begins nothing any more
	l.mu.Unlock()
	l.nc.Close()
	l.over.Wait()
}

// question returns the parts of a question.
func (l *ledStreams) question(msg *nats.Msg) (kind, stream string) {
	text := msg.Subject[len(l.n.subject(ledPrefix)):]
	dot := strings.LastIndexByte(text, '.') + 1
	return text[:dot], text[dot:]
}

// take takes a question.
func (l *ledStreams) take(msg *nats.Msg) {
	_, stream := l.question(msg)
	if !l.leading(stream) {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	waiting, busy := l.waiting[stream]
	l.waiting[stream] = append(waiting, msg)
	if !busy && l.ctx.Err() == nil {
		l.over.Go(func() { l.answer(stream) })
	}
}

// leading reports whether this node leads a stream, and its copy has all that was acknowledged before.
func (l *ledStreams) leading(stream string) bool {
	return l.n.engine.srv.GlobalAccount().JetStreamIsStreamLeader(stream)
}

// answer answers questions about a stream until none waits. Those that come while others are asked
// whether they follow wait for the next time.
func (l *ledStreams) answer(stream string) {
	for {
		l.mu.Lock()
		batch := l.waiting[stream]
		if len(batch) == 0 {
			delete(l.waiting, stream)
			l.mu.Unlock()
			return
		}
		l.waiting[stream] = nil
		l.mu.Unlock()
		begun := time.Now()
		if !l.confirmed(stream) {
			continue // those who ask will ask again
		}
		for _, msg := range batch {
			if err := l.respond(msg, begun); err != nil {
				l.n.o.Logger.Debug("cluster: an answer is lost", slog.String("stream", stream), slog.Any("error", err))
			}
		}
	}
}

// respond answers a question: for a message as to directGet, for the state of the stream, at a time,
// as NATS does.
func (l *ledStreams) respond(msg *nats.Msg, at time.Time) error {
	kind, stream := l.question(msg)
	if kind == askMessage {
		return l.nc.PublishRequest(directGet+stream, msg.Reply, msg.Data)
	}
	s := l.detail(stream)
	if s == nil {
		return nil
	}
	data, err := json.Marshal(jetstream.StreamInfo{
		TimeStamp: at.UTC(), // without what NATS says of the copies: a majority has just answered
		State: jetstream.StreamState{
			Msgs: s.State.Msgs, FirstSeq: s.State.FirstSeq, FirstTime: s.State.FirstTime, LastSeq: s.State.LastSeq, LastTime: s.State.LastTime,
		},
	})
	if err != nil {
		return err
	}
	return msg.Respond(data)
}

// detail returns what the server of the node says of a stream that it leads, nil for another.
func (l *ledStreams) detail(stream string) *server.StreamDetail {
	all := l.n.engine.led()
	for i := range all {
		if all[i].Name == stream {
			return &all[i]
		}
	}
	return nil
}

// confirmed reports whether this node leads a stream, and a majority of the copies follow it. It
// asks them again if they have not heard of it yet, or do not answer, for maxAskTimeout at most.
func (l *ledStreams) confirmed(stream string) bool {
	inbox := l.nc.NewInbox()
	sub, err := l.nc.SubscribeSync(inbox)
	if err != nil {
		return false
	}
	defer func() { _ = sub.Unsubscribe() }()
	ctx, cancel := context.WithTimeout(l.ctx, maxAskTimeout)
	defer cancel()
	term, follow := uint64(0), make(map[string]bool) // who follows this node in a term
	return terms(context.Background).again(ctx, func(wait time.Duration) error {
		name, own, err := l.leads(stream)
		switch {
		case err != nil:
			return err
		case name == "":
			return nil // there is one copy
		case own.Term != term:
			clear(follow)
			term = own.Term
		}
		if err := l.nc.PublishRequest(l.n.subject(followSubject), inbox, []byte(name)); err != nil {
			return errClosed
		}
		try, cancel := context.WithTimeout(ctx, wait)
		defer cancel()
		// An answer may come after they have been asked again.
		for others := 0; len(follow) < own.QuorumNeeded; {
			msg, err := sub.NextMsgWithContext(try)
			if err != nil {
				return errors.Join(errTryAgain, err)
			}
			var f following
			if err := json.Unmarshal(msg.Data, &f); err != nil {
				return err
			}
			if f.Leader == own.ID && f.Term == term {
				follow[f.Node] = true
			} else if others++; others > own.Size-own.QuorumNeeded {
				return errTryAgain
			}
		}
		return nil
	}) == nil
}

// errNotLed is the error of a node that does not lead a stream.
var errNotLed = errors.New("cluster: the node does not lead the stream")

// leads returns the group of Raft of a stream that this node leads, and its name, "" if there is one copy.
func (l *ledStreams) leads(stream string) (name string, own server.RaftzGroup, err error) {
	s := l.detail(stream)
	switch {
	case s == nil:
		return "", own, errNotLed
	case s.Cluster == nil || s.Cluster.RaftGroup == "":
		return "", own, nil
	}
	own, ok := l.group(s.Cluster.RaftGroup)
	if !ok || !l.leading(stream) {
		return "", own, errNotLed
	}
	return s.Cluster.RaftGroup, own, nil
}

// following is what a node with a copy says when it is asked by the name of the group. Others are
// silent.
type following struct {
	Node   string `json:"node"`
	Leader string `json:"leader"` // by its id in the group, this node or another one, "" if it knows of none
	Term   uint64 `json:"term"`
}

// follow answers which leader this node follows, or that it leads itself.
func (l *ledStreams) follow(msg *nats.Msg) {
	g, ok := l.group(string(msg.Data))
	if !ok {
		return
	}
	data, err := json.Marshal(following{l.n.o.Name, g.Leader, g.Term})
	if err == nil {
		err = msg.Respond(data)
	}
	if err != nil {
		l.n.o.Logger.Debug("cluster: an answer is lost", slog.Any("error", err))
	}
}

// group returns a group of Raft.
func (l *ledStreams) group(name string) (g server.RaftzGroup, ok bool) {
	if name == "" {
		return g, false // it would be all
	}
	status := l.n.engine.srv.Raftz(&server.RaftzOptions{AccountFilter: streamAccount, GroupFilter: name})
	if status == nil {
		return g, false
	}
	g, ok = (*status)[streamAccount][name]
	return g, ok
}
