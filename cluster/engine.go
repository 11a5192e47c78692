package cluster

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// maxPayload is the size of the largest message between nodes, in bytes: twice
// the default of Limits.MessageSize.
const maxPayload = 2 << 20

// startTimeout is the time within which a NATS server in the process must accept
// connections. It takes some milliseconds.
const startTimeout = 10 * time.Second

// startStep is how often a failure to start is looked for.
const startStep = 50 * time.Millisecond

// routePing is how often nodes ping each other, so that one that has stopped
// without closing its connections is noticed within about two of these.
const routePing = 500 * time.Millisecond

// routeReports is for how many attempts there is one record in the log. Each of the four
// connections of a route tries once a second while a node is away.
const routeReports = 240

// engine is the NATS server of a node, or what is needed to reach an outside one.
type engine struct {
	o        *Options
	srv      *server.Server // nil for an outside one
	password string
	unlock   func() // the store
	failed   func(sub *nats.Subscription, err error)
	log      *natsLog
}

// startEngine starts the NATS server of a node.
func startEngine(o *Options) (*engine, error) {
	e := &engine{o: o, password: rand.Text(), unlock: func() {}, failed: func(*nats.Subscription, error) {}}
	if o.URL != "" {
		return e, nil
	}
	system := server.NewAccount(server.DEFAULT_SYSTEM_ACCOUNT)
	so := &server.Options{
		ServerName: o.Name,
		// Without a listener for clients there would be no routes either. Nobody
		// can use this one: its password is random.
		Host: "127.0.0.1", Port: server.RANDOM_PORT,
		Users:    []*server.User{{Username: nodeUser, Password: e.password}, {Username: systemUser, Password: e.password, Account: system}},
		Accounts: []*server.Account{system}, SystemAccount: server.DEFAULT_SYSTEM_ACCOUNT,
		NoSigs:                 true, // the process has handlers of its own
		NoLog:                  true, // see SetLoggerV2
		MaxPayload:             maxPayload,
		DisableJetStreamBanner: true,
	}
	if o.Listen != "" {
		host, port, err := net.SplitHostPort(o.Listen)
		if err != nil {
			return nil, err
		}
		number, err := strconv.Atoi(port)
		if err != nil {
			return nil, err
		}
		if number == 0 {
			number = server.RANDOM_PORT
		}
		so.Cluster = server.ClusterOpts{
			Name: o.Cluster, Host: host, Port: number,
			Username: "route", Password: o.Secret,
			Advertise: o.Advertise, NoAdvertise: o.Advertise == "",
			PingInterval: routePing,
			Permissions:  &server.RoutePermissions{Import: onNode, Export: onNode},
		}
		if o.TLS != nil {
			so.Cluster.TLSConfig = o.TLS.Clone()
			if o.TLS.ClientCAs != nil && o.TLS.ClientAuth == tls.NoClientCert {
				so.Cluster.TLSConfig.ClientAuth = tls.RequireAndVerifyClientCert
			}
			so.Cluster.TLSTimeout = 5
		}
		so.ReconnectErrorReports = routeReports
		for _, addr := range o.Routes {
			so.Routes = append(so.Routes, &url.URL{Scheme: "nats", User: url.UserPassword("route", o.Secret), Host: addr})
		}
		// NATS waits for as many nodes as there are routes. It tries those that are there
		// twice, and keeps one.
		for i := len(so.Routes); i > 0 && i < o.Size; i++ {
			so.Routes = append(so.Routes, so.Routes[0])
		}
	}
	if o.StoreDir != "" {
		dir, unlock, err := openStore(o)
		if err != nil {
			return nil, err
		}
		e.unlock = unlock
		so.JetStream, so.StoreDir, so.SyncAlways = true, dir, o.SyncAlways
		// Streams have bounds of their own. By default, NATS would refuse one whose bound is
		// above three quarters of what is free on this node's disk just now.
		so.JetStreamMaxStore = unlimitedStore
	}
	srv, err := server.NewServer(so)
	if err != nil {
		e.unlock()
		return nil, fmt.Errorf("cluster: %w", err)
	}
	log := &natsLog{Logger: o.Logger}
	e.log = log
	srv.SetLoggerV2(log, false, false, false)
	srv.Start()
	for deadline := time.Now().Add(startTimeout); !srv.ReadyForConnections(startStep); {
		// A fatal error does not end Start.
		failure := log.fatal.Load()
		if failure == nil && time.Now().Before(deadline) {
			continue
		}
		srv.Shutdown()
		srv.WaitForShutdown()
		e.unlock()
		if failure != nil && strings.HasPrefix((*failure).Error(), natsNoListen) {
			return nil, fmt.Errorf("cluster: Options.Listen is %q: %w", o.Listen, *failure)
		}
		if failure != nil {
			return nil, fmt.Errorf("cluster: NATS does not start: %w", *failure)
		}
		return nil, errors.New("cluster: NATS does not start")
	}
	e.srv = srv
	return e, nil
}

// unlimitedStore is more than any disk has.
const unlimitedStore = 1 << 60

// nodeUser is the user of the node in its own NATS server, and systemUser the one who may ask
// what is about the cluster itself.
const (
	nodeUser   = "node"
	systemUser = "system"
)

// stop ends the NATS server. Connections to it must have been closed, as unread
// ones delay it.
func (e *engine) stop() {
	if e.srv != nil {
		e.srv.Shutdown()
		e.srv.WaitForShutdown()
	}
	e.unlock()
}

// natsLog passes what a NATS server reports on to slog. Its notices are details
// here.
type natsLog struct {
	*slog.Logger
	fatal  atomic.Pointer[error]
	denied seldom // a wrong secret
	twin   seldom // another node of this name

	mu       sync.Mutex
	watchers watchers // of routes
}

// routes returns a channel that gets something when a route may have come or gone. NATS has
// no other event for it than what it logs, which it does just before.
func (l *natsLog) routes() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.watchers.add()
}

func (l *natsLog) routesChanged() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.watchers.wake()
}

// refusedPause is how often it is logged that routes are refused for one reason. NATS says
// that several times a second.
const refusedPause = time.Minute

// seldom is something that is logged once in refusedPause.
type seldom struct{ last atomic.Pointer[time.Time] }

// recent reports whether it was logged just before.
func (s *seldom) recent() bool {
	last := s.last.Load()
	return last != nil && time.Since(*last) < refusedPause
}

// begin reports whether it is to be logged now.
func (s *seldom) begin() bool {
	now, last := time.Now(), s.last.Load()
	return (last == nil || now.Sub(*last) >= refusedPause) && s.last.CompareAndSwap(last, &now)
}

// The texts by which NATS says something of a route, that it is refused, here and there, that
// there is a node of the same name, what comes of that, that a password is no hash, and that nobody
// answers at an address, for the first time. The password of a route may be none: nobody knows it
// but the nodes.
const (
	natsRoute    = " - rid:"
	natsRefuses  = "authentication error"
	natsRefused  = "Authorization Violation"
	natsTwin     = "Remote server has a duplicate name"
	natsBroken   = "Parse Error"
	natsPlain    = "Plaintext passwords detected"
	natsNoListen = "Error listening on router port"
	natsNobody   = "Error trying to connect to route (attempt 1)"
)

func (l *natsLog) log(level slog.Level, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	route := strings.Contains(text, natsRoute)
	if route {
		l.routesChanged()
	}
	switch {
	case strings.HasPrefix(text, natsPlain):
		return
	case strings.HasPrefix(text, natsNobody):
		level = slog.LevelInfo // a node has not started yet, or has just ended; see also routeReports
	case route && (strings.Contains(text, natsRefuses) || strings.Contains(text, natsRefused)):
		if l.denied.begin() {
			l.LogAttrs(context.Background(), slog.LevelError, "cluster: another node has another secret, so that they do not connect: give all nodes the same Options.Secret", slog.String("nats", text))
		}
		return
	case route && strings.Contains(text, natsTwin):
		if l.twin.begin() {
			l.LogAttrs(context.Background(), slog.LevelError, ownName, slog.String("nats", text))
		}
		return
	case route && strings.Contains(text, natsBroken) && l.twin.recent():
		return
	}
	l.LogAttrs(context.Background(), level, "nats: "+text)
}

// Noticef implements server.Logger.
func (l *natsLog) Noticef(format string, args ...any) { l.log(slog.LevelDebug, format, args...) }

// Warnf implements server.Logger.
func (l *natsLog) Warnf(format string, args ...any) { l.log(slog.LevelWarn, format, args...) }

// Errorf implements server.Logger.
func (l *natsLog) Errorf(format string, args ...any) { l.log(slog.LevelError, format, args...) }

// Fatalf implements server.Logger.
func (l *natsLog) Fatalf(format string, args ...any) {
	err := fmt.Errorf(format, args...)
	l.fatal.CompareAndSwap(nil, &err)
	l.log(slog.LevelError, format, args...)
}

// Debugf implements server.Logger.
func (*natsLog) Debugf(string, ...any) {}

// Tracef implements server.Logger.
func (*natsLog) Tracef(string, ...any) {}

// hasCopy reports whether the server of the node has a copy of a stream of a cluster, or NATS is an
// outside one.
func (e *engine) hasCopy(stream string) bool {
	return e.srv == nil || e.srv.JetStreamIsStreamAssigned(streamAccount, stream)
}

// led returns what the server of the node says of the streams that it leads, nil if it has none or ends.
func (e *engine) led() []server.StreamDetail {
	account, err := e.srv.JszAccount(&server.JSzOptions{Account: streamAccount, Streams: true, StreamLeaderOnly: true})
	if err != nil {
		return nil
	}
	return account.Streams
}

// onNode keeps requests to copies on the node where they are made. NATS would pass them on to any
// copy.
var onNode = &server.SubjectPermission{Deny: []string{directGet + ">"}}

// connect connects to the NATS server of the node, or to the outside one.
func (e *engine) connect(name string, more ...nats.Option) (*nats.Conn, error) {
	return e.connectAs(nodeUser, name, more...)
}

func (e *engine) connectAs(user, name string, more ...nats.Option) (*nats.Conn, error) {
	log := e.o.Logger
	opts := []nats.Option{
		nats.Name(e.o.Name + " " + name),
		nats.MaxReconnects(-1), nats.ReconnectWait(100 * time.Millisecond),
		nats.Timeout(5 * time.Second),
		nats.ErrorHandler(func(_ *nats.Conn, sub *nats.Subscription, err error) {
			subject := ""
			if sub != nil {
				subject = sub.Subject
			}
			e.failed(sub, err)
			log.Warn("cluster: NATS reports an error", slog.String("connection", name), slog.String("subject", subject), slog.Any("error", err))
		}),
	}
	if e.srv != nil {
		opts = append(opts, nats.InProcessServer(e.srv), nats.UserInfo(user, e.password))
	}
	nc, err := nats.Connect(e.o.URL, append(append(opts, e.o.Connect...), more...)...)
	if err != nil {
		return nil, fmt.Errorf("cluster: connect to NATS: %w", err)
	}
	return nc, nil
}
