package cluster

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/nats-io/nats.go"

	"github.com/socketcluster-go/socketcluster"
)

// The times of a call without a deadline: that of the sockets, as for calls of the
// server itself, and that of their answers on the way.
const (
	callTimeout = socketcluster.DefaultAckTimeout
	callTravel  = time.Second
)

// lookStep is how often a call looks for nodes that are gone.
const lookStep = 250 * time.Millisecond

// users asks all nodes for the sockets of users, and answers them.
type users struct {
	n       *Node
	id      string // of this start
	subs    []*nats.Subscription
	ctx     context.Context // ends with the node
	cancel  context.CancelFunc
	running sync.WaitGroup // requests that this node handles
	holds   holds

	mu    sync.Mutex
	srv   *socketcluster.Server // nil before Attach
	calls map[uint64]*call
	last  uint64 // call
	shut  bool
}

// call is a call that waits for answers.
type call struct {
	replies chan *reply
	done    chan struct{} // nobody waits any more
}

func (c *call) deliver(r *reply) {
	select {
	case c.replies <- r:
	case <-c.done:
	}
}

func newUsers(n *Node) (*users, error) {
	u := &users{n: n, id: rand.Text(), calls: make(map[uint64]*call)}
	u.ctx, u.cancel = context.WithCancel(context.Background())
	for subject, handle := range map[string]nats.MsgHandler{u.requests(): u.asked, u.replies(): u.answered} {
		sub, err := n.nc.Subscribe(subject, handle)
		if err != nil {
			u.end()
			return nil, fmt.Errorf("cluster: %w", err)
		}
		u.subs = append(u.subs, sub)
	}
	return u, nil
}

// requests is the subject of requests to all nodes.
func (u *users) requests() string { return u.n.subject("u.ask") }

// replies is the subject of answers to this node.
func (u *users) replies() string { return u.n.subject("u.reply." + u.id) }

var errAttached = errors.New("cluster: the node has a server already")

func (u *users) attach(srv *socketcluster.Server) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	switch {
	case u.shut:
		return errClosed
	case u.srv != nil:
		return errAttached
	}
	u.srv = srv
	return nil
}

// end ends all calls, and waits for requests that are being handled.
func (u *users) end() {
	u.mu.Lock()
	u.shut = true
	u.mu.Unlock()
	for _, sub := range u.subs {
		_ = sub.Unsubscribe() // fails only if the connection has been closed
	}
	u.cancel()
	u.running.Wait()
	u.holds.endAll()
}

// begin registers a call.
func (u *users) begin() (id uint64, c *call, err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.shut {
		return 0, nil, errClosed
	}
	u.last++
	c = &call{make(chan *reply, 16), make(chan struct{})}
	u.calls[u.last] = c
	return u.last, c, nil
}

func (u *users) finish(id uint64, c *call) {
	u.mu.Lock()
	delete(u.calls, id)
	u.mu.Unlock()
	close(c.done)
}

// answered passes an answer of another node to its call.
func (u *users) answered(msg *nats.Msg) {
	r := new(reply)
	data, err := unpack(msg.Data, r)
	if err != nil {
		return // no node sends that
	}
	r.data = data
	u.mu.Lock()
	c := u.calls[r.Call]
	u.mu.Unlock()
	if c != nil {
		c.deliver(r)
	}
}

// lacking is a node whose last answer is missing.
type lacking struct {
	instance string    // empty if it was not known to this one
	since    time.Time // of its first answer, if it was not known
}

// ask asks all nodes, and passes their answers to got, one at a time, until that
// returns true, all nodes have answered, or ctx ends. gone are the nodes that have not
// answered as they are gone, or were gone before.
func (u *users) ask(ctx context.Context, req request, data []byte, got func(*reply) (enough bool)) (gone []string, err error) {
	if !req.Target.valid() {
		return nil, nil // there is no such socket
	}
	if !utf8.ValidString(req.Name) {
		return nil, errors.New("cluster: a name that is not UTF-8")
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	req.Claim, req.Value = req.Target.claim, req.Target.value
	req.Timeout = callTimeout.Milliseconds()
	if deadline, ok := ctx.Deadline(); ok {
		req.Timeout = max(1, time.Until(deadline).Milliseconds())
	} else {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, callTimeout+callTravel)
		defer cancel()
	}
	id, c, err := u.begin()
	if err != nil {
		return nil, err
	}
	defer u.finish(id, c)
	req.Call = id
	message, err := pack(req, data)
	if err != nil {
		return nil, fmt.Errorf("cluster: %w", err)
	}
	if limit := u.n.nc.MaxPayload(); int64(len(message)) > limit {
		return nil, fmt.Errorf("cluster: a call of %d bytes is larger than the %d that NATS carries (max_payload)", len(message), limit)
	}
	missing := map[string]lacking{u.n.o.Name: {}}
	alive, missed := u.n.members.others()
	for node, instance := range alive {
		missing[node] = lacking{instance: instance}
	}
	if err := u.n.nc.PublishRequest(u.requests(), u.replies(), message); err != nil {
		return nil, fmt.Errorf("cluster: %w", err)
	}
	req.own = true
	u.handle(&req, data, c.deliver)
	return u.collect(ctx, c, missing, missed, got)
}

// collect takes the answers to a call, and adds nodes to those that are gone. It waits for
// none that was gone before.
func (u *users) collect(ctx context.Context, c *call, missing map[string]lacking, gone []string, got func(*reply) (enough bool)) ([]string, error) {
	ticker := time.NewTicker(lookStep)
	defer ticker.Stop()
	for len(missing) > 0 {
		select {
		case r := <-c.replies:
			gone = slices.DeleteFunc(gone, func(node string) bool { return node == r.Node }) // it is back
			if r.Done {
				delete(missing, r.Node)
			} else if _, known := missing[r.Node]; !known {
				missing[r.Node] = lacking{since: time.Now()}
			}
			if got(r) {
				return gone, nil
			}
		case now := <-ticker.C:
			alive, _ := u.n.members.others()
			for node, w := range missing {
				instance, lives := alive[node]
				switch {
				case node == u.n.o.Name, lives && w.instance == instance:
					continue
				case w.instance == "" && (lives || now.Sub(w.since) < lifespan):
					continue // it will be known soon
				}
				delete(missing, node)
				gone = append(gone, node)
			}
		case <-ctx.Done():
			nodes := slices.Sorted(maps.Keys(missing))
			return gone, fmt.Errorf("cluster: node %s has not answered: %w", strings.Join(nodes, ", "), ctx.Err())
		case <-u.ctx.Done():
			return gone, errClosed
		}
	}
	return gone, nil
}
