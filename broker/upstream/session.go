package upstream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/client"
	"github.com/socketcluster-go/socketcluster/internal/guard"
	"github.com/socketcluster-go/socketcluster/wire"
)

// listen follows the client. Its events come one at a time, in order.
func (b *Broker) listen() {
	client.On(b.c, b.onConnect)
	client.On(b.c, b.onDisconnect)
	client.On(b.c, b.onClose)
	client.On(b.c, func(client.AuthenticateEvent) { tell(b.logins) })
	client.On(b.c, func(client.DeauthenticateEvent) { tell(b.logouts) })
	client.On(b.c, func(e client.ErrorEvent) { b.log.Warn("upstream connection", slog.Any("error", e.Err)) })
	client.On(b.c, func(e client.SubscribeEvent) { b.confirmed(e.Channel) })
	client.On(b.c, func(e client.SubscribeFailEvent) { b.endedLater(e.Channel) })
	client.On(b.c, func(e client.KickOutEvent) { b.endedLater(e.Channel) })
}

// tell puts a token into a channel that has room for one.
func tell(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func (b *Broker) onConnect(e client.ConnectEvent) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return
	}
	var ctx context.Context
	ctx, b.endSession = context.WithCancel(b.ctx)
	b.connected, b.ping, b.refused = time.Now(), e.PingTimeout, 0
	b.sessions.Go(func() { b.session(ctx) })
}

// session logs in and subscribes, for one connection.
func (b *Broker) session(ctx context.Context) {
	for b.login(ctx) {
		b.begin(ctx)
		select {
		case <-b.logouts:
		case <-ctx.Done():
			return
		}
	}
}

// login logs in unless the client is authenticated. It tries until it succeeds, and
// returns false if the connection is lost.
func (b *Broker) login(ctx context.Context) bool {
	for try := 0; b.opts.Login != nil && b.c.AuthState() != socketcluster.Authenticated; try++ {
		bounded, cancel := context.WithTimeout(ctx, b.opts.Client.Timeouts.Connect)
		err := guard.Call(b.log, "upstream.Options.Login", func() error { return b.opts.Login(bounded, b.c) })
		if err == nil {
			err = b.awaitToken(bounded)
		}
		cancel()
		if ctx.Err() != nil {
			return false
		}
		if err == nil {
			return true
		}
		b.log.Error("the login at the upstream server has failed", slog.Any("error", err))
		b.tellStart(err)
		select {
		case <-time.After(delay(try)):
		case <-ctx.Done():
			return false
		}
	}
	return ctx.Err() == nil
}

// errNoToken is the error of a login that has not logged the node in.
var errNoToken = fmt.Errorf("Options.Login has succeeded, but the upstream server has set no token (#setAuthToken) within Client.Timeouts.Connect: %w", wire.ErrTimeout)

// awaitToken waits until the client is authenticated: the token of socketcluster-server on
// Node.js may follow the answer to a login.
func (b *Broker) awaitToken(ctx context.Context) error {
	for b.c.AuthState() != socketcluster.Authenticated {
		select {
		case <-b.logins: // perhaps that of an earlier connection
		case <-ctx.Done():
			if ctx.Err() == context.DeadlineExceeded {
				return errNoToken
			}
			return ctx.Err()
		}
	}
	return nil
}

// begin lets publications and subscriptions pass, after a login.
func (b *Broker) begin(ctx context.Context) {
	b.c.ProcessPendingSubscriptions()
	b.mu.Lock()
	defer b.mu.Unlock()
	if ctx.Err() != nil {
		return
	}
	select {
	case <-b.ready:
	default:
		close(b.ready)
	}
	b.asked = 0
	b.askAgain()
	b.settle()
}

func (b *Broker) onDisconnect(e client.DisconnectEvent) {
	cause := wire.NewSocketProtocolError(e.Code, e.Reason)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed || b.endSession == nil {
		return
	}
	from := b.lossFrom()
	b.endSession()
	b.tellStart(cause)
	select {
	case <-b.ready:
		b.ready, b.downSince = make(chan struct{}), time.Now()
	default: // it has never logged in
	}
	if b.gap == nil {
		b.gap = &Gap{From: from, Cause: cause}
		b.report(*b.gap)
	}
	for _, ch := range b.channels {
		if ch.joined && ch.gap == nil {
			b.miss(ch)
		}
	}
}

// onClose connects again after codes after which a client does not do so by itself:
// servers that shut down also use 1000.
func (b *Broker) onClose(client.CloseEvent) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, pending := b.c.NextAttempt(); pending || b.closed || b.c.State() != socketcluster.Closed {
		return
	}
	b.reconnect = time.AfterFunc(delay(b.refused), func() {
		if err := b.c.Connect(b.ctx); err != nil && !errors.Is(err, context.Canceled) {
			b.log.Debug("upstream connection", slog.Any("error", err)) // the client reports it by an event
		}
	})
	b.refused++
}

// tellStart makes Start fail, if it waits.
func (b *Broker) tellStart(err error) {
	select {
	case b.failed <- err:
	default:
	}
}

// delay returns the time before the next of several attempts: a second and up to as much again
// by chance, then twice as long each time, up to a minute.
func delay(try int) time.Duration {
	longest := min(time.Second<<min(try, 6), time.Minute)
	return longest/2 + rand.N(longest/2) + 500*time.Millisecond
}
