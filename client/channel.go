package client

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/internal/calls"
	"github.com/socketcluster-go/socketcluster/internal/ws"
	"github.com/socketcluster-go/socketcluster/wire"
)

// ChannelState is the state of a channel.
type ChannelState uint8

const (
	// Unsubscribed: nobody wants the channel, or the server has refused it.
	Unsubscribed ChannelState = iota
	// Pending: a subscription waits for the server, a connection or a login.
	Pending
	// Subscribed: the server has subscribed the client.
	Subscribed
)

// String returns the name that JavaScript uses.
func (s ChannelState) String() string {
	switch s {
	case Pending:
		return "pending"
	case Subscribed:
		return "subscribed"
	}
	return "unsubscribed"
}

// channel is a channel that the client is subscribed to, or wants to be. The
// client's mu guards it.
type channel struct {
	name    string
	number  uint64 // for the order of requests
	state   ChannelState
	known   bool // it has been subscribed before
	options subscribeOptions
	request *calls.Call // the #subscribe that has not been answered, or nil
	subs    []*Subscription

	position string // of the last publication in the history of the channel, "" if it has none
	asked    string // what it was at the first request that has not been answered, also on an earlier connection
}

// setState changes the state, and emits the events of that (CL-29).
func (ch *channel) setState(c *Client, to ChannelState) {
	from := ch.state
	if from == to {
		return
	}
	ch.state = to
	if to != Subscribed && from != Subscribed {
		return // nobody has heard of it
	}
	c.emit(SubscribeStateChangeEvent{c, ch.name, from, to})
	if to == Subscribed {
		c.emit(SubscribeEvent{c, ch.name})
	} else {
		c.emit(UnsubscribeEvent{c, ch.name})
	}
}

// suspend makes the channel wait for the next connection.
func (ch *channel) suspend(c *Client) {
	ch.request = nil
	ch.setState(c, Pending)
}

// leave removes the channel, and ends its subscriptions for a reason.
func (ch *channel) leave(c *Client, reason error) {
	if ch.request != nil {
		ch.request.Cancel() // the answer concerns nobody any more
		ch.request = nil
	}
	delete(c.channels, ch.name)
	ch.setState(c, Unsubscribed)
	ch.end(reason)
}

// end ends the subscriptions.
func (ch *channel) end(reason error) {
	for _, sub := range ch.subs {
		sub.finish(reason)
	}
	ch.subs = nil
}

// sortedChannels returns the channels in the order in which they are requested:
// by priority, and then as they came (CL-26). mu must be held.
func (c *Client) sortedChannels() []*channel {
	all := make([]*channel, 0, len(c.channels))
	for _, ch := range c.channels {
		all = append(all, ch)
	}
	slices.SortFunc(all, func(a, b *channel) int {
		return cmp.Or(cmp.Compare(b.options.priority, a.options.priority), cmp.Compare(a.number, b.number))
	})
	return all
}

// ProcessPendingSubscriptions requests the subscriptions that
// [Options].DelaySubscriptions has held back, and those that follow until the
// end of the connection. Without a connection it does nothing. JavaScript:
// processPendingSubscriptions.
func (c *Client) ProcessPendingSubscriptions() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asking = c.state == socketcluster.Open
	c.processPending()
}

// processPending requests all channels that may be requested. mu must be held.
func (c *Client) processPending() {
	if !c.asking {
		return
	}
	for _, ch := range c.sortedChannels() {
		c.request(ch)
	}
}

// mayRequest reports whether a channel need not wait for a login. mu must be
// held.
func (c *Client) mayRequest(ch *channel) bool {
	return !ch.options.waitForAuth || c.authState == socketcluster.Authenticated
}

// request asks the server for a channel, if it is time (CL-20). mu must be held.
func (c *Client) request(ch *channel) {
	if !c.asking || ch.state != Pending || ch.request != nil || !c.mayRequest(ch) {
		return
	}
	data := append([]byte(nil), `{"channel":`...)
	data = wire.AppendString(data, c.opts.ChannelPrefix+ch.name)
	if ch.options.waitForAuth {
		data = append(data, `,"waitForAuth":true`...)
	}
	if len(ch.options.data) > 0 {
		data = append(append(data, `,"data":`...), ch.options.data...)
	}
	if ch.asked == "" {
		ch.asked = ch.position
	}
	if ch.asked != "" {
		data = wire.AppendString(append(data, `,"since":`...), ch.asked)
	} else if ch.options.last > 0 {
		data = strconv.AppendInt(append(data, `,"last":`...), int64(ch.options.last), 10)
	}
	var call *calls.Call
	// Without a deadline: middleware of the server may take its time (CL-21).
	call = c.link.invoke(eventSubscribe, append(data, '}'), time.Time{}, func(answer json.RawMessage, err error, over bool) {
		if over {
			return
		}
		var lost *socketcluster.LostError
		var fns []func(*socketcluster.LostError)
		c.mu.Lock()
		if ch.request == call {
			lost = c.answered(ch, answer, err)
			fns = ch.lostFuncs()
		}
		c.mu.Unlock()
		c.callLost(fns, lost)
	})
	ch.request = call
	c.emit(SubscribeRequestEvent{c, ch.name})
}

// answered handles the answer to #subscribe (CL-21), and returns what OnLost tells, or
// nil. mu must be held.
func (c *Client) answered(ch *channel, answer json.RawMessage, err error) (lost *socketcluster.LostError) {
	ch.request = nil
	switch {
	case err == nil:
		ch.setState(c, Subscribed)
		lost = ch.resume(c, answer)
		ch.known = true
		for _, sub := range ch.subs {
			sub.confirm()
		}
	case !c.mayRequest(ch):
		// The client has logged out meanwhile, which is why it was refused. The
		// next login asks again.
	default:
		delete(c.channels, ch.name)
		ch.state = Unsubscribed
		ch.end(err)
		c.emitSized(SubscribeFailEvent{c, ch.name, err}, errorSize(err))
	}
	return lost
}

// Unsubscribe ends all subscriptions to a channel; their loops end. It does
// nothing for a channel that nobody wants. It does not wait for the server.
func (c *Client) Unsubscribe(channel string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if ch := c.channels[channel]; ch != nil {
		c.unsubscribe(ch, ErrUnsubscribed)
	}
}

// unsubscribe leaves a channel, and tells the server (CL-23). mu must be held.
func (c *Client) unsubscribe(ch *channel, reason error) {
	ch.leave(c, reason)
	if c.state == socketcluster.Open {
		name := wire.AppendString(nil, c.opts.ChannelPrefix+ch.name)
		c.link.push(wire.AppendTransmit(ws.NewBuffer(len(name)+64), eventUnsubscribe, name))
	}
}

// channelOf returns the channel of a name as the server knows it, or nil. mu must
// be held.
func (c *Client) channelOf(name string) *channel {
	return c.channels[strings.TrimPrefix(name, c.opts.ChannelPrefix)]
}

// takePublication passes a publication to the loops over its channel, and to
// the functions that take it here (CL-24).
func (c *Client) takePublication(l *link, data []byte) {
	p, ok := wire.ParsePublish(data)
	if !ok {
		return
	}
	c.feeding.Lock()
	defer c.feeding.Unlock()
	var few [2]func(json.RawMessage)
	callFuncs(c, c.writeToLoops(l, p, few[:0]), p.Data)
}

// writeToLoops writes a publication to the loops over its channel. It appends the
// functions for the channel to fns.
func (c *Client) writeToLoops(l *link, p wire.Publish, fns []func(json.RawMessage)) []func(json.RawMessage) {
	c.mu.Lock()
	defer c.mu.Unlock()
	ch := c.channelOf(p.Channel)
	if l.ended || ch == nil || !ch.advance(p.Position) {
		return fns
	}
	var owned json.RawMessage
	for _, sub := range ch.subs {
		if sub.fn != nil {
			fns = append(fns, sub.fn)
			continue
		}
		if owned == nil {
			owned = bytes.Clone(p.Data)
		}
		sub.loop.Write(message{data: owned}, len(owned)+publicationCost)
	}
	return fns
}

// publicationCost is the number of bytes for which a publication counts in
// Limits.QueueBytes, besides its data.
const publicationCost = 64

// KickOutError is the reason for the end of a subscription that the server has
// ended.
type KickOutError struct {
	Channel string
	Message json.RawMessage // nil if there is none
}

// Error implements error.
func (e *KickOutError) Error() string {
	if text, ok := wire.ParseString(e.Message); ok {
		return fmt.Sprintf("client: kicked out of the channel %s: %s", e.Channel, text)
	}
	return fmt.Sprintf("client: kicked out of the channel %s", e.Channel)
}

// takeKickOut handles #kickOut (CL-25).
func (c *Client) takeKickOut(l *link, data []byte) {
	var kick struct {
		Channel *string         `json:"channel"`
		Message json.RawMessage `json:"message"`
	}
	if json.Unmarshal(data, &kick) != nil || kick.Channel == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	ch := c.channelOf(*kick.Channel)
	if l.ended || ch == nil {
		return
	}
	c.emitSized(KickOutEvent{c, ch.name, kick.Message}, len(kick.Message))
	ch.leave(c, &KickOutError{ch.name, kick.Message})
}
