package main

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/auth/revoke"
	"github.com/socketcluster-go/socketcluster/cluster"
	"github.com/socketcluster-go/socketcluster/rules"
)

// loadRevocations loads the revocations of the cluster.
func (o *options) loadRevocations(ctx context.Context, node *cluster.Node, log *slog.Logger) (*cluster.Revocations, error) {
	log.Info("waiting for the revocations of the cluster")
	rv, err := node.Revocations(ctx, cluster.RevocationOptions{CutOff: o.cluster.cutOff})
	if err != nil {
		return nil, fmt.Errorf("the setting %s: %w", clusterRevocationsSetting, o.clusterError(err))
	}
	return rv, nil
}

// handleLogoutEverywhere adds the procedure by which users end all their logins, on all
// nodes. The tokens of the demo live for some time.
func (d *demo) handleLogoutEverywhere(life time.Duration) {
	d.sockets.Handle("logoutEverywhere", socketcluster.Proc(func(ctx context.Context, _ socketcluster.None) error {
		user, ok := socketcluster.Claims[claims](socketcluster.FromContext(ctx))
		if !ok || user.Username == "" {
			return socketcluster.Errorf("AuthError", "You are not logged in")
		}
		return d.sockets.Revoke(ctx, revoke.Revocation{
			Claim: "username", Subject: user.Username, Until: time.Now().Add(life + time.Minute), Reason: "logout everywhere",
		})
	}))
}

// failClosed makes the server refuse clients, and subscriptions to channels that not
// everybody may subscribe to, while the node is cut off.
func (d *demo) failClosed(set *rules.Set) {
	d.sockets.UseHandshake(d.revocations.Middleware(nil))
	d.sockets.UseInbound(d.revocations.Middleware(func(channel string) bool { return !set.Decide(rules.Subscribe, channel, nil).Allowed }))
}
