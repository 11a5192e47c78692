package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/wire"
)

// server is a server of the library, with its number for the bridge. Its fields
// change by commands only, which never run at the same time, or are safe for
// concurrent use.
type server struct {
	host     *host
	number   int
	srv      *socketcluster.Server
	engine   *engine
	listener net.Listener
	http     *http.Server
	cleanup  string // the option socketStreamCleanupMode

	publishOption bool   // the property allowClientPublish
	publishGuard  func() // removes the middleware that forbids it

	ready      atomic.Bool // takes connections
	middleware map[string]func()
	channels   map[string]context.CancelFunc // the channels to which the exchange is subscribed
}

// serverCommands are the commands for a server.
var serverCommands = map[string]func(v *server, ctx *waitContext, c *command) (any, error){
	"httpClose": func(v *server, _ *waitContext, _ *command) (any, error) {
		return nil, v.listener.Close()
	},
	"close": func(v *server, ctx *waitContext, c *command) (any, error) {
		ctx.Done() // the clients' connections end, which may take a while
		return nil, v.close(c.KeepSocketsOpen)
	},
	"set": func(v *server, _ *waitContext, c *command) (any, error) {
		return nil, v.set(c.Name, c.Value)
	},
	"setMiddleware": func(v *server, _ *waitContext, c *command) (any, error) {
		return nil, v.setMiddleware(c.Type)
	},
	"removeMiddleware": func(v *server, _ *waitContext, c *command) (any, error) {
		if remove := v.middleware[c.Type]; remove != nil {
			remove()
			delete(v.middleware, c.Type)
		}
		return nil, nil
	},
	"setAuthEngine": func(v *server, _ *waitContext, c *command) (any, error) {
		v.engine.delegate(c.Methods)
		return nil, nil
	},
	"signToken": func(v *server, ctx *waitContext, c *command) (any, error) {
		return v.engine.signWith(ctx, c.Key, c.Token, c.Options)
	},
	"verifyToken": func(v *server, ctx *waitContext, c *command) (any, error) {
		return v.engine.verifyWith(ctx, c.Key, c.SignedToken)
	},
	"exchange": func(v *server, _ *waitContext, c *command) (any, error) {
		return v.exchange(c.Op, c.channel())
	},
	"transmitPublish": func(v *server, ctx *waitContext, c *command) (any, error) {
		return nil, v.srv.Exchange().Publish(ctx, c.channel(), payload(c.Data))
	},
	"invokePublish": func(v *server, ctx *waitContext, c *command) (any, error) {
		return nil, v.srv.Exchange().Publish(ctx, c.channel(), payload(c.Data))
	},
	"brokerDefault": func(*server, *waitContext, *command) (any, error) {
		// The hub has done this before the broker is called.
		return nil, nil
	},
}

// listen makes a server.
func (h *host) listen(c *command) (any, error) {
	opts, all, err := readOptions(c.Options)
	if err != nil {
		return nil, err
	}
	v := &server{
		host:    h,
		number:  c.Server,
		cleanup: opts.SocketStreamCleanupMode,

		publishOption: opts.AllowClientPublish,

		middleware: make(map[string]func()),
		channels:   make(map[string]context.CancelFunc),
	}
	cfg, err := opts.config()
	if err != nil {
		return nil, err
	}
	authOptions, err := opts.auth()
	if err != nil {
		return nil, err
	}
	if v.engine, err = newEngine(v, authOptions, c.AuthMethods); err != nil {
		return nil, err
	}
	cfg.AuthEngine = v.engine
	if len(c.BrokerHooks) > 0 {
		cfg.Broker = &hookedBroker{server: v, hooks: c.BrokerHooks}
	}
	cfg.Logger = h.log
	if v.srv, err = socketcluster.New(cfg); err != nil {
		return nil, err
	}
	v.watch()
	if v.listener, err = net.Listen("tcp", fmt.Sprintf(":%d", c.Port)); err != nil {
		return nil, errors.Join(err, v.srv.Close())
	}
	v.http = &http.Server{Handler: v}
	go v.http.Serve(v.listener) // its error reports that the listener was closed
	h.mu.Lock()
	h.servers[c.Server] = v
	h.mu.Unlock()

	v.ready.Store(true)
	h.out.put(func() any {
		return eventLine{T: "event", On: "server", Server: v.number, Event: "ready", Data: fields{}, snapshots: with(v, nil)}
	})
	return v.properties(all), nil
}

// properties are the properties of the server that the suite may read.
func (v *server) properties(all fields) fields {
	signature, verification := v.engine.keys()
	properties := fields{"signatureKey": signature, "verificationKey": verification}
	for _, name := range reported {
		if value, ok := all[name]; ok {
			properties[name] = value
		}
	}
	return fields{
		"port":       v.listener.Addr().(*net.TCPAddr).Port,
		"options":    all,
		"properties": properties,
	}
}

// ServeHTTP numbers the requests for the bridge. A server that was closed
// except for its clients accepts no more requests.
func (v *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !v.ready.Load() {
		http.Error(w, "Service Unavailable", http.StatusServiceUnavailable)
		return
	}
	v.srv.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), requestNumber{}, v.host.number())))
}

// close ends the server. It can leave its connections open.
func (v *server) close(keepSocketsOpen bool) error {
	v.ready.Store(false)
	if keepSocketsOpen {
		return nil
	}
	err := v.srv.Close()
	if errors.Is(err, socketcluster.ErrServerClosed) {
		err = nil
	}
	return errors.Join(err, v.http.Close())
}

// set changes a property while the server runs: the keys, and whether clients
// may publish, which is middleware here as it may come and go at any time.
func (v *server) set(name string, value json.RawMessage) error {
	var key string
	switch name {
	case "signatureKey":
		if err := json.Unmarshal(value, &key); err != nil {
			return err
		}
		return v.engine.setSignatureKey(key)
	case "verificationKey":
		if err := json.Unmarshal(value, &key); err != nil {
			return err
		}
		return v.engine.setVerificationKey(key)
	case "allowClientPublish":
		var allowed bool
		if err := json.Unmarshal(value, &allowed); err != nil {
			return err
		}
		return v.allowClientPublish(allowed)
	}
	return unsupported("setting the property %s while the server runs", name)
}

func (v *server) allowClientPublish(allowed bool) error {
	if v.publishOption == allowed {
		return nil
	}
	v.publishOption = allowed
	if allowed {
		if v.publishGuard == nil {
			return unsupported("allowing clients to publish while the option of the server forbids it")
		}
		v.publishGuard()
		return nil
	}
	v.publishGuard = socketcluster.Use(v.srv, func(context.Context, *socketcluster.PublishIn) error {
		return &wire.Error{Name: wire.NameInvalidAction, Message: "Client publish feature is disabled"}
	})
	return nil
}

// parseKey reads a key in either of the forms that JavaScript accepts.
func parseKey(text string) (auth.Key, error) {
	if strings.HasPrefix(text, "-----BEGIN ") {
		return auth.ParsePEM([]byte(text))
	}
	return auth.HMACKey([]byte(text)), nil
}

// exchange executes the commands for server.exchange.
func (v *server) exchange(op, channel string) (any, error) {
	switch op {
	case "subscribe":
		return nil, v.subscribe(channel)
	case "unsubscribe":
		if cancel := v.channels[channel]; cancel != nil {
			cancel()
			delete(v.channels, channel)
		}
		return nil, nil
	case "isSubscribed":
		return v.channels[channel] != nil, nil
	case "subscriptions":
		names := []string{}
		for name := range v.channels {
			names = append(names, name)
		}
		slices.Sort(names)
		return names, nil
	case "brokerSubscriptions":
		return slices.AppendSeq([]string{}, v.srv.Exchange().Subscriptions()), nil
	}
	return nil, &wire.Error{Name: wire.NameInvalidArguments, Message: fmt.Sprintf("Unknown exchange operation %s", op)}
}

func (v *server) subscribe(channel string) error {
	if v.channels[channel] != nil {
		return nil
	}
	ctx, cancel := context.WithCancel(context.Background())
	publications, err := v.srv.Exchange().Subscribe(ctx, channel)
	if err != nil {
		cancel()
		return err
	}
	v.channels[channel] = cancel
	go func() {
		for data := range publications.All() {
			v.host.out.put(func() any {
				return exchangeLine{T: "exchange", Server: v.number, Channel: channel, Data: data}
			})
		}
	}()
	return nil
}
