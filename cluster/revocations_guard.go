package cluster

import (
	"context"
	"fmt"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/wire"
)

// Middleware returns middleware for [socketcluster.Server.UseHandshake] and
// [socketcluster.Server.UseInbound]. While the node is cut off ([Revocations.Current]),
// it refuses
//
//   - upgrades and handshakes, so that clients try another node in place of
//     connecting here without a login;
//   - subscriptions to private channels, also by sockets that are logged in, as their
//     tokens may have been revoked elsewhere.
//
// Clients that are refused try again by themselves. private says which channels are
// private; nil means all. What a socket is subscribed to stays, unless its
// token changes.
func (rv *Revocations) Middleware(private func(channel string) bool) socketcluster.Middleware {
	return func(_ context.Context, a socketcluster.Action) error {
		if rv.Current() == nil {
			return nil
		}
		switch a := a.(type) {
		case *socketcluster.Upgrade, *socketcluster.Handshake:
			return errRefused
		case *socketcluster.Subscribe:
			if private == nil || private(a.Channel) {
				return errRefused
			}
		}
		return nil
	}
}

// errRefused is what clients get while the node is cut off. After the close code,
// stock clients connect again.
var errRefused = fmt.Errorf("%w: %w", ErrCutOff, (&wire.Error{
	Name:    "CutOffError",
	Message: "This node is cut off from others. Try again",
}).With("statusCode", int(wire.CloseHandshakeRejected)))
