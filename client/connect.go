package client

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/wire"
)

// Connect connects the client, unless it is connected, and waits until the
// handshake is complete. It returns the reason if this attempt fails; the
// client then connects again by itself, as [Options].Reconnect says. If ctx ends
// first, Connect returns its error, and the attempt goes on. After Close, the error
// is [ErrClosed].
//
// A client that is waiting for its next attempt makes it at once.
func (c *Client) Connect(ctx context.Context) error {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return ErrClosed
	}
	if err := ctx.Err(); err != nil {
		c.mu.Unlock()
		return err
	}
	if c.state == socketcluster.Closed {
		c.connectLocked()
	}
	l := c.link
	c.mu.Unlock()
	select {
	case <-l.settled:
		return l.failure
	case <-ctx.Done():
		return ctx.Err()
	}
}

// connectLocked begins to connect. mu must be held, and the state be Closed.
func (c *Client) connectLocked() {
	c.stopRetry()
	c.state = socketcluster.Connecting
	c.link = newLink(c)
	c.emit(ConnectingEvent{c})
	c.links.Add(1)
	go c.link.open()
}

// Disconnect closes the connection, or ends the attempt to connect, and cancels
// the next attempt. A code of 0 means 1000. The client does not connect again by
// itself after 1000 and from 4500 on; after other codes it does. It
// connects again for a later Connect, Invoke, Transmit or Publish. Disconnect
// does not wait.
//
// It fails, and changes nothing, if the code may not be sent. The codes 1000 to
// 1014 may be sent, except 1004 to 1006, and so may 3000 to 4999. The reason is
// cut to 123 bytes.
func (c *Client) Disconnect(code wire.CloseCode, reason string) error {
	code = cmp.Or(code, wire.CloseNormal)
	if !code.Sendable() {
		return &wire.Error{
			Name:    wire.ErrInvalidArguments.Name,
			Message: fmt.Sprintf("The close code %d may not be sent", int(code)),
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.link == nil {
		c.stopRetry()
		return nil
	}
	c.link.disconnect(code, wire.TruncateReason(reason))
	return nil
}

// Reconnect is [Client.Disconnect] followed by [Client.Connect].
func (c *Client) Reconnect(ctx context.Context, code wire.CloseCode, reason string) error {
	if err := c.Disconnect(code, reason); err != nil {
		return err
	}
	return c.Connect(ctx)
}

// Close ends the client for good: its connection, with the code 1000, its
// subscriptions and loops, and everything that waits. It waits until the server
// has answered the close frame, and until the store has saved what it was given,
// each for at most Timeouts.Close; then the contexts of the store end. It does not wait
// for handlers, so that these may call it, but no handler of a call or a transmission
// begins any more. Those of events still get the end of the connection. Calls after the
// first wait too.
func (c *Client) Close() {
	c.mu.Lock()
	first := !c.closed
	c.closed = true
	if first {
		if c.link != nil {
			c.link.disconnect(wire.CloseNormal, "")
		}
		c.stopRetry()
		for _, ch := range c.channels {
			ch.end(ErrClosed)
		}
		clear(c.channels)
		c.events.Push(queued{}, (*eventWorker)(c))
		c.cancel()
	}
	c.mu.Unlock()
	if first && c.unfollow != nil {
		c.unfollow()
	}
	c.links.Wait()
	select {
	case <-c.store.Idle(): // a login that came just before is saved
	case <-time.After(c.opts.Timeouts.Close):
	}
	c.stopStoring()
	if first && c.ended != nil {
		c.ended()
	}
}

// attemptError is the reason why an attempt to connect has failed, for those who
// wait for it. mu must be held.
func (c *Client) attemptError(code wire.CloseCode, reason string, cause error) error {
	if c.closed {
		return ErrClosed
	}
	err := error(wire.NewSocketProtocolError(code, reason))
	if cause == nil {
		return fmt.Errorf("client: connect: %w", err)
	}
	return fmt.Errorf("client: connect: %w: %w", err, cause)
}
