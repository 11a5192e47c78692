package client

import (
	"context"
	"sync"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/internal/guard"
	"github.com/socketcluster-go/socketcluster/internal/registry"
)

// A TokenStore keeps signed tokens by name. Its methods may be called
// from many goroutines, and by many clients, which then follow each other as the
// tabs of a browser do if the store is a [Watcher].
//
// A client calls its methods one at a time, in the order of what happens to it.
// The context of Load may end with the connection or the client; those of Save and
// Remove, which [Client.Close] waits for, end when it has waited for [Timeouts].Close.
// While a store is slow, the client reads less from the server. A token is a secret:
// whoever has it is logged in.
type TokenStore interface {
	// Load returns the token of a name, or "" if there is none.
	Load(ctx context.Context, name string) (token string, err error)

	// Save stores a token in place of an earlier one.
	Save(ctx context.Context, name, token string) error

	// Remove removes the token of a name if it is this one, in one step. It
	// reports whether it was.
	Remove(ctx context.Context, name, token string) (removed bool, err error)
}

// A Watcher is a [TokenStore] whose clients follow each other: when one logs in, out, or
// over to another user, the others do the same.
type Watcher interface {
	TokenStore

	// Watch calls changed after each change of the token of a name, until stop
	// is called. changed must not block; it may be called from any goroutine.
	Watch(name string, changed func()) (stop func())
}

// MemoryStore keeps tokens in memory. The zero value is empty.
type MemoryStore struct {
	mu     sync.Mutex
	tokens map[string]string
	watchers
}

// Load implements [TokenStore].
func (s *MemoryStore) Load(_ context.Context, name string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tokens[name], nil
}

// Save implements [TokenStore].
func (s *MemoryStore) Save(_ context.Context, name, token string) error {
	s.mu.Lock()
	if s.tokens == nil {
		s.tokens = make(map[string]string)
	}
	s.tokens[name] = token
	s.mu.Unlock()
	s.tell(name)
	return nil
}

// Remove implements [TokenStore].
func (s *MemoryStore) Remove(_ context.Context, name, token string) (bool, error) {
	s.mu.Lock()
	removed := token != "" && s.tokens[name] == token
	if removed {
		delete(s.tokens, name)
	}
	s.mu.Unlock()
	if removed {
		s.tell(name)
	}
	return removed, nil
}

// watchers has those who watch a store.
type watchers struct{ all registry.List[watcher] }

type watcher struct {
	name    string
	changed func()
}

// Watch implements [Watcher].
func (w *watchers) Watch(name string, changed func()) (stop func()) {
	return w.all.Add(watcher{name, changed})
}

func (w *watchers) tellAll() {
	for _, each := range w.all.All() {
		each.changed()
	}
}

func (w *watchers) tell(name string) {
	for _, each := range w.all.All() {
		if each.name == name {
			each.changed()
		}
	}
}

// storeWorker does what a client asks of its store, one after the other.
type storeWorker Client

// Handle implements lane.Handler.
func (*storeWorker) Handle(do func()) { do() }

// storeCost is the number of bytes for which a use of the store counts in Limits.Held,
// besides its token.
const storeCost = 512

// inStore queues a use of the store for a token of size bytes. Its result comes on the
// returned channel. mu must be held, so that the store sees changes in their order.
func (c *Client) inStore(size int, do func() error) <-chan error {
	done := make(chan error, 1)
	size += storeCost
	c.hold(size)
	c.store.Push(func() {
		defer c.release(size)
		done <- guard.Call(c.log, "Options.TokenStore", do)
	}, (*storeWorker)(c))
	return done
}

// loadToken returns the stored token, once earlier uses of the store are done,
// with the number of logouts before. A logout meanwhile leaves no token.
func (c *Client) loadToken(ctx context.Context) (token string, logouts int, err error) {
	c.mu.Lock()
	logouts = c.logouts
	var stored string // which belongs to the store until it is done
	done := c.inStore(0, func() (err error) {
		stored, err = c.opts.TokenStore.Load(ctx, c.opts.AuthTokenName)
		return err
	})
	c.mu.Unlock()
	select {
	case err = <-done:
	case <-ctx.Done():
		return "", 0, ctx.Err()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if logouts != c.logouts {
		stored = ""
	}
	return stored, logouts, err
}

// saveToken stores a token in the background. mu must be held.
func (c *Client) saveToken(token string) {
	c.inStore(len(token), func() error {
		err := c.opts.TokenStore.Save(c.storing, c.opts.AuthTokenName, token)
		c.reportStore(err)
		return err
	})
}

// removeToken removes the stored token in the background, if it is one that mine
// knows. kept is called instead if it is another one. mu must be held.
func (c *Client) removeToken(mine func(stored string) bool, kept func()) <-chan error {
	return c.inStore(0, func() error {
		// A logout that is only delayed must not be undone: this does not end with a wait for it.
		stored, err := c.opts.TokenStore.Load(c.storing, c.opts.AuthTokenName)
		if err == nil && stored != "" {
			removed := false
			if mine(stored) {
				removed, err = c.opts.TokenStore.Remove(c.storing, c.opts.AuthTokenName, stored)
			}
			if err == nil && !removed {
				stored = "" // it is another login
				kept()
			}
		}
		if err != nil {
			c.reportStore(err)
			return err
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.emitSized(RemoveAuthTokenEvent{c, stored}, len(stored))
		return nil
	})
}

func (c *Client) reportStore(err error) {
	if err == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.emitError(err)
}

// follow makes the client follow the others that use its store.
func (c *Client) follow() {
	store, ok := c.opts.TokenStore.(Watcher)
	if !ok {
		return
	}
	c.unfollow = store.Watch(c.opts.AuthTokenName, c.changed)
}

// lookAgain looks at the store if another login stays in it: that is the login of
// this client too.
func (c *Client) lookAgain() {
	if c.unfollow != nil {
		c.changed()
	}
}

// changed looks at the store.
func (c *Client) changed() { c.followers.Push(struct{}{}, (*followWorker)(c)) }

// catchUp looks at the store if it has changed during the handshake, which may have
// presented an older token. mu must be held.
func (c *Client) catchUp() {
	if c.missed {
		c.missed = false
		c.changed()
	}
}

// followWorker makes changes that others have made to the store, one after the
// other: two at once would both send the newest token.
type followWorker Client

// Handle implements lane.Handler.
func (w *followWorker) Handle(struct{}) {
	c := (*Client)(w)
	if c.followers.Len() > 0 {
		return // the next one sees the same
	}
	c.mu.Lock()
	before := c.signed
	var stored string
	done := c.inStore(0, func() (err error) {
		stored, err = c.opts.TokenStore.Load(c.ctx, c.opts.AuthTokenName)
		return err
	})
	c.mu.Unlock()
	var err error
	select {
	case err = <-done:
	case <-c.ctx.Done():
		return
	}
	c.mu.Lock()
	state, signed := c.state, c.signed
	c.missed = state == socketcluster.Connecting
	follows := false
	switch {
	case signed != before:
		c.changed() // what has just happened to this client is newer than what it has seen
	case c.closed || err != nil || stored == signed:
	case stored == "":
		_, err = c.logOut(c.ackDeadline(c.ctx)) // nobody waits for the store
	default:
		follows = state == socketcluster.Open // one that is not presents the token when it connects
	}
	c.mu.Unlock()
	if follows {
		err = c.authenticate(c.ctx, stored, false)
	}
	if err != nil && c.ctx.Err() == nil {
		c.reportStore(err)
	}
}
