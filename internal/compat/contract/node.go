package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/auth/revoke"
	"github.com/socketcluster-go/socketcluster/cluster"
)

// tokenLife is longer than any token of this server lives.
const tokenLife = 25 * time.Hour

// startNode starts the node of NODE_NAME, CLUSTER_LISTEN, CLUSTER_ROUTES (separated by
// commas) and DATA_DIR, and gives the server its broker and revocations. Other nodes
// are told of CLUSTER_ADVERTISE, if there is one. Without routes the node is alone. It returns
// nil without CLUSTER_LISTEN.
func startNode(ctx context.Context, cfg *socketcluster.Config) (*cluster.Node, error) {
	listen := os.Getenv("CLUSTER_LISTEN")
	if listen == "" {
		return nil, nil
	}
	routes := strings.FieldsFunc(os.Getenv("CLUSTER_ROUTES"), func(r rune) bool { return r == ',' })
	if len(routes) == 0 {
		listen = ""
	}
	secret := sha256.Sum256([]byte("the nodes with the key " + os.Getenv("AUTH_KEY")))
	node, err := cluster.Start(ctx, cluster.Options{
		Name:      os.Getenv("NODE_NAME"),
		Listen:    listen,
		Advertise: os.Getenv("CLUSTER_ADVERTISE"),
		Routes:    routes,
		Secret:    hex.EncodeToString(secret[:]),
		StoreDir:  os.Getenv("DATA_DIR"),
		// history.* would not match history.room.1, as a dot separates there.
		History: []cluster.HistoryRule{{Channel: "history*", Size: 1000, Age: time.Hour}},
	})
	if err != nil {
		return nil, err
	}
	revocations, err := node.Revocations(ctx, cluster.RevocationOptions{})
	if err != nil {
		node.Close()
		return nil, err
	}
	cfg.Broker, cfg.Revocations = node.Broker(), revocations
	return node, nil
}

// serveNode adds what a node offers: presence of channels presence.…, and procedures
// for what concerns all nodes.
func serveNode(node *cluster.Node, srv *socketcluster.Server) error {
	presence, err := cluster.NewPresence(node, srv, cluster.PresenceOptions{
		Channels: func(channel string) bool { return strings.HasPrefix(channel, "presence.") },
		// On one of the nodes, also for users of a node that died.
		OnLeave: func(_ context.Context, l cluster.Leave) {
			slog.Info("a user has left", slog.String("user", l.User), slog.String("channel", l.Channel))
		},
	})
	if err != nil {
		return err
	}
	if err := node.Attach(srv); err != nil {
		return err
	}
	type channelOf struct {
		Username string `json:"username"`
		Channel  string `json:"channel"`
		Count    int    `json:"count"`
	}
	type kept struct {
		Position string          `json:"position"`
		Data     json.RawMessage `json:"data"`
	}
	srv.Handle("online", socketcluster.Func(func(_ context.Context, in channelOf) ([]string, error) {
		users := []string{} // not null
		for _, u := range presence.Here(in.Channel) {
			users = append(users, u.User)
		}
		slices.Sort(users)
		return users, nil
	}))
	srv.Handle("history", socketcluster.Func(func(ctx context.Context, in channelOf) (all []kept, err error) {
		past, err := srv.Exchange().History(ctx, in.Channel, in.Count)
		for _, p := range past.Publications {
			all = append(all, kept{p.Position, p.Data})
		}
		return all, err
	}))
	srv.Handle("revoke", socketcluster.Proc(func(ctx context.Context, in channelOf) error {
		return srv.Revoke(ctx, revoke.Revocation{Subject: in.Username, Claim: "username", Until: time.Now().Add(tokenLife)})
	}))
	srv.Handle("kick", socketcluster.Proc(func(ctx context.Context, in channelOf) error {
		return kickOut(ctx, node, in.Username, in.Channel)
	}))
	return nil
}

// kickOut kicks the sockets of a user out of a channel, on all nodes. A user who is not
// there needs no kick.
func kickOut(ctx context.Context, node *cluster.Node, username, channel string) error {
	_, err := node.To(cluster.User(username)).KickOut(ctx, channel, "kicked")
	if errors.Is(err, cluster.ErrNobody) {
		return nil
	}
	return err
}
