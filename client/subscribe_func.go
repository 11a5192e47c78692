package client

import (
	"context"
	"encoding/json"

	"github.com/socketcluster-go/socketcluster/internal/guard"
)

// SubscribeFunc is [Client.Subscribe] with a function that gets the data of each
// publication, in place of a loop. Such a subscription has no queue, and loses
// nothing while the client is connected. A program with very many channels needs
// no goroutine for each.
//
// fn runs on the goroutine that reads from the server. Publications, of all
// channels, come one at a time and in the order of the wire. What the server
// sends after a publication takes effect when fn has returned: an answer to
// [Client.Publish], for example. So fn delays everything that the server sends,
// and should return soon. If it takes longer than the server's ping timeout, the
// connection ends. It must not call a method of the client that waits.
//
// data is nil if the publisher gave none. fn must neither keep nor change it. fn
// may be called once more while the subscription ends. A panic is logged, and
// ends nothing.
//
// The loop of the subscription, if there is one, gets nothing.
func (c *Client) SubscribeFunc(ctx context.Context, name string, fn func(data json.RawMessage), opts ...SubscribeOption) (*Subscription, error) {
	if fn == nil {
		panic("client: SubscribeFunc: the function is nil")
	}
	with := func(o *subscribeOptions) { o.fn = fn }
	return c.Subscribe(ctx, name, append(opts[:len(opts):len(opts)], with)...)
}

// callFuncs passes a publication, or what is lost, to functions. feeding must be held, so
// that the connections before and after a reconnect do not overlap.
func callFuncs[T any](c *Client, fns []func(T), v T) {
	for _, fn := range fns {
		_ = guard.Call(c.log, "a function of a subscription", func() error {
			fn(v)
			return nil
		})
	}
}
