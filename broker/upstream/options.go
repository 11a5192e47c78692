package upstream

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/socketcluster-go/socketcluster/client"
)

// Options has the settings of a [Broker].
type Options struct {
	// URL is the address of the upstream server, such as ws://10.0.0.1:8000, see
	// [client.New]. Required.
	URL string

	// Client has the settings of the connection: TLS, headers, timeouts, a codec,
	// a token store that outlives the process. Two defaults differ from those of
	// package client: the delays of Reconnect, see [DefaultInitialDelay], and
	// Limits.Held, which is 32 MiB, so that it has room for the events of 100,000
	// channels. Reconnect.Disabled and DelaySubscriptions must not be set.
	Client client.Options

	// Login logs the node in: by [client.Client.Authenticate] with a token that the
	// application has signed, or by [client.Client.Login] with a login procedure of
	// the upstream server. The node begins when it has a token: it waits for one that
	// comes after Login has returned, and a login that sets none has failed. A server
	// that knows the node by other means, such as a header of its request
	// (Client.Header), needs no Login.
	//
	// Login is called after each connect at which the client is not authenticated by
	// a token of its store, before subscriptions are renewed, and when it has lost its
	// authentication. If it fails, it is called again, after one second and then ever
	// more seldom, up to one minute; publications and subscriptions wait meanwhile as
	// they do without a connection. ctx ends with the connection, and after
	// Client.Timeouts.Connect. Default: none, the node does not log in.
	Login func(ctx context.Context, c *client.Client) error

	// OnGap is called when publications may be missed from now on, and again when they
	// no longer are, in this order and one call at a time. It may block, and call
	// the server. Default: none; each Gap is logged in any case.
	OnGap func(Gap)
}

// Delays before the node connects again: [Options].Client.Reconnect. The first
// attempt follows after one to two seconds, and the next ones ever later. It is at
// once if the connection has timed out.
const (
	DefaultInitialDelay = time.Second
	DefaultRandomness   = time.Second
	DefaultMaxDelay     = 15 * time.Second
)

// defaultHeld is the default of Client.Limits.Held.
const defaultHeld = 32 << 20

func (o *Options) setDefaults() error {
	c := &o.Client
	switch {
	case c.Reconnect.Disabled:
		return errors.New("upstream: Options.Client.Reconnect.Disabled is set; a broker connects again")
	case c.DelaySubscriptions:
		return errors.New("upstream: Options.Client.DelaySubscriptions is set; the broker subscribes when it has logged in")
	}
	c.DelaySubscriptions = true
	c.Reconnect.InitialDelay = cmp.Or(c.Reconnect.InitialDelay, DefaultInitialDelay)
	c.Reconnect.Randomness = cmp.Or(c.Reconnect.Randomness, DefaultRandomness)
	c.Reconnect.MaxDelay = cmp.Or(c.Reconnect.MaxDelay, DefaultMaxDelay)
	c.Limits.Held = cmp.Or(c.Limits.Held, defaultHeld)
	c.Timeouts.Ack = cmp.Or(c.Timeouts.Ack, client.DefaultAckTimeout)
	c.Timeouts.Connect = cmp.Or(c.Timeouts.Connect, client.DefaultConnectTimeout)
	return nil
}
