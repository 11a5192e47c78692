package cluster

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// ErrAlive is the error of the removal of a node that is alive.
var ErrAlive = errors.New("cluster: the node is alive: stop it first, and for good")

// Remove removes a node that is gone for good from those that elect who may start and
// change streams, and returns the others, sorted. It takes a majority of all, the removed
// one included. Streams of which the node had a copy get another one on a node that has
// none of it, and have one less if there is no such node.
//
// The options are those of any node. Remove becomes none: it connects to the others by
// Routes, and ignores Name, Listen, Advertise, StoreDir, SyncAlways, Witness and History. It listens
// for 3 seconds whether the node lives, asks the leader, for 4 more if that was just elected,
// and fails with [ErrAlive] if it does. It waits for a leader until ctx ends. name may be
// the ID that an error of Remove shows of a node whose name the leader does not know, as it
// has not seen it. With an outside NATS, nats server cluster peer-remove does the same.
//
// The store of the removed node must not be used again. A node with its name and an empty
// store is a new one.
func Remove(ctx context.Context, o Options, name string) (left []string, err error) {
	if o.URL != "" {
		return nil, errors.New("cluster: with Options.URL, NATS is outside: nats server cluster peer-remove removes one of its servers")
	}
	o.Name, o.Listen, o.Advertise = "remove-"+rand.Text()[:8], "127.0.0.1:0", ""
	o.StoreDir, o.SyncAlways, o.Witness, o.History = "", false, false, nil
	if err := o.setDefaults(); err != nil {
		return nil, err
	}
	e, err := startEngine(&o)
	if err != nil {
		return nil, err
	}
	defer e.stop()
	nc, err := e.connectAs(systemUser, "remove")
	if err != nil {
		return nil, err
	}
	defer nc.Close()
	heard, err := e.listen(ctx, o.Prefix+".n.beat")
	if err != nil {
		return nil, err
	}
	var (
		leader  string
		since   time.Time // when it first answered
		removed bool
	)
	for {
		all, err := electors(ctx, nc)
		if err != nil {
			return nil, err
		}
		if now := all[len(all)-1].Name; now != leader {
			leader, since = now, time.Now()
		}
		var names []string
		there := 0
		for _, p := range all {
			names = append(names, p.Name)
			if isThere(p) {
				there++
			}
		}
		slices.Sort(names)
		fresh := time.Since(since) < lifespan+beat
		i := slices.IndexFunc(all, func(p *server.PeerInfo) bool { return p.Name == name || p.Peer == name })
		switch {
		case i < 0 && removed:
			return names, nil
		case i < 0:
			return nil, fmt.Errorf("cluster: there is no node %q with storage; there are %q", name, names)
		case heard[name]:
			return nil, ErrAlive
		case fresh && (isThere(all[i]) || all[i].Active == 0 || there <= len(all)/2): // a leader that was just elected has to find out itself
		case isThere(all[i]):
			return nil, ErrAlive
		case there <= len(all)/2: // it would be stored, and be done when the node is back
			return nil, fmt.Errorf("cluster: of %d nodes with storage, %d are there: it takes a majority to remove one", len(all), there)
		default:
			if err := removePeer(ctx, nc, all[i].Peer); err != nil {
				return nil, err
			}
			removed = true
		}
		if err := pause(ctx, probePause); err != nil {
			return nil, fmt.Errorf("cluster: remove a node: %w", err)
		}
	}
}

// isThere reports whether the leader has heard of a node. Active is 0 if it never has.
func isThere(p *server.PeerInfo) bool { return !p.Offline && p.Active > 0 && p.Active < lifespan }

// listen returns the nodes that say that they are alive.
func (e *engine) listen(ctx context.Context, subject string) (names map[string]bool, err error) {
	nc, err := e.connect("listen")
	if err != nil {
		return nil, err
	}
	defer nc.Close()
	sub, err := nc.SubscribeSync(subject)
	if err != nil {
		return nil, fmt.Errorf("cluster: %w", err)
	}
	names = make(map[string]bool)
	ctx, cancel := context.WithTimeout(ctx, lifespan)
	defer cancel()
	for {
		msg, err := sub.NextMsgWithContext(ctx)
		if errors.Is(err, context.DeadlineExceeded) {
			return names, nil
		}
		if err != nil {
			return nil, fmt.Errorf("cluster: %w", err)
		}
		var b beatMessage
		if json.Unmarshal(msg.Data, &b) == nil && !b.Leaving {
			names[b.Node] = true
		}
	}
}

// systemTry is the time for one request about the cluster itself. Its leader may just be
// elected.
const systemTry = time.Second

// electors returns the nodes that elect who may start and change streams, as their leader,
// which is the last of them, sees them.
func electors(ctx context.Context, nc *nats.Conn) ([]*server.PeerInfo, error) {
	for {
		var answer struct {
			Data struct {
				Meta *server.MetaClusterInfo `json:"meta_cluster"`
			} `json:"data"`
		}
		err := askSystem(ctx, nc, "$SYS.REQ.SERVER.PING.JSZ", server.JSzOptions{LeaderOnly: true}, &answer)
		if m := answer.Data.Meta; err == nil && m != nil && m.Leader != "" {
			return append(m.Replicas, &server.PeerInfo{Name: m.Leader, Peer: m.Peer, Current: true, Active: 1}), nil
		}
		if paused := pause(ctx, probePause); paused != nil {
			return nil, errors.Join(errors.New("cluster: no node says that it leads the others: a majority of those with storage must be there, and Options.Secret be theirs"), paused, err)
		}
	}
}

// removePeer asks the leader to remove a node. An answer that is lost is no error: whoever asks
// looks whether the node is there, and asks again. Nor is it one that the leader is removing the node,
// or has removed it.
func removePeer(ctx context.Context, nc *nats.Conn, id string) error {
	var answer struct {
		Error *apiError `json:"error"`
	}
	err := askSystem(ctx, nc, server.JSApiRemoveServer, server.JSApiMetaServerRemoveRequest{Peer: id}, &answer)
	if err != nil || answer.Error == nil {
		return nil
	}
	switch answer.Error.ErrCode {
	case server.JSClusterServerMemberChangeInflightErr, server.JSClusterServerNotMemberErr:
		return nil
	}
	return fmt.Errorf("cluster: remove a node: %w", answer.Error)
}

func askSystem(ctx context.Context, nc *nats.Conn, subject string, question, answer any) error {
	text, err := json.Marshal(question)
	if err != nil {
		return fmt.Errorf("cluster: %w", err)
	}
	try, cancel := context.WithTimeout(ctx, systemTry)
	defer cancel()
	msg, err := nc.RequestWithContext(try, subject, text)
	if err != nil {
		return fmt.Errorf("cluster: %w", err)
	}
	if err := json.Unmarshal(msg.Data, answer); err != nil {
		return fmt.Errorf("cluster: %w", err)
	}
	return nil
}
