package simulation_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/client"
	"github.com/socketcluster-go/socketcluster/internal/memnet"
	"github.com/socketcluster-go/socketcluster/wire"
)

// TestGoClients runs clients of package client under schedules of logins, logouts,
// renewals, kick-outs, lost connections and publications, and compares them with
// their server when everything is at rest: the state, the token, the channels. Loops
// over a channel must see publications in order and once, and clients that share a
// store must agree.
func TestGoClients(t *testing.T) {
	if *simulateSeed != 0 {
		simulateGoClients(t, *simulateSeed)
		return
	}
	for seed := uint64(1); seed <= max(*simulateSeeds/10, 1); seed++ {
		simulateGoClients(t, seed)
		if t.Failed() {
			return
		}
	}
}

// goWorld is a server, and clients that share stores.
type goWorld struct {
	t      *testing.T
	seed   uint64
	srv    *socketcluster.Server
	listen *memnet.Listener

	mu     sync.Mutex
	rng    *rand.Rand
	faults []string
}

// goClient is a client with what its loops have seen.
type goClient struct {
	*client.Client
	w     *goWorld
	store client.TokenStore
	loops sync.WaitGroup

	mu      sync.Mutex
	waits   map[string]bool // channels that were asked for with WaitForAuth
	logout  time.Time       // the last one
	crossed bool            // a token came just after it, see watch
}

// goChannels are the channels of TestGoClients: what a login may read depends on
// its claims, except open.
var goChannels = []string{"open", "a", "b"}

func simulateGoClients(t *testing.T, seed uint64) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(seed, 17))
		w := &goWorld{t: t, seed: seed, listen: memnet.Listen(), rng: rand.New(rand.NewPCG(seed, 3))}
		w.listen.Polled = rng.IntN(2) == 0
		w.serve(rng)
		defer w.listen.Close()
		defer w.srv.Close()
		stores := []client.TokenStore{new(client.MemoryStore), new(client.MemoryStore)}
		var clients []*goClient
		for i := range 3 {
			clients = append(clients, w.client(stores[i/2]))
		}
		stop := make(chan struct{})
		var busy sync.WaitGroup
		busy.Go(func() { w.publish(stop) })
		for _, c := range clients {
			for range 2 { // at once, so that a logout may overtake a login
				rng := rand.New(rand.NewPCG(rng.Uint64(), 2))
				busy.Go(func() { c.act(rng) })
			}
		}
		busy.Go(func() { w.disturb(rng, stop) })
		time.Sleep(20 * time.Second)
		close(stop)
		busy.Wait()
		for _, c := range clients {
			if err := c.Connect(t.Context()); err != nil {
				w.failf("no client can connect at the end: %v", err)
			}
		}
		// A renewal may be under way at any moment, but not at each.
		var differences []string
		for range 30 {
			time.Sleep(200 * time.Millisecond)
			synctest.Wait()
			differences = nil
			for i, c := range clients {
				differences = append(differences, w.compare(i, c)...)
			}
			if len(differences) == 0 {
				break
			}
		}
		w.faults = append(w.faults, differences...)
		for _, c := range clients {
			c.Close()
			c.loops.Wait()
		}
		time.Sleep(time.Second) // until the middleware has returned
		if len(w.faults) > 0 {
			t.Errorf("seed %d:\n%s\nTo run it again: go test ./internal/simulation -run TestGoClients -simulate.seed=%d -count=100",
				seed, strings.Join(w.faults[:min(len(w.faults), 8)], "\n"), seed)
		}
	})
}

func (w *goWorld) failf(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.faults = append(w.faults, fmt.Sprintf(format, args...))
}

// goClaims are the claims of a login.
type goClaims struct {
	Username string   `json:"username"`
	Channels []string `json:"channels"`
}

// serve starts the server.
func (w *goWorld) serve(rng *rand.Rand) {
	config := socketcluster.Config{
		Auth:   auth.Options{Key: "test-key-0123456789-0123456789-01", DefaultExpiry: time.Hour},
		Logger: slog.New(slog.DiscardHandler),
	}
	if rng.IntN(2) == 0 {
		config.TokenRenewal = socketcluster.TokenRenewal{Every: 4 * time.Second, ExpiresIn: 30 * time.Second}
	}
	srv, err := socketcluster.New(config)
	if err != nil {
		w.t.Fatal(err)
	}
	w.srv = srv
	srv.Handle("login", socketcluster.Proc(func(ctx context.Context, in goClaims) error {
		w.pause()
		return socketcluster.FromContext(ctx).SetAuthToken(ctx, in)
	}))
	srv.Handle("logout", socketcluster.Proc(func(ctx context.Context, _ socketcluster.None) error {
		socketcluster.FromContext(ctx).Deauthenticate(ctx)
		return nil
	}))
	socketcluster.Use(srv, func(_ context.Context, a *socketcluster.Subscribe) error {
		w.pause()
		if a.Channel == "open" {
			return nil
		}
		claims, ok := socketcluster.Claims[goClaims](a.Socket)
		if !ok || !slices.Contains(claims.Channels, a.Channel) {
			return socketcluster.Errorf("ForbiddenError", "no")
		}
		return nil
	})
	socketcluster.Use(srv, func(context.Context, *socketcluster.Authenticate) error {
		w.pause()
		return nil
	})
	web := &http.Server{Handler: srv}
	go web.Serve(w.listen)
}

// pause is the time that middleware and handlers take.
func (w *goWorld) pause() {
	w.mu.Lock()
	d := time.Duration(w.rng.IntN(100)-30) * time.Millisecond
	w.mu.Unlock()
	time.Sleep(max(d, 0))
}

// client makes a client with short delays.
func (w *goWorld) client(store client.TokenStore) *goClient {
	c, err := client.New("ws://server.test", client.Options{
		TokenStore:  store,
		Reconnect:   client.Reconnect{InitialDelay: 100 * time.Millisecond, Randomness: 200 * time.Millisecond},
		Logger:      slog.New(slog.DiscardHandler),
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return w.listen.Dial(ctx) },
	})
	if err != nil {
		w.t.Fatal(err)
	}
	gc := &goClient{Client: c, w: w, store: store, waits: make(map[string]bool)}
	gc.watch()
	return gc
}

// watch notes tokens that have crossed a logout on their way: the client cannot
// know that the server had not got the logout yet, and the server not that the
// client had not got the token. So has the stock client.
func (c *goClient) watch() {
	client.On(c.Client, func(client.DeauthenticateEvent) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.logout, c.crossed = time.Now(), false
	})
	client.On(c.Client, func(client.AuthenticateEvent) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.crossed = time.Since(c.logout) < 200*time.Millisecond
	})
}

// publish publishes numbers on all channels.
func (w *goWorld) publish(stop chan struct{}) {
	for n := 1; ; n++ {
		for _, channel := range goChannels {
			if err := w.srv.Exchange().Publish(context.Background(), channel, n); err != nil {
				w.failf("publish: %v", err)
			}
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-stop:
			return
		}
	}
}

// disturb does to sockets what a server and a network may do.
func (w *goWorld) disturb(rng *rand.Rand, stop chan struct{}) {
	for {
		select {
		case <-time.After(time.Duration(rng.IntN(500)) * time.Millisecond):
		case <-stop:
			return
		}
		sockets := slices.Collect(w.srv.Clients())
		if len(sockets) == 0 {
			continue
		}
		slices.SortFunc(sockets, func(a, b *socketcluster.Socket) int { return strings.Compare(a.ID(), b.ID()) })
		s := sockets[rng.IntN(len(sockets))]
		switch rng.IntN(5) {
		case 0:
			s.Terminate()
		case 1:
			_ = s.Disconnect(wire.ClosePongTimeout, "") // it may be sent
		case 2:
			_ = s.KickOut(context.Background(), goChannels[rng.IntN(len(goChannels))], "bye") // which may not be subscribed
		case 3:
			s.Deauthenticate(context.Background())
		case 4:
			_ = s.SetAuthToken(context.Background(), goClaims{"server", []string{"a"}}) // fails if it has closed
		}
	}
}

// act does what a user may do, for about 20 seconds.
func (c *goClient) act(rng *rand.Rand) {
	ctx := context.Background()
	for end := time.Now().Add(19 * time.Second); time.Now().Before(end); {
		time.Sleep(time.Duration(rng.IntN(300)) * time.Millisecond)
		channel := goChannels[rng.IntN(len(goChannels))]
		// Errors are part of a schedule: the connection may be lost at any time.
		switch rng.IntN(9) {
		case 0, 1:
			claims := goClaims{Username: fmt.Sprint("user", rng.IntN(3))}
			for _, each := range goChannels[1:] {
				if rng.IntN(3) > 0 {
					claims.Channels = append(claims.Channels, each)
				}
			}
			_, _ = c.Invoke(ctx, "login", claims)
		case 2:
			_ = c.Deauthenticate(ctx)
		case 3:
			_, _ = c.Invoke(ctx, "logout", nil)
		case 4, 5:
			c.follow(channel, rng.IntN(2) == 0)
		case 6:
			c.Unsubscribe(channel)
		case 7:
			_ = c.Disconnect(wire.CloseCode([]int{1000, 4001, 4500}[rng.IntN(3)]), "")
		case 8:
			if token, err := c.store.Load(ctx, c.name()); err == nil && token != "" {
				_ = c.Authenticate(ctx, token)
			}
		}
	}
}

// name is that of the token in the store.
func (c *goClient) name() string { return "socketcluster.authToken.server.test:80" }

// follow subscribes to a channel, and checks the order of its publications.
func (c *goClient) follow(channel string, waits bool) {
	opts := []client.SubscribeOption{client.PendingOK()}
	if waits {
		opts = append(opts, client.WaitForAuth())
	}
	c.mu.Lock()
	c.waits[channel] = c.waits[channel] || waits // the server knows only how it was first asked
	c.mu.Unlock()
	sub, err := c.Subscribe(context.Background(), channel, opts...)
	if err != nil {
		c.w.failf("subscribe: %v", err)
		return
	}
	c.loops.Go(func() {
		last := 0
		for raw := range sub.All() {
			var n int
			if err := json.Unmarshal(raw, &n); err != nil || n <= last {
				c.w.failf("%s: publication %s after %d", channel, raw, last)
			}
			last = n
		}
	})
}

// compare compares a client with its socket, when both are at rest, and returns the
// differences.
func (w *goWorld) compare(i int, c *goClient) (differences []string) {
	differ := func(format string, args ...any) { differences = append(differences, fmt.Sprintf(format, args...)) }
	s := w.srv.Client(c.ID())
	if c.State() != socketcluster.Open || s == nil {
		differ("client %d is %v, and the server has a socket for it: %v", i, c.State(), s != nil)
		return differences
	}
	c.mu.Lock()
	crossed := c.crossed
	c.mu.Unlock()
	if crossed && c.AuthState() == socketcluster.Authenticated && s.AuthState() == socketcluster.Unauthenticated {
		return nil
	}
	if c.AuthState() != s.AuthState() {
		differ("client %d is %v, and its socket %v", i, c.AuthState(), s.AuthState())
	}
	signed := ""
	if token := s.AuthToken(); token != nil {
		signed = token.Signed()
	}
	if c.SignedAuthToken() != signed {
		differ("client %d and its socket have other tokens", i)
	}
	if stored, err := c.store.Load(context.Background(), c.name()); err != nil || stored != c.SignedAuthToken() {
		differ("client %d does not follow the store, which has a token: %v, it has one: %v", i, stored != "", c.SignedAuthToken() != "")
	}
	for channel := range s.Subscriptions() {
		if !c.IsSubscribed(channel) {
			differ("client %d is %v to %s, and its socket subscribed", i, c.ChannelState(channel), channel)
		}
	}
	there := slices.Collect(s.Subscriptions())
	for channel := range c.Subscriptions() {
		// The server suspends subscriptions with waitForAuth without a word.
		if !slices.Contains(there, channel) && !c.waits[channel] {
			differ("client %d is subscribed to %s, and its socket is not", i, channel)
		}
	}
	for channel := range c.PendingSubscriptions() {
		if !c.waits[channel] || c.AuthState() == socketcluster.Authenticated {
			differ("client %d still waits for %s", i, channel)
		}
	}
	return differences
}
