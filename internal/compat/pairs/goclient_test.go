package pairs

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/client"
	"github.com/socketcluster-go/socketcluster/wire"
)

// goClient is the Go client in a case.
type goClient struct {
	*client.Client
	ctx   context.Context // ends with the case
	store *noteStore
	diary list[string]
	notes list[json.RawMessage]
	pings list[struct{}]
	raws  list[string]
	// What has been received, as text.
	messages list[string]

	// What the events have said of each connection, by its ID, and of the attempts
	// that have failed.
	connects list[connection]
	aborts   list[string]

	mu           sync.Mutex
	publications map[string]*list[json.RawMessage]
}

// noteStore notes what is done to a store, and the events about it. It hides that
// the store can be watched.
type noteStore struct {
	tokens  client.MemoryStore
	changes list[string]
}

func (s *noteStore) Load(ctx context.Context, name string) (string, error) {
	return s.tokens.Load(ctx, name)
}

func (s *noteStore) Save(ctx context.Context, name, token string) error {
	err := s.tokens.Save(ctx, name, token)
	s.changes.add("save " + token)
	return err
}

func (s *noteStore) Remove(ctx context.Context, name, token string) (bool, error) {
	removed, err := s.tokens.Remove(ctx, name, token)
	if removed {
		s.changes.add("remove " + token)
	}
	return removed, err
}

// options are those of the step create.
type options struct {
	Port           int               `json:"port"`
	Query          map[string]string `json:"query,omitempty"`
	Compress       bool              `json:"compress,omitempty"`
	ReconnectAfter *int              `json:"reconnectAfter,omitempty"` // milliseconds; without it, it does not
	ChannelPrefix  string            `json:"channelPrefix,omitempty"`
	AutoSubscribe  *bool             `json:"autoSubscribeOnConnect,omitempty"`
}

const tokenName = "token"

func newGoClient(ctx context.Context, o options, version wire.Version, stored string) (*goClient, error) {
	url := fmt.Sprintf("ws://127.0.0.1:%d/socketcluster/", o.Port)
	sep := "?"
	for name, value := range o.Query {
		url += sep + name + "=" + value
		sep = "&"
	}
	c := &goClient{
		ctx: ctx, store: new(noteStore), publications: make(map[string]*list[json.RawMessage]),
	}
	if stored != "" {
		if err := c.store.tokens.Save(ctx, tokenName, stored); err != nil {
			return nil, err
		}
	}
	reconnect := client.Reconnect{Disabled: o.ReconnectAfter == nil}
	if o.ReconnectAfter != nil {
		d := time.Duration(*o.ReconnectAfter) * time.Millisecond
		reconnect = client.Reconnect{InitialDelay: d, Randomness: -1, Multiplier: 1, MaxDelay: d}
	}
	var compression socketcluster.Compression
	if o.Compress {
		compression = socketcluster.Compression{Level: 1, Threshold: 64}
	}
	var err error
	c.Client, err = client.New(url, client.Options{
		TokenStore: c.store, AuthTokenName: tokenName, Reconnect: reconnect, ProtocolVersion: version,
		ChannelPrefix: o.ChannelPrefix, DelaySubscriptions: o.AutoSubscribe != nil && !*o.AutoSubscribe,
		Compression: compression,
		Logger:      slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return nil, err
	}
	c.Handle("greet", socketcluster.Func(func(_ context.Context, name string) (map[string]string, error) {
		return map[string]string{"greeting": "Hello " + name}, nil
	}))
	c.Handle("refuse", socketcluster.Proc(func(_ context.Context, why json.RawMessage) error {
		return socketcluster.Errorf("RefusedError", "I would rather not").With("reason", map[string]json.RawMessage{"why": why})
	}))
	c.Receive("note", socketcluster.ReceiverFunc(func(_ context.Context, n *socketcluster.Transmission) error {
		c.notes.add(n.Data)
		return nil
	}))
	c.keepDiary(version)
	return c, nil
}

// keepDiary notes the events, in the words of js/client.mjs.
func (c *goClient) keepDiary(version wire.Version) {
	closed := func(what string, code wire.CloseCode, reason string) {
		c.note("%s %d %s", what, int(code), reason)
	}
	cl := c.Client
	client.On(cl, func(client.ConnectingEvent) { c.note("connecting") })
	client.On(cl, func(e client.ConnectEvent) {
		c.note("connect")
		status := map[string]any{"isAuthenticated": e.IsAuthenticated, "authToken": e.SignedAuthToken}
		if e.AuthError != nil {
			status["authError"] = errorJSON(e.AuthError)
		}
		c.connects.add(connection{e.ID, must(marshal(status))})
	})
	client.On(cl, func(e client.ConnectAbortEvent) {
		closed("connectAbort", e.Code, e.Reason)
		c.aborts.add(trim(fmt.Sprintf("%d %s", int(e.Code), e.Reason)))
	})
	client.On(cl, func(e client.DisconnectEvent) { closed("disconnect", e.Code, e.Reason) })
	client.On(cl, func(e client.CloseEvent) { closed("close", e.Code, e.Reason) })
	client.On(cl, func(e client.ErrorEvent) {
		if failure, ok := errors.AsType[*wire.Error](e.Err); ok {
			c.note("error %v", failure)
		} else {
			c.note("error of the system")
		}
	})
	client.On(cl, func(e client.RawEvent) { c.raws.add(string(e.Data)) })
	client.On(cl, func(e client.MessageEvent) {
		c.messages.add(string(e.Data))
		if string(e.Data) == version.Ping() {
			c.pings.add(struct{}{})
		}
	})
	client.On(cl, func(e client.SubscribeEvent) { c.note("subscribe %s", e.Channel) })
	client.On(cl, func(e client.SubscribeRequestEvent) { c.note("subscribeRequest %s", e.Channel) })
	client.On(cl, func(e client.SubscribeFailEvent) {
		name := ""
		if failure, ok := errors.AsType[*wire.Error](e.Err); ok {
			name = failure.Name
		}
		c.note("subscribeFail %s %s", e.Channel, name)
	})
	client.On(cl, func(e client.SubscribeStateChangeEvent) {
		c.note("subscribeStateChange %s %v>%v", e.Channel, e.OldChannelState, e.NewChannelState)
	})
	client.On(cl, func(e client.UnsubscribeEvent) { c.note("unsubscribe %s", e.Channel) })
	client.On(cl, func(e client.KickOutEvent) {
		message := "undefined"
		if e.Message != nil {
			message = string(e.Message)
		}
		c.note("kickOut %s %s", e.Channel, message)
	})
	client.On(cl, func(e client.AuthenticateEvent) { c.note("authenticate %s", userOf(e.AuthToken)) })
	client.On(cl, func(e client.DeauthenticateEvent) { c.note("deauthenticate %s", userOf(e.OldAuthToken)) })
	client.On(cl, func(e client.AuthStateChangeEvent) { c.note("authStateChange %v>%v", e.OldAuthState, e.NewAuthState) })
	client.On(cl, func(e client.RemoveAuthTokenEvent) {
		c.store.changes.add(trim("removeAuthToken " + e.OldSignedAuthToken))
	})
}

func (c *goClient) note(format string, args ...any) { c.diary.add(trim(fmt.Sprintf(format, args...))) }

func userOf(t *auth.Token) string {
	if t == nil {
		return "nobody"
	}
	if name, ok := t.Claim("username"); ok {
		return fmt.Sprint(name)
	}
	return "nobody"
}

// errorJSON returns an error as the npm client shows it.
func errorJSON(err error) json.RawMessage {
	if failure, ok := errors.AsType[*wire.Error](err); ok {
		return failure.AppendJSON(nil)
	}
	return must(marshal(map[string]string{"name": fmt.Sprintf("%T", err), "message": err.Error()}))
}

// run runs a step. Its error is that of the step.
func (c *goClient) run(step string, args []json.RawMessage) (json.RawMessage, error) {
	ctx := c.ctx
	switch step {
	case "connect":
		return c.connect()
	case "begin":
		go func() { _ = c.Connect(ctx) }() // the events say how it ends
		return nil, nil
	case "status":
		return must(marshal(map[string]string{
			"state": c.State().String(), "authState": c.AuthState().String(), "user": userOf(c.AuthToken()),
		})), nil
	case "stored":
		return c.store.changes.take(ctx, arg[int](args, 0)), nil
	case "isReconnecting":
		_, ok := c.NextAttempt()
		return must(marshal(ok)), nil
	case "events":
		return c.diary.take(ctx, arg[int](args, 0)), nil
	case "sees":
		event, count := arg[string](args, 0), arg[int](args, 1)
		return nil, c.diary.await(ctx, func(entries []string) bool {
			n := 0
			for _, e := range entries {
				if e == event {
					n++
				}
			}
			return n >= count
		})
	case "received":
		return c.notes.take(ctx, arg[int](args, 0)), nil
	case "raws":
		return c.raws.take(ctx, arg[int](args, 0)), nil
	case "receives":
		text := arg[string](args, 0)
		return nil, c.messages.await(ctx, func(all []string) bool {
			return slices.ContainsFunc(all, func(m string) bool { return strings.Contains(m, text) })
		})
	case "pings":
		c.pings.take(ctx, arg[int](args, 0))
		return must(marshal(ctx.Err() == nil)), nil
	case "invoke":
		return c.Invoke(ctx, arg[string](args, 0), data(args, 1))
	case "login":
		return c.Login(ctx, arg[string](args, 0), data(args, 1))
	case "invokeWithin":
		ctx, cancel := context.WithTimeout(ctx, time.Duration(arg[int](args, 0))*time.Millisecond)
		defer cancel()
		return c.Invoke(ctx, arg[string](args, 1), data(args, 2))
	case "transmit":
		return nil, c.Transmit(ctx, arg[string](args, 0), data(args, 1))
	case "publish":
		return nil, c.Publish(ctx, arg[string](args, 0), data(args, 1))
	case "transmitPublish":
		return nil, c.TransmitPublish(ctx, arg[string](args, 0), data(args, 1))
	case "authenticate":
		return nil, c.Authenticate(ctx, arg[string](args, 0))
	case "deauthenticate":
		return nil, c.Deauthenticate(ctx)
	case "disconnect":
		return nil, c.Disconnect(arg[wire.CloseCode](args, 0), arg[string](args, 1))
	case "want":
		_, err := c.subscribe(args, client.PendingOK())
		return nil, err
	case "subscribe":
		_, err := c.subscribe(args)
		return nil, err
	case "unsubscribe":
		c.Unsubscribe(arg[string](args, 0))
		return nil, nil
	case "channelState":
		return must(marshal(c.ChannelState(arg[string](args, 0)).String())), nil
	case "publications":
		return c.publicationsOf(arg[string](args, 0)).take(ctx, arg[int](args, 1)), nil
	case "processPendingSubscriptions":
		c.ProcessPendingSubscriptions()
		return nil, nil
	}
	return nil, fmt.Errorf("there is no step %s", step)
}

// connection is what a connect event has said.
type connection struct {
	id     string
	status json.RawMessage
}

// connect connects, and returns what the event says.
func (c *goClient) connect() (said json.RawMessage, err error) {
	aborted := c.aborts.len()
	err = c.Connect(c.ctx)
	if errors.Is(err, &wire.Error{Name: wire.NewSocketProtocolError(0, "").Name}) {
		failed := ""
		err = c.aborts.await(c.ctx, func(all []string) bool {
			if len(all) > aborted {
				failed = all[aborted]
			}
			return failed != ""
		})
		return nil, cmp.Or(err, error(&wire.Error{Name: "ConnectAbort", Message: failed}))
	}
	if err != nil {
		return nil, err
	}
	id := c.ID()
	err = c.connects.await(c.ctx, func(all []connection) bool {
		i := slices.IndexFunc(all, func(one connection) bool { return one.id == id })
		if i >= 0 {
			said = all[i].status
		}
		return i >= 0
	})
	return said, err
}

func (c *goClient) subscribe(args []json.RawMessage, opts ...client.SubscribeOption) (*client.Subscription, error) {
	var o struct {
		WaitForAuth bool
		Priority    int
		Data        json.RawMessage
	}
	if len(args) > 1 {
		if err := json.Unmarshal(args[1], &o); err != nil {
			return nil, err
		}
	}
	if o.WaitForAuth {
		opts = append(opts, client.WaitForAuth())
	}
	if o.Data != nil {
		opts = append(opts, client.Data(o.Data))
	}
	opts = append(opts, client.Priority(o.Priority))
	name := arg[string](args, 0)
	sub, err := c.Subscribe(c.ctx, name, opts...)
	if err != nil {
		return nil, err
	}
	to := c.publicationsOf(name)
	go func() {
		for data := range sub.All() {
			to.add(data)
		}
	}()
	return sub, nil
}

func (c *goClient) publicationsOf(channel string) *list[json.RawMessage] {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.publications[channel] == nil {
		c.publications[channel] = new(list[json.RawMessage])
	}
	return c.publications[channel]
}

// arg returns an argument, or zero if there is none.
func arg[T any](args []json.RawMessage, i int) (v T) {
	if i < len(args) {
		if err := json.Unmarshal(args[i], &v); err != nil {
			panic(err)
		}
	}
	return v
}

// data returns an argument that is data, or nil if there is none.
func data(args []json.RawMessage, i int) any {
	if i < len(args) {
		return args[i]
	}
	return nil
}

// list is what has come, for one reader who waits for a number of entries.
type list[T any] struct {
	mu      sync.Mutex
	entries []T
	changed chan struct{}
}

func (l *list[T]) add(v T) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.entries = append(l.entries, v)
	if l.changed != nil {
		close(l.changed)
		l.changed = nil
	}
}

func (l *list[T]) len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.entries)
}

// await waits until the entries are as wanted, or for the end of ctx.
func (l *list[T]) await(ctx context.Context, wanted func(entries []T) bool) error {
	for {
		l.mu.Lock()
		done := wanted(l.entries)
		if l.changed == nil {
			l.changed = make(chan struct{})
		}
		changed := l.changed
		l.mu.Unlock()
		if done {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// take waits for a number of entries, or the end of ctx, and removes all.
func (l *list[T]) take(ctx context.Context, count int) json.RawMessage {
	_ = l.await(ctx, func(entries []T) bool { return len(entries) >= count }) // the entries say enough
	l.mu.Lock()
	defer l.mu.Unlock()
	taken := append([]T{}, l.entries...)
	l.entries = nil
	return must(marshal(taken))
}
