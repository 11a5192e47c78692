package cluster

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/internal/guard"
	"github.com/socketcluster-go/socketcluster/internal/presence"
	"github.com/socketcluster-go/socketcluster/wire"
)

// The subjects of messages about presence: to all nodes, and to one instance. A
// node has one queue for both, so that the messages of another one stay in order.
const (
	allPresence = "p.all"
	toPresence  = "p.to."
)

// begin follows other nodes. It fails if the node has been closed.
func (p *Presence) begin() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended || p.node.shut.Load() { // Node.Close does not see a presence that is new
		return errClosed
	}
	for _, subject := range []string{allPresence, toPresence + p.node.members.instance} {
		sub, err := p.node.nc.ChanSubscribe(p.node.subject(subject), p.in)
		if err != nil {
			p.unsubscribe()
			return fmt.Errorf("cluster: %w", err)
		}
		p.subs = append(p.subs, sub)
	}
	p.over.Go(p.run)
	return nil
}

// unsubscribe ends the messages of other nodes. p.mu is held.
func (p *Presence) unsubscribe() {
	for _, sub := range p.subs {
		_ = sub.Unsubscribe() // fails only if the connection has been closed
	}
	p.subs = nil
}

// run does everything but answer questions and follow sockets.
func (p *Presence) run() {
	beats := time.NewTicker(beat)
	defer beats.Stop()
	leaves := time.NewTimer(0)
	defer leaves.Stop()
	changes := p.node.members.watch()
	p.follow()
	for {
		select {
		case msg := <-p.in:
			p.receive(msg)
		case <-p.kick:
		case <-leaves.C:
		case <-changes:
			p.follow()
		case <-beats.C:
			p.mu.Lock()
			p.state.Beat()
			p.state.Overdue(time.Now())
			p.mu.Unlock()
		case <-p.stop:
			p.step()
			return
		}
		if at, ok := p.step(); ok {
			leaves.Reset(time.Until(at))
		}
	}
}

// follow takes over which nodes are alive, and tells new ones about this one.
func (p *Presence) follow() {
	alive := p.node.members.instances()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.state.Follow(alive, time.Now())
	p.state.Beat()
}

// receive handles a message of another node.
func (p *Presence) receive(msg *nats.Msg) {
	p.mu.Lock()
	err := p.state.Receive(msg.Data, time.Now())
	p.mu.Unlock()
	if err != nil {
		p.node.o.Logger.Warn("cluster: another node sends what this one does not understand", slog.Any("error", err))
	}
}

// step does what has come up. It returns when there will be something to do
// again.
func (p *Presence) step() (next time.Time, ok bool) {
	p.mu.Lock()
	p.state.Ran(p.runner.finished())
	work, next, ok := p.state.Step(time.Now())
	p.mu.Unlock()
	p.send(work.Messages)
	p.report(work.News)
	p.runner.add(work.Hooks)
	return next, ok
}

func (p *Presence) send(all []presence.Message) {
	for _, m := range all {
		subject := allPresence
		if m.To != "" {
			subject = toPresence + m.To
		}
		if err := p.node.nc.Publish(p.node.subject(subject), m.Data); err != nil {
			// The others notice by the next beat.
			p.node.o.Logger.Warn("cluster: presence cannot be told to other nodes", slog.Any("error", err))
			return
		}
	}
}

// report publishes joins and leaves to the subscribers on this node. Each node
// does that by what it knows itself, so that what its clients hear fits what they
// see.
func (p *Presence) report(all []presence.News) {
	for _, n := range all {
		channel := socketcluster.PresenceChannel(n.Channel)
		if !p.srv.Exchange().IsSubscribed(channel) {
			continue
		}
		e := PresenceEvent{Type: "leave", User: n.User, Info: n.Info}
		if n.Joined {
			e.Type = "join"
		}
		text, err := wire.Marshal(e)
		if err != nil {
			p.node.o.Logger.Error("cluster: a join or leave cannot be encoded", slog.Any("error", err))
			continue
		}
		_ = guard.Call(p.node.o.Logger, "Sink.Deliver", func() error { // it is logged
			p.sink.Deliver(channel, text)
			return nil
		}, slog.String("channel", channel))
	}
}

// end ends presence on this node. It waits for the hooks that run, whose context
// ends.
func (p *Presence) end() {
	p.mu.Lock()
	p.ended = true
	p.unsubscribe()
	p.mu.Unlock()
	p.runner.end()
	close(p.stop)
	p.over.Wait()
}

// maxHooks is how many hooks run at the same time.
const maxHooks = 16

// hookRunner runs the hooks of leaves.
type hookRunner struct {
	p      *Presence
	ctx    context.Context
	cancel context.CancelFunc
	over   sync.WaitGroup

	mu      sync.Mutex
	queue   []presence.Leave
	running int
	open    map[presence.Who]int // how many hooks of a leave have not run yet
	done    []presence.Who       // those that have, which others have not been told of
}

func (h *hookRunner) init(p *Presence) {
	h.p, h.open = p, make(map[presence.Who]int)
	h.ctx, h.cancel = context.WithCancel(context.Background())
}

// add runs the hooks of leaves, as soon as there is room.
func (h *hookRunner) add(leaves []presence.Leave) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.ctx.Err() != nil {
		return // others run them when this node is gone
	}
	h.queue = append(h.queue, leaves...)
	for _, leave := range leaves {
		h.open[leave.Who()]++
	}
	for range min(len(leaves), maxHooks-h.running) {
		h.running++
		h.over.Go(h.work)
	}
}

// work runs hooks until there are none.
func (h *hookRunner) work() {
	for {
		h.mu.Lock()
		if len(h.queue) == 0 || h.ctx.Err() != nil {
			// If the node has ended, others run what is left.
			h.running--
			h.mu.Unlock()
			return
		}
		leave := h.queue[0]
		h.queue = h.queue[1:]
		h.mu.Unlock()
		_ = guard.Call(h.p.node.o.Logger, "PresenceOptions.OnLeave", func() error { // it is logged
			h.p.o.OnLeave(h.ctx, Leave(leave))
			return nil
		})
		h.mu.Lock()
		who := leave.Who()
		if h.open[who]--; h.open[who] == 0 { // otherwise others must wait for the next one
			delete(h.open, who)
			h.done = append(h.done, who)
		}
		h.mu.Unlock()
		wake(h.p.kick)
	}
}

// finished returns the leaves whose hooks have run since the last call.
func (h *hookRunner) finished() []presence.Who {
	h.mu.Lock()
	defer h.mu.Unlock()
	done := h.done
	h.done = nil
	return done
}

// end waits for the hooks that run.
func (h *hookRunner) end() {
	h.mu.Lock()
	h.cancel()
	h.mu.Unlock()
	h.over.Wait()
}
