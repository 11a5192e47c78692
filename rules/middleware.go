package rules

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/wire"
)

// Middleware makes the set decide on subscriptions and publications of clients;
// it is for [socketcluster.Server.UseInbound]. A client that is denied an
// operation gets a SubscribeError or a PublishError, or an
// AuthTokenExpiredError if its token was found to have expired when the packet
// arrived.
//
// Denials are logged with their reason, but never with the token, at level
// Info, or at level Debug if there are many in a second. A nil log means
// [slog.Default].
//
// When the token of a socket changes, the server calls the middleware again for
// each subscription, so subscriptions end with the right to them, unless
// Config.Compat.KeepSubscriptions is set. The server logs these denials: one
// record for all subscriptions that a change has ended.
func (s *Set) Middleware(log *slog.Logger) socketcluster.Middleware {
	if log == nil {
		log = slog.Default()
	}
	if s == nil {
		panic("rules: Middleware of a nil Set")
	}
	g := &guard{set: s, log: log}
	return func(ctx context.Context, a socketcluster.Action) error {
		switch a := a.(type) {
		case *socketcluster.Subscribe:
			if a.Again {
				return s.again(a)
			}
			return g.check(ctx, "denied to subscribe", a.Socket, Subscribe, a.Channel, a.AuthTokenExpired)
		case *socketcluster.PublishIn:
			return g.check(ctx, "denied to publish", a.Socket, Publish, a.Channel, a.AuthTokenExpired)
		}
		return nil
	}
}

// again decides whether a subscription may continue. The reason is for the
// server, which logs one for all that end at the same time; the client gets the
// wrapped error.
func (s *Set) again(a *socketcluster.Subscribe) error {
	d := s.Decide(Subscribe, a.Channel, a.Socket.AuthToken())
	if d.Allowed {
		return nil
	}
	return fmt.Errorf("%w: %s", denial(Subscribe, a.Channel), d.Reason)
}

// MaySee reports by nil whether a socket may see who is on a channel; otherwise
// its error is a PresenceError. It is for cluster.PresenceOptions.May. A denial
// is not logged.
func (s *Set) MaySee(_ context.Context, socket *socketcluster.Socket, channel string) error {
	if s.Decide(Presence, channel, socket.AuthToken()).Allowed {
		return nil
	}
	return &wire.Error{Name: "PresenceError", Message: "You are not authorized to see who is on the " + channel + " channel"}
}

// guard is a set with the log of one middleware.
type guard struct {
	set     *Set
	log     *slog.Logger
	denials throttle
}

func (g *guard) check(ctx context.Context, text string, socket *socketcluster.Socket, op Op, channel string, expired error) error {
	d := g.set.Decide(op, channel, socket.AuthToken())
	if d.Allowed {
		return nil
	}
	level := slog.LevelDebug
	if g.denials.allow() {
		level = slog.LevelInfo
	}
	g.log.LogAttrs(ctx, level, text, slog.String("socket", socket.ID()), slog.String("channel", channel),
		slog.String("reason", d.Reason), slog.Bool("tokenExpired", expired != nil))
	if expired != nil {
		return expired
	}
	return denial(op, channel)
}

// denial is the error that the client sees. The texts are those of the guide.
func denial(op Op, channel string) error {
	if op == Publish {
		return &wire.Error{Name: "PublishError", Message: "You are not authorized to publish to the " + channel + " channel"}
	}
	return &wire.Error{Name: "SubscribeError", Message: "You are not authorized to subscribe to the " + channel + " channel"}
}
