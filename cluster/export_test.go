package cluster

import (
	"context"
	"errors"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/socketcluster-go/socketcluster/auth/revoke"
	"github.com/socketcluster-go/socketcluster/internal/presence"
)

// StreamOf tells the streams of channels apart.
func StreamOf(channel string) string { return strconv.Itoa(int(shardNumber(channel))) }

// stream returns the name of the stream of a channel.
func (n *Node) stream(channel string) string { return n.history.rule(channel).shardOf(channel).stream }

// Leader returns the name of the node that leads the stream of a channel, "" if none does.
func (n *Node) Leader(ctx context.Context, channel string) string {
	stream, err := n.js.Stream(ctx, n.stream(channel))
	if err != nil || stream.CachedInfo().Cluster == nil {
		return ""
	}
	return stream.CachedInfo().Cluster.Leader
}

// Copies returns how many copies the stream of a channel has.
func (n *Node) Copies(ctx context.Context, channel string) int {
	stream, err := n.js.Stream(ctx, n.stream(channel))
	if err != nil {
		return 0
	}
	return stream.CachedInfo().Config.Replicas
}

// Complete returns how many copies of the stream of a channel count, which are those
// that have what the leader has, or are about to.
func (n *Node) Complete(ctx context.Context, channel string) int {
	stream, err := n.js.Stream(ctx, n.stream(channel))
	if err != nil || stream.CachedInfo().Cluster == nil || stream.CachedInfo().Cluster.Leader == "" {
		return 0
	}
	copies := 1
	for _, peer := range stream.CachedInfo().Cluster.Replicas {
		if peer.Current && !peer.Offline && peer.Lag < 100 && peer.Active > 0 { // it has been heard of
			copies++
		}
	}
	return copies
}

// RevocationsStream returns the name of the node that leads the stream of revocations, ""
// if none does, and how many copies have everything.
func (n *Node) RevocationsStream(ctx context.Context) (leader string, copies int) {
	stream, err := n.js.Stream(ctx, n.o.Prefix+"-revocations")
	if err != nil || stream.CachedInfo().Cluster == nil {
		return "", 0
	}
	copies = 1
	for _, peer := range stream.CachedInfo().Cluster.Replicas {
		if peer.Current && !peer.Offline {
			copies++
		}
	}
	return stream.CachedInfo().Cluster.Leader, copies
}

// LimitRevocations sets the most revocations of the cluster, which must be the same on all nodes.
// It comes before Revocations.
func (n *Node) LimitRevocations(limit int) { n.revocationLimit = limit }

// Targets returns how many messages with revocations the stream has.
func (n *Node) Targets(ctx context.Context) (int, error) {
	stream, err := n.js.Stream(ctx, n.o.Prefix+"-revocations")
	if err != nil {
		return 0, err
	}
	info, err := stream.Info(ctx, jetstream.WithSubjectFilter(n.subject("rv.r.>")))
	if err != nil {
		return 0, err
	}
	return len(info.State.Subjects), nil
}

// LastRevocation returns the sequence of the last message with a revocation.
func (n *Node) LastRevocation(ctx context.Context) (uint64, error) {
	m, _, err := n.fromLeader(ctx, n.o.Prefix+"-revocations", context.Background, getRequest{LastFor: n.subject("rv.r.>")})
	return m.seq, err
}

// Confirmed returns up to when all that was stored is known to be in force on the node.
func (rv *Revocations) Confirmed() time.Time {
	rv.mu.Lock()
	defer rv.mu.Unlock()
	return rv.confirmed
}

// FillRevocations stores so many marks of nodes that are gone, before what the node adds later.
func (n *Node) FillRevocations(marks int) error {
	for i := range marks {
		if err := n.nc.Publish(n.subject("rv.m.gone-"+strconv.Itoa(i)), nil); err != nil {
			return err
		}
	}
	return nil
}

// WatchLoad watches the revocations of the node from the begin of their load. watched reports
// whether that has begun.
func (n *Node) WatchLoad(fn func(revoke.Revocation)) (watched func() bool) {
	var began atomic.Bool
	go func() {
		for n.revocations.Load() == nil {
			runtime.Gosched()
		}
		n.revocations.Load().Watch(fn)
		began.Store(true)
	}()
	return began.Load
}

// Subscriptions returns how many subscriptions the node has at NATS.
func (n *Node) Subscriptions() int { return n.nc.NumSubscriptions() }

// Forge sends a live publication to the other nodes that says that there was one before
// it which they have not got.
func (n *Node) Forge(channel string, seq uint64) error {
	return n.nc.PublishMsg(n.forged(channel, seq))
}

// ForgeHere is Forge for this node and the others.
func (n *Node) ForgeHere(channel string, seq uint64) error {
	return n.asAnother(n.forged(channel, seq))
}

func (n *Node) forged(channel string, seq uint64) *nats.Msg {
	return &nats.Msg{
		Subject: n.channels.subject(channel), Data: []byte("1"),
		Header: nats.Header{seqHeader: {strconv.FormatUint(seq, 10)}, lastHeader: {strconv.FormatUint(seq-1, 10)}},
	}
}

// PublishUnseen stores a publication, and does not look whether it is delivered here.
func (n *Node) PublishUnseen(channel, data string) error {
	return n.asAnother(&nats.Msg{Subject: n.history.rule(channel).shardOf(channel).subject(channel), Data: []byte(data)})
}

// asAnother sends a message by a connection of its own, so that the node gets it, too.
func (n *Node) asAnother(msg *nats.Msg) error {
	nc, err := n.engine.connect("test")
	if err != nil {
		return err
	}
	defer nc.Close()
	if err := nc.PublishMsg(msg); err != nil {
		return err
	}
	return nc.Flush()
}

// Deafen makes the node get no live publications of a channel any more.
func (n *Node) Deafen(channel string) error {
	n.channels.mu.Lock()
	defer n.channels.mu.Unlock()
	return n.channels.subs[channel].Unsubscribe()
}

// Server returns the NATS server of the node.
func (n *Node) Server() *server.Server { return n.engine.srv }

// Mute makes a NATS server lose all requests of its clients about the stream of a channel.
// After stop they are told that nobody answers.
func (n *Node) Mute(srv *server.Server, channel string) (stop func(), err error) {
	return n.mute(srv, n.history.rule(channel).shardOf(channel).stream)
}

// CutRevocations makes a node get no live revocations any more. Its NATS loses its marks,
// and all its requests about the stream.
func (n *Node) CutRevocations() (stop func(), err error) {
	rv := n.revocations.Load()
	if err := rv.live.Unsubscribe(); err != nil {
		return nil, err
	}
	return n.mute(n.engine.srv, rv.stream, n.subject("rv.m."+n.o.Name))
}

// mute makes a NATS server lose all requests about a stream, and other subjects.
func (n *Node) mute(srv *server.Server, stream string, subjects ...string) (stop func(), err error) {
	nc, err := n.engine.connect("test")
	if err != nil {
		return nil, err
	}
	// Without a subscription, NATS would say that nobody answers.
	if _, err := nc.SubscribeSync("nowhere"); err != nil {
		return nil, err
	}
	for _, request := range []string{"STREAM.INFO.", "STREAM.MSG.GET.", "DIRECT.GET."} {
		subjects = append(subjects, "$JS.API."+request+stream)
	}
	for _, subject := range subjects {
		if err := srv.GlobalAccount().AddMapping(subject, "nowhere"); err != nil {
			return nil, err
		}
	}
	return nc.Close, nc.Flush()
}

// Stick makes the node hear of publications to the stream of a channel that they are in process,
// until heal. asked returns how often a node asked for another leader of it.
func (n *Node) Stick(channel string) (asked func() int64, heal func(), err error) {
	s := n.history.rule(channel).shardOf(channel)
	return n.stick(s.stream, s.subjects+"*")
}

// Subscription returns the subscription of NATS that a channel has, nil for none.
func (n *Node) Subscription(channel string) *nats.Subscription {
	n.channels.mu.Lock()
	defer n.channels.mu.Unlock()
	return n.channels.subs[channel]
}

// LeaveSooner makes the channels that nobody is subscribed to have lingered for longer.
func (n *Node) LeaveSooner(by time.Duration) {
	n.channels.mu.Lock()
	defer n.channels.mu.Unlock()
	for channel, since := range n.channels.leaving {
		n.channels.leaving[channel] = since.Add(-by)
	}
}

// LingerTime and MaxLeaving are lingerTime and maxLeaving.
const (
	LingerTime = lingerTime
	MaxLeaving = maxLeaving
)

// CanStore reports whether a leader can store something if the other copies are in these
// states: "" for one that has all, "behind", "silent" and "offline".
func CanStore(others ...string) bool {
	c := &jetstream.ClusterInfo{}
	for _, state := range others {
		c.Replicas = append(c.Replicas, &jetstream.PeerInfo{Current: state != "behind", Offline: state == "offline", Active: time.Second})
		if state == "silent" {
			c.Replicas[len(c.Replicas)-1].Active = 2 * time.Second
		}
	}
	return canStore(c, 2*time.Second)
}

// StickRevocations is the same for revocations.
func (n *Node) StickRevocations() (asked func() int64, heal func(), err error) {
	return n.stick(n.revocations.Load().stream, n.subject("rv.r.*"))
}

func (n *Node) stick(stream, subjects string) (asked func() int64, heal func(), err error) {
	nc, err := n.engine.connect("test")
	if err != nil {
		return nil, nil, err
	}
	account := n.engine.srv.GlobalAccount()
	var count atomic.Int64
	_, refuse := nc.Subscribe("stuck", func(msg *nats.Msg) {
		_ = msg.Respond([]byte(`{"error":{"code":409,"err_code":10158,"description":"duplicate message id is in process"}}`))
	})
	_, listen := nc.Subscribe("$JS.API.STREAM.LEADER.STEPDOWN."+stream, func(*nats.Msg) { count.Add(1) })
	if err := errors.Join(refuse, listen, nc.Flush(), account.AddMapping(subjects, "stuck")); err != nil {
		nc.Close()
		return nil, nil, err
	}
	return count.Load, func() {
		account.RemoveMapping(subjects)
		nc.Close()
	}, nil
}

// SyncsAlways reports whether NATS writes through to the disk.
func (n *Node) SyncsAlways() bool { return n.engine.srv.JetStreamConfig().SyncAlways }

// Fail ends the NATS of a node as if its process had: nobody is told.
func (n *Node) Fail() { n.engine.srv.Shutdown() }

// Silence ends the connection of a node to NATS, without a farewell.
func (n *Node) Silence() { n.nc.Close() }

// Waiting returns of how many leaves another node should run the hook.
func (p *Presence) Waiting() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.state.Waiting()
}

// Enter adds a row without a socket.
func (p *Presence) Enter(channel, user, socket string) {
	p.mu.Lock()
	p.state.Enter(presence.Row{Key: presence.Key{Channel: channel, Socket: socket}, User: user}, time.Now())
	p.mu.Unlock()
	wake(p.kick)
}

// RemoveHistory removes the stream of a channel.
func (n *Node) RemoveHistory(ctx context.Context, channel string) error {
	return n.js.DeleteStream(ctx, n.stream(channel))
}

// StepDown makes another node lead the stream of a channel. It asks until there is a leader
// to do it.
func (n *Node) StepDown(ctx context.Context, channel string) error {
	for {
		try, cancel := context.WithTimeout(ctx, time.Second)
		answer, err := n.nc.RequestWithContext(try, "$JS.API.STREAM.LEADER.STEPDOWN."+n.stream(channel), nil)
		cancel()
		if err == nil && !strings.Contains(string(answer.Data), `"error"`) {
			return nil
		}
		if err := pause(ctx, askPause); err != nil {
			return err
		}
	}
}

// Disturbed returns when live publications may have been lost, in nanoseconds since 1970.
func (n *Node) Disturbed() int64 { return n.history.disturbed.Load() }

// Disturb makes the node believe that live publications may have been lost.
func (n *Node) Disturb() { n.history.suspect() }

// KeepHistory looks after the stream of a channel.
func (n *Node) KeepHistory(channel string) error {
	_, err := n.history.keep(n.history.rule(channel).shardOf(channel))
	return err
}

// Sure returns up to when the node knows that it has missed nothing of a channel.
func (n *Node) Sure(channel string) time.Time {
	f := n.history.follower(channel)
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.sure
}

// Leaderless makes the NATS of a node answer questions about the stream of a channel as while a
// leader of the cluster is elected.
func (n *Node) Leaderless(channel string) (heal func(), err error) {
	nc, err := n.engine.connect("test")
	if err != nil {
		return nil, err
	}
	_, refuse := nc.Subscribe("leaderless", func(msg *nats.Msg) {
		_ = msg.Respond([]byte(`{"error":{"code":503,"err_code":10008,"description":"JetStream system temporarily unavailable"}}`))
	})
	account, stream := n.engine.srv.GlobalAccount(), n.stream(channel)
	for _, question := range []string{askMessage, askState} {
		refuse = errors.Join(refuse, account.AddMapping(apiPrefix+question+stream, "leaderless"))
	}
	if err := errors.Join(refuse, nc.Flush()); err != nil {
		nc.Close()
		return nil, err
	}
	return func() {
		for _, question := range []string{askMessage, askState} {
			account.RemoveMapping(apiPrefix + question + stream)
		}
		nc.Close()
	}, nil
}

// Confirmed reports whether the node leads the stream of a channel, and a majority says so.
func (n *Node) Confirmed(channel string) bool { return n.led.confirmed(n.stream(channel)) }

// HasCopy reports whether the copy of the stream of a channel on a node answers another one. It waits for
// an answer for five seconds.
func (n *Node) HasCopy(ctx context.Context, node, channel string) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	msg, err := n.nc.RequestWithContext(ctx, n.copyOf(node, n.stream(channel)), []byte(`{"seq":1,"next_by_subj":">"}`))
	if errors.Is(err, nats.ErrNoResponders) {
		return false, nil
	}
	return err == nil && msg.Header.Get("Status") != noCopy, err
}
