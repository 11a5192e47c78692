package simulation_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	crand "crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/auth/revoke"
	"github.com/socketcluster-go/socketcluster/internal/memnet"
)

const (
	horizon     = 4 * time.Second // when a schedule ends at the latest
	quietTime   = 3 * time.Second // after which everything has found its end
	foreignKey  = "idp"
	stuck       = "stuck" // the channel about which middleware never decides a second time
	openChannel = "open"  // the one for all
)

// simChannels are those that the clients subscribe to. But for the first and
// the last one, a token must list them.
var simChannels = []string{openChannel, "a", "b", "c", stuck}

// simWorld is a server with its clients, and those who change their rights.
type simWorld struct {
	*journal
	seed uint64
	edge edge

	srv     *socketcluster.Server
	ring    *auth.KeyRing
	minted  *auth.JWT // signs as the server does, under keys that somebody has stolen
	foreign *auth.JWT
	conns   chan net.Conn
	over    chan struct{} // the schedule is over
	release chan struct{} // nothing has to hang any more
	ctx     context.Context

	settings    string        // for the report of a fault
	maxAge      time.Duration // Config.AuthMaxAge
	slowAgain   time.Duration // how long middleware may take to authorize again
	slowInbound time.Duration

	state    sync.Mutex
	numbers  int
	stored   []string
	around   []string // tokens that clients had
	keys     int
	failures []string
	links    linkList
	clients  []*simClient
}

type linkList struct {
	mu  sync.Mutex
	all []*simLink
}

func (l *linkList) add(link *simLink) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, link)
}

func (l *linkList) list() []*simLink {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.all)
}

func (w *simWorld) failf(format string, args ...any) {
	w.state.Lock()
	defer w.state.Unlock()
	w.failures = append(w.failures, fmt.Sprintf(format, args...))
}

func (w *simWorld) number() int {
	w.state.Lock()
	defer w.state.Unlock()
	w.numbers++
	return w.numbers
}

func (w *simWorld) storedOf(client int) string {
	w.state.Lock()
	defer w.state.Unlock()
	return w.stored[client]
}

func (w *simWorld) store(client int, token string) {
	w.state.Lock()
	defer w.state.Unlock()
	w.stored[client] = token
	if token != "" {
		w.around = append(w.around, token)
	}
}

func (w *simWorld) changed(conn int, begin, end stamp) {
	w.note(func() { w.changes = append(w.changes, change{conn, begin, end}) })
}

// simIssuer is an issuer of tokens that is not this server.
var simIssuer = sync.OnceValue(func() (keys struct {
	public, private auth.Key
}) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), crand.Reader)
	if err != nil {
		panic(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		panic(err)
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		panic(err)
	}
	keys.private = must(auth.ParsePEM(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})))
	keys.public = must(auth.ParsePEM(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public})))
	return keys
})

func quote(s string) string { return string(must(json.Marshal(s))) }

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func ringKey(n int) auth.RingKey {
	return auth.RingKey{ID: fmt.Sprint("k", n), Key: auth.HMACKey(fmt.Appendf(nil, "%032d", n))}
}

// newSimWorld makes a world of a seed. It must be called in a bubble.
func newSimWorld(seed uint64) *simWorld {
	rng := rand.New(rand.NewPCG(seed, 0))
	w := &simWorld{
		journal: newJournal(), seed: seed, edge: edge{rng: rand.New(rand.NewPCG(seed, 1))},
		conns: make(chan net.Conn), over: make(chan struct{}), release: make(chan struct{}), keys: 1,
	}
	foreign := auth.RingKey{ID: foreignKey, Key: simIssuer().public}
	var keys auth.KeySource
	if rng.IntN(2) == 0 {
		foreign.Issuer = foreignKey
		w.ring = must(auth.NewKeyRing(ringKey(1), foreign))
		keys = w.ring
	} else {
		w.ring = must(auth.NewKeyRing(ringKey(1)))
		keys = auth.KeySources{w.ring, must(auth.NewKeyRing(foreign))}
	}
	w.minted = must(auth.NewJWT(auth.Options{Keys: must(auth.NewKeyRing(ringKey(1))), TokenIDs: true}))
	w.foreign = must(auth.NewJWT(auth.Options{Keys: must(auth.NewKeyRing(auth.RingKey{ID: foreignKey, Key: simIssuer().private})), TokenIDs: true}))
	w.slowAgain = pick(rng, 0, 0, time.Millisecond, 40*time.Millisecond, 300*time.Millisecond)
	w.slowInbound = pick(rng, 0, 0, 0, time.Millisecond, 20*time.Millisecond)
	cfg := socketcluster.Config{
		AuthEngine:  simEngine{must(auth.NewJWT(auth.Options{Keys: keys, TokenIDs: true, DefaultExpiry: time.Hour})), w},
		Revocations: &simStore{w: w},

		Timeouts: socketcluster.Timeouts{Reauthorize: 2 * time.Second},
		Broker:   &simBroker{w: w},
		Logger:   slog.New(slog.DiscardHandler),
	}
	if rng.IntN(4) == 0 {
		cfg.Batching.OnHandshake = 400 * time.Millisecond
	}
	if rng.IntN(5) == 0 {
		w.maxAge = time.Duration(1+rng.IntN(3)) * time.Second
		cfg.AuthMaxAge = w.maxAge
	}
	if rng.IntN(2) == 0 {
		cfg.TokenRenewal = socketcluster.TokenRenewal{Every: time.Duration(200+rng.IntN(1000)) * time.Millisecond, ExpiresIn: 2 * time.Second, Margin: 500 * time.Millisecond}
	}
	w.srv = must(socketcluster.New(cfg))
	w.srv.UseInbound(w.inbound)
	outbound := rng.IntN(3) == 0
	w.settings = fmt.Sprintf("renewal every %v, batches %t, outbound middleware %t, slow %v and %v", cfg.TokenRenewal.Every, cfg.Batching.OnHandshake > 0, outbound, w.slowAgain, w.slowInbound)
	if outbound {
		slow := pick(rng, 0, time.Millisecond, 10*time.Millisecond, 40*time.Millisecond)
		w.srv.UseOutbound(func(ctx context.Context, a socketcluster.Action) error {
			w.edge.pass()
			w.doze(slow)
			return nil
		})
	}
	w.handlers()
	for i := range 1 + rng.IntN(4) {
		w.stored = append(w.stored, "")
		w.clients = append(w.clients, &simClient{w: w, index: i, rng: rand.New(rand.NewPCG(seed, uint64(100+i)))})
	}
	return w
}

// doze sleeps, up to a time.
func (w *simWorld) doze(d time.Duration) {
	if d > 0 {
		time.Sleep(time.Duration(w.edge.intn(int(d))))
	}
}

// hang waits until nothing has to hang any more.
func (w *simWorld) hang(ctx context.Context) {
	select {
	case <-w.release:
	case <-ctx.Done():
	}
}

// Accept implements net.Listener.
func (w *simWorld) Accept() (net.Conn, error) {
	select {
	case c := <-w.conns:
		return c, nil
	case <-w.release:
		return nil, net.ErrClosed
	}
}

func (w *simWorld) Addr() net.Addr { return &net.TCPAddr{} }

// Close implements net.Listener.
func (w *simWorld) Close() error { return nil }

func (w *simWorld) dial(size int) (net.Conn, *tapConn) {
	client, server := memnet.Pipe([]int{0, 1024, 300, 100}[size])
	tap := &tapConn{Conn: server, w: w}
	w.note(func() {
		w.taps = append(w.taps, tap)
		tap.number = len(w.taps)
	})
	select {
	case w.conns <- tap:
		return client, tap
	case <-w.release:
		return nil, nil
	}
}

func (w *simWorld) channel(rng *rand.Rand) string {
	if rng.IntN(10) == 0 {
		return stuck
	}
	return simChannels[rng.IntN(len(simChannels)-1)]
}

// claims are those of another login.
func (w *simWorld) claims(rng *rand.Rand) (c simClaims, life int) {
	n := w.number()
	c = simClaims{Login: n, Subject: fmt.Sprint("user", rng.IntN(3)), Session: fmt.Sprint("session", n)}
	for _, channel := range []string{"a", "b", "c"} {
		if rng.IntN(3) > 0 {
			c.Channels = append(c.Channels, channel)
		}
	}
	if life = 3600_000; rng.IntN(2) == 0 {
		life = 50 + rng.IntN(1500)
	}
	return c, life
}

// inMillis is an exp that is so many milliseconds ahead.
func inMillis(n int) float64 {
	return float64(time.Now().Add(time.Duration(n)*time.Millisecond).UnixMilli()) / 1000
}

// presented is a token that a client sends of itself.
func (w *simWorld) presented(rng *rand.Rand) string {
	c, life := w.claims(rng)
	c.Expires = inMillis(life)
	w.note(func() { w.logins[c.Login] = true })
	w.state.Lock()
	signer := w.minted
	w.state.Unlock()
	switch rng.IntN(12) {
	case 0:
		return "no.token.atall"
	case 1:
		c.Expires = inMillis(-1)
	case 2, 3:
		c.Blocked = true
	case 4, 5:
		signer, c.Issuer = w.foreign, foreignKey
	case 6: // a key that was good some time
		w.state.Lock()
		old := 1 + rng.IntN(w.keys)
		w.state.Unlock()
		signer = must(auth.NewJWT(auth.Options{Keys: must(auth.NewKeyRing(ringKey(old))), TokenIDs: true}))
	case 7, 8: // one that is around
		w.state.Lock()
		defer w.state.Unlock()
		if len(w.around) > 0 {
			return w.around[rng.IntN(len(w.around))]
		}
	}
	return must(signer.Sign(context.Background(), c)).Signed()
}

// may is the rule of all channels.
func may(c *simClaims, channel string) bool {
	return channel == openChannel || channel == stuck || c != nil && slices.Contains(c.Channels, channel)
}

var errSimForbidden = errors.New("forbidden")

// inbound is the inbound middleware. It goes by the token that the socket has
// when it is asked.
func (w *simWorld) inbound(ctx context.Context, a socketcluster.Action) error {
	var v verdict
	var s *socketcluster.Socket
	switch a := a.(type) {
	case *socketcluster.Subscribe:
		s, v.kind, v.channel = a.Socket, "subscribe", a.Channel
	case *socketcluster.PublishIn:
		s, v.kind, v.channel, v.n = a.Socket, "publish", a.Channel, mustPayload(a.Data).N
	case *socketcluster.Invoke:
		s, v.kind, v.n = a.Socket, a.Procedure, mustPayload(a.Data).N
	case *socketcluster.Transmit:
		s, v.kind, v.n = a.Socket, a.Receiver, mustPayload(a.Data).N
	case *socketcluster.Authenticate:
		s, v.kind = a.Socket, "authenticate"
	default:
		return nil
	}
	v.conn, v.called = connOf(s), w.now()
	w.edge.pass()
	v.begin = w.now()
	v.token = w.look(s, "middleware of "+v.kind)
	var c *simClaims
	if v.token != nil {
		known := claimsOf(v.token)
		c = &known
	}
	w.edge.pass()
	switch a := a.(type) {
	case *socketcluster.Subscribe:
		v.allow = may(c, a.Channel)
		if a.Again {
			if a.Channel == stuck {
				w.hang(ctx)
				v.allow = false
			}
			w.doze(w.slowAgain)
		}
	case *socketcluster.PublishIn:
		v.allow = may(c, a.Channel)
		w.doze(w.slowInbound)
	case *socketcluster.Invoke:
		v.allow = c != nil || a.Procedure == "login"
		w.doze(w.slowInbound)
	case *socketcluster.Transmit:
		v.allow = c != nil
	case *socketcluster.Authenticate:
		v.token = a.AuthToken
		v.allow = !claimsOf(a.AuthToken).Blocked
		w.doze(100 * time.Millisecond)
	}
	v.end = w.now()
	w.note(func() { w.verdicts = append(w.verdicts, v) })
	w.edge.pass()
	if !v.allow {
		return errSimForbidden
	}
	return nil
}

// started notes that a handler begins.
func (w *simWorld) started(s *socketcluster.Socket, n int, how string) {
	st := start{connOf(s), n, how, w.now()}
	w.note(func() { w.starts = append(w.starts, st) })
	w.look(s, "handler")
}

// handlers registers them.
func (w *simWorld) handlers() {
	handle := func(name string, fn func(ctx context.Context, in payload) error, opts ...socketcluster.HandleOption) {
		w.srv.Handle(name, socketcluster.Func(func(ctx context.Context, in payload) (int, error) {
			w.started(socketcluster.FromContext(ctx), in.N, name)
			w.edge.pass()
			return in.N, fn(ctx, in)
		}), opts...)
	}
	handle("fast", func(context.Context, payload) error { return nil })
	handle("slow", func(context.Context, payload) error {
		time.Sleep(20 * time.Millisecond)
		return nil
	})
	handle("wide", func(context.Context, payload) error {
		w.doze(20 * time.Millisecond)
		return nil
	}, socketcluster.Concurrent(3))
	handle("never", func(ctx context.Context, _ payload) error {
		w.hang(ctx)
		return nil
	})
	handle("login", func(ctx context.Context, in payload) error {
		w.doze(pick(rand.New(rand.NewPCG(w.seed, uint64(in.N))), 0, 0, 30*time.Millisecond)) // a password is checked
		w.login(ctx, socketcluster.FromContext(ctx), *in.Claims, in.Life)
		return nil
	})
	handle("promote", func(ctx context.Context, in payload) error {
		w.promote(ctx, socketcluster.FromContext(ctx), pick(rand.New(rand.NewPCG(w.seed, uint64(in.N))), "a", "b", "c"))
		return nil
	})
	handle("logout", func(ctx context.Context, _ payload) error {
		w.logout(ctx, socketcluster.FromContext(ctx))
		return nil
	})
	w.srv.Receive("note", socketcluster.Recv(func(ctx context.Context, in payload) error {
		w.started(socketcluster.FromContext(ctx), in.N, "note")
		w.doze(10 * time.Millisecond)
		return nil
	}))
	socketcluster.On(w.srv, func(e socketcluster.ConnectEvent) {
		calls, told := e.Socket.Procedure("loop").All(), e.Socket.Receiver("told").All()
		go func() {
			for c := range calls {
				w.started(c.Socket, mustPayload(c.Data).N, "loop")
				w.doze(15 * time.Millisecond)
				c.Reply(nil)
			}
		}()
		go func() {
			for t := range told {
				w.started(t.Socket, mustPayload(t.Data).N, "told")
				w.doze(15 * time.Millisecond)
			}
		}()
	})
}

// login sets the token of a socket.
func (w *simWorld) login(ctx context.Context, s *socketcluster.Socket, c simClaims, life int) {
	c.Expires = inMillis(life)
	begin := w.now()
	err := s.SetAuthToken(ctx, c)
	end := w.now()
	w.changed(connOf(s), begin, end)
	if err == nil {
		w.note(func() {
			w.facts = append(w.facts, fact{conn: connOf(s), token: w.first[c.Login], begin: begin, end: end, how: "SetAuthToken", decision: true})
		})
	}
}

// promote gives the user of a socket the right to one more channel.
func (w *simWorld) promote(ctx context.Context, s *socketcluster.Socket, channel string) {
	old := w.look(s, "handler")
	if old == nil || slices.Contains(claimsOf(old).Channels, channel) || old.KeyID() == foreignKey {
		return
	}
	w.doze(5 * time.Millisecond)
	c := claimsOf(old)
	c.Channels = append(c.Channels, channel)
	begin := w.now()
	if s.SetAuthTokenIf(context.WithValue(ctx, promoteKey{}, true), old, c) == nil {
		w.fact(s, old, begin, "SetAuthTokenIf")
	}
}

func (w *simWorld) logout(ctx context.Context, s *socketcluster.Socket) {
	begin := w.now()
	s.Deauthenticate(ctx)
	end := w.now()
	w.changed(connOf(s), begin, end)
	w.note(func() {
		w.facts = append(w.facts, fact{conn: connOf(s), begin: begin, end: end, how: "Deauthenticate", decision: true})
	})
}

// publisher publishes for the server.
type publisher struct {
	w     *simWorld
	index int
	k     int
	rng   *rand.Rand
}

func (p *publisher) publish(channel string) {
	p.k++
	_ = p.w.srv.Exchange().Publish(p.w.ctx, channel, payload{N: p.w.number(), Publisher: p.index, K: p.k, Pad: strings.Repeat(".", p.rng.IntN(100))})
}

func (p *publisher) run(steps int) {
	for range steps {
		select {
		case <-p.w.over:
			return
		default:
		}
		for range 1 + p.rng.IntN(4) {
			p.publish(p.w.channel(p.rng))
		}
		time.Sleep(delay(p.rng))
	}
}

// someone is any socket, or nil.
func (w *simWorld) someone(rng *rand.Rand) *socketcluster.Socket {
	all := slices.SortedFunc(w.srv.Clients(), func(a, b *socketcluster.Socket) int { return connOf(a) - connOf(b) })
	if len(all) == 0 {
		return nil
	}
	return all[rng.IntN(len(all))]
}

// administrate changes rights, and publishes in the statement after that.
func (p *publisher) administrate(steps int) {
	for range steps {
		select {
		case <-p.w.over:
			return
		default:
		}
		if s := p.w.someone(p.rng); s != nil {
			p.change(s)
		}
		for range p.rng.IntN(4) {
			p.publish(pick(p.rng, "a", "b", "c", openChannel))
		}
		time.Sleep(delay(p.rng))
	}
}

func (p *publisher) change(s *socketcluster.Socket) {
	w, ctx := p.w, p.w.ctx
	token := w.look(s, "administrator")
	switch r := p.rng.IntN(100); {
	case r < 18:
		w.logout(ctx, s)
	case r < 30:
		c, life := w.claims(p.rng)
		w.login(ctx, s, c, life)
	case r < 55 && token != nil:
		c := claimsOf(token)
		what := revoke.Revocation{Disconnect: p.rng.IntN(4) == 0, Until: time.Now().Add(2 * time.Hour)}
		switch p.rng.IntN(3) {
		case 0:
			what.Subject = c.Subject
			what.Before = time.Now()
		case 1:
			what.Session = c.Session
		default:
			jti, _ := token.Claim("jti")
			what.JTI, _ = jti.(string)
		}
		for s := range w.srv.Clients() {
			w.look(s, "administrator")
		}
		begin := w.now()
		if err := w.srv.Revoke(ctx, what); err != nil {
			w.failf("Revoke: %v", err)
		}
		end := w.now()
		w.note(func() { w.revokes = append(w.revokes, revoked{what, begin, end}) })
	case r < 75 && token != nil:
		c := claimsOf(token)
		channel, give := pick(p.rng, "a", "b", "c"), p.rng.IntN(3) == 0
		number := w.number()
		begin := w.now()
		_, err := socketcluster.UpdateClaims(context.WithValue(ctx, updateKey{}, number), w.srv, "sub", c.Subject, func(c *simClaims) error {
			c.Channels = slices.DeleteFunc(slices.Clone(c.Channels), func(other string) bool { return other == channel })
			if give {
				c.Channels = append(c.Channels, channel)
			}
			return nil
		})
		end := w.now()
		if err == nil {
			w.note(func() { w.updates = append(w.updates, updated{number, c.Subject, begin, end}) })
		}
	case r < 79:
		w.rotate()
	case r < 84:
		s.StartBatching()
	case r < 86:
		s.StartBatching().End()
	case r < 88:
		k := kick{connOf(s), w.channel(p.rng), w.now()}
		w.note(func() { w.kicks = append(w.kicks, k) })
		_ = s.KickOut(ctx, k.channel, "out")
	case token != nil:
		// Publications in the moment of the end of a token, and just after it.
		if exp, ok := token.ExpiresAt(); ok {
			if left := time.Until(exp); left > 0 && left < 2*time.Second {
				time.Sleep(left)
				for range 12 {
					p.publish(pick(p.rng, "a", "b", "c"))
					time.Sleep(time.Millisecond)
				}
			}
		}
	}
}

// rotate signs with another key, and accepts the one before no more.
func (w *simWorld) rotate() {
	w.state.Lock()
	defer w.state.Unlock()
	old := w.keys
	w.keys++
	begin := w.now()
	if err := w.ring.Rotate(ringKey(w.keys), 0); err != nil {
		panic(err)
	}
	end := w.now()
	w.minted = must(auth.NewJWT(auth.Options{Keys: must(auth.NewKeyRing(ringKey(w.keys))), TokenIDs: true}))
	w.note(func() { w.rotations = append(w.rotations, rotated{ringKey(old).ID, begin, end}) })
}

// run lets the schedule of the world's seed happen, and waits until nothing
// happens any more. What was seen is in the journal then.
func (w *simWorld) run() {
	var cancel context.CancelFunc
	w.ctx, cancel = context.WithCancel(context.Background())
	defer cancel()
	web := &http.Server{Handler: w.srv, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)}
	go web.Serve(w)
	rng := rand.New(rand.NewPCG(w.seed, 2))
	var actors sync.WaitGroup
	for _, c := range w.clients {
		steps := 8 + rng.IntN(20)
		actors.Go(func() { c.run(steps) })
	}
	for i := range 1 + rng.IntN(2) {
		p := &publisher{w: w, index: i + 1, rng: rand.New(rand.NewPCG(w.seed, uint64(200+i)))}
		steps := 5 + rng.IntN(20)
		actors.Go(func() { p.run(steps) })
	}
	for i := range 1 + rng.IntN(2) {
		p := &publisher{w: w, index: i + 11, rng: rand.New(rand.NewPCG(w.seed, uint64(300+i)))}
		steps := 5 + rng.IntN(20)
		actors.Go(func() { p.administrate(steps) })
	}
	done := make(chan struct{})
	go func() {
		actors.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(horizon - time.Second):
	}
	close(w.over)
	<-done
	for _, l := range w.links.list() {
		l.sleep(0)
		l.conn.SetWriteDeadline(time.Time{})
	}
	time.Sleep(quietTime)
	w.atRest()
	close(w.release)
	cancel()
	w.srv.Close()
	web.Close()
	for _, l := range w.links.list() {
		l.conn.Close()
	}
	time.Sleep(time.Second) // those who sleep come to their end
}
