package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"sync"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/wire"
)

// host executes the bridge's commands.
type host struct {
	out    *output
	log    *slog.Logger
	parked signal // a broker waits for the bridge

	mu      sync.Mutex
	last    int // the last number given to a question, a call or a request
	servers map[int]*server
	sockets map[string]*socket // including closed ones, which the suites may still name
	calls   map[int]*socketcluster.Call
	asked   map[int]chan *command // questions that wait for their answer
}

func newHost(out io.Writer, log *slog.Logger) *host {
	return &host{
		out:     newOutput(out),
		log:     log,
		servers: make(map[int]*server),
		sockets: make(map[string]*socket),
		calls:   make(map[int]*socketcluster.Call),
		asked:   make(map[int]chan *command),
	}
}

func (h *host) close() {
	h.mu.Lock()
	servers := h.servers
	h.servers = nil
	h.mu.Unlock()
	for _, v := range servers {
		v.listener.Close()
		v.close(false)
	}
	h.out.close()
}

// number returns a new number, for anything to which the bridge will refer.
func (h *host) number() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.last++
	return h.last
}

func (h *host) server(number int) (*server, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if v := h.servers[number]; v != nil {
		return v, nil
	}
	return nil, fmt.Errorf("there is no server %d", number)
}

// socket returns the socket with an id, or nil.
func (h *host) socket(id string) *socket {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.sockets[id]
}

// perform starts a command and returns when it has ended or begun to wait.
// The result follows when it has ended.
func (h *host) perform(c *command) {
	ctx := newWaitContext()
	parked := h.parked.next()
	var (
		ok    any
		err   error
		ended = make(chan struct{})
	)
	go func() {
		defer close(ended)
		ok, err = h.execute(ctx, c)
	}()
	select {
	case <-ended:
		h.reply(c, ok, err)
		return
	case <-ctx.waiting:
	case <-parked:
		if c.Cmd == "disconnect" || c.Cmd == "terminate" {
			// The socket has closed, and waits until it has left its channels.
			// The bridge can continue with that only after the result.
			h.reply(c, nil, nil)
			return
		}
	}
	go func() {
		<-ended
		h.reply(c, ok, err)
	}()
}

func (h *host) execute(ctx *waitContext, c *command) (any, error) {
	switch c.Cmd {
	case "listen":
		return h.listen(c)
	case "respond":
		return nil, h.respond(c)
	case "sync":
		return nil, nil
	}
	if run := socketCommands[c.Cmd]; run != nil {
		s := h.socket(c.Socket)
		if s == nil {
			return nil, fmt.Errorf("there is no socket %s", c.Socket)
		}
		return run(s, ctx, c)
	}
	if run := serverCommands[c.Cmd]; run != nil {
		v, err := h.server(c.Server)
		if err != nil {
			return nil, err
		}
		return run(v, ctx, c)
	}
	return nil, unsupported("the command %s", c.Cmd)
}

// reads are the commands that do not change a socket, so their results need no
// snapshot.
var reads = map[string]bool{"transmit": true, "invoke": true, "send": true, "sendObject": true, "counters": true}

// reply answers a command.
func (h *host) reply(c *command, ok any, err error) {
	result := resultLine{T: "result", ID: c.ID}
	if err == nil {
		result.OK, err = wire.Marshal(ok)
	}
	if err != nil {
		result.Err = dehydrate(err)
	}
	h.out.put(func() any {
		if s := h.socket(c.Socket); s != nil && !reads[c.Cmd] {
			result.snapshots = with(s.server, s)
		}
		return result
	})
}

// ask sends a question to the bridge and waits for the answer.
func (h *host) ask(ctx context.Context, build func(id int) any) (json.RawMessage, error) {
	id := h.number()
	answer := make(chan *command, 1)
	h.mu.Lock()
	h.asked[id] = answer
	h.mu.Unlock()
	h.out.put(func() any { return build(id) })
	select {
	case c := <-answer:
		if c.Err != nil {
			return nil, hydrate(c.Err)
		}
		return c.OK, nil
	case <-ctx.Done():
		h.mu.Lock()
		delete(h.asked, id)
		h.mu.Unlock()
		return nil, ctx.Err()
	}
}

// answered passes an answer to its question.
func (h *host) answered(c *command) {
	h.mu.Lock()
	answer := h.asked[c.ID]
	delete(h.asked, c.ID)
	h.mu.Unlock()
	if answer != nil {
		answer <- c
	}
}
