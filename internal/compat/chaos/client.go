package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/socketcluster-go/socketcluster/internal/sctest"
	"github.com/socketcluster-go/socketcluster/wire"
)

// The patience of the clients.
const (
	dialTimeout = 3 * time.Second
	quietLimit  = 6 * time.Second  // without a ping, a connection is dead
	callTimeout = 10 * time.Second // as that of the stock client
)

var (
	errEnded = errors.New("the connection has ended")
	errLate  = errors.New("there was no answer in time")
)

// conn is a connection of a client to a node.
type conn struct {
	node          string
	ws            *sctest.Conn
	authenticated bool
	done          chan struct{} // closed when it has ended

	mu    sync.Mutex
	cid   int
	calls map[int]func(sctest.Packet)
}

// dial connects to a node, with a token unless that is empty. event is called for what
// is no answer, until the connection ends.
func dial(ctx context.Context, n *node, token string, event func(*conn, sctest.Packet)) (*conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	raw, err := new(net.Dialer).DialContext(ctx, "tcp", n.addr)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { raw.Close() })
	defer stop()
	ws, err := sctest.Open(raw, nil)
	if err != nil {
		return nil, err
	}
	answer, err := ws.Handshake(token)
	var status struct {
		IsAuthenticated bool `json:"isAuthenticated"`
	}
	if err == nil {
		err = json.Unmarshal(answer, &status)
	}
	if err != nil {
		raw.Close()
		return nil, err
	}
	c := &conn{
		node: n.name, ws: ws, authenticated: status.IsAuthenticated,
		done: make(chan struct{}), cid: 1, calls: make(map[int]func(sctest.Packet)),
	}
	go c.read(event)
	return c, nil
}

// read takes what the server sends. Answers and events are handled in their order.
func (c *conn) read(event func(*conn, sctest.Packet)) {
	defer close(c.done)
	defer c.ws.Close()
	for {
		_ = c.ws.SetReadDeadline(time.Now().Add(quietLimit))
		text, err := c.next()
		if err != nil {
			return
		}
		var p sctest.Packet
		if json.Unmarshal([]byte(text), &p) != nil {
			return
		}
		if p.RID == 0 {
			event(c, p)
			continue
		}
		c.mu.Lock()
		answer := c.calls[p.RID]
		delete(c.calls, p.RID)
		c.mu.Unlock()
		if answer != nil {
			answer(p)
		}
	}
}

// next returns the next message. Each frame, also a ping, shows that the server lives.
func (c *conn) next() (string, error) {
	for {
		f, err := c.ws.ReadFrame()
		switch {
		case err != nil:
			return "", err
		case f.Header.OpCode.IsControl():
			return "", errEnded
		case len(f.Payload) > 0:
			return string(f.Payload), nil
		}
		_ = c.ws.SetReadDeadline(time.Now().Add(quietLimit))
		if err := c.ws.Send(""); err != nil {
			return "", err
		}
	}
}

// start sends a call. answer is called in the order of what the server sends.
func (c *conn) start(event string, data any, answer func(sctest.Packet)) error {
	c.mu.Lock()
	c.cid++
	cid := c.cid
	c.calls[cid] = answer
	c.mu.Unlock()
	text, err := json.Marshal(map[string]any{"event": event, "data": data, "cid": cid})
	if err != nil {
		return err
	}
	return c.ws.Send(string(text))
}

// call waits for the answer to a call. An error of the server is a *wire.Error.
func (c *conn) call(ctx context.Context, event string, data any, timeout time.Duration) (json.RawMessage, error) {
	answers := make(chan sctest.Packet, 1)
	if c.start(event, data, func(p sctest.Packet) { answers <- p }) != nil {
		return nil, errEnded
	}
	late := time.NewTimer(timeout)
	defer late.Stop()
	select {
	case p := <-answers:
		if p.Error != nil {
			return nil, fmt.Errorf("%s: %w", event, wire.ParseError(p.Error))
		}
		return p.Data, nil
	case <-c.done:
		return nil, errEnded
	case <-late.C:
		return nil, errLate
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// close ends the connection, and waits for the last event.
func (c *conn) close() {
	c.ws.Close()
	<-c.done
}

// publication is what the publishers publish.
type publication struct {
	P    string `json:"p"`
	N    int    `json:"n"`
	Fill string `json:"fill,omitempty"` // so that a publication has a usual size
}

// channelEvent is the data of #publish and #kickOut.
type channelEvent struct {
	Channel  string      `json:"channel"`
	Position string      `json:"position"`
	Data     publication `json:"data"`
}

func parseChannelEvent(p sctest.Packet) (e channelEvent, ok bool) {
	err := json.Unmarshal(p.Data, &e)
	return e, err == nil
}

// ended reports whether the connection has ended.
func (c *conn) ended() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}
