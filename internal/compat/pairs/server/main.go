// Command server is the server of this module in the pairings: the twin of
// ../js/server20.js and ../js/server14.js, whose procedures ../js/procedures.js
// describes.
//
// It listens on 127.0.0.1:$PORT and takes AUTH_KEY, PING_INTERVAL and
// PING_TIMEOUT (milliseconds) from its environment.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/wire"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil {
		slog.Error("the server failed", slog.Any("error", err))
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	interval, err := milliseconds("PING_INTERVAL")
	if err != nil {
		return err
	}
	timeout, err := milliseconds("PING_TIMEOUT")
	if err != nil {
		return err
	}
	srv, err := socketcluster.New(socketcluster.Config{
		Auth:        auth.Options{Key: os.Getenv("AUTH_KEY")},
		Timeouts:    socketcluster.Timeouts{PingInterval: interval, Ping: timeout},
		Compression: socketcluster.Compression{Level: 1, Threshold: 64},
	})
	if err != nil {
		return err
	}
	newApp(srv)
	listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", os.Getenv("PORT")))
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle(socketcluster.DefaultPath, srv)
	h := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	fmt.Println("listening on", listener.Addr())
	go func() {
		<-ctx.Done()
		srv.Close()
		_ = h.Close()
	}()
	if err := h.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func milliseconds(name string) (time.Duration, error) {
	n, err := strconv.Atoi(os.Getenv(name))
	if err != nil {
		return 0, fmt.Errorf("%s must be a number of milliseconds: %w", name, err)
	}
	return time.Duration(n) * time.Millisecond, nil
}

// refusedCode is the code that a client which may not connect is closed with.
const refusedCode = 4501

// claims are the claims in the tokens of this server.
type claims struct {
	Username string `json:"username"`
}

// closing is how the server has seen a client leave.
type closing struct {
	Code   wire.CloseCode `json:"code"`
	Reason string         `json:"reason"`
}

// app is the server with what it knows of its sockets.
type app struct {
	srv      *socketcluster.Server
	sockets  socketcluster.Key[*socket]
	closings meeting[closing]
	silences meeting[socketcluster.None]
}

// socket is what the server knows of one.
type socket struct {
	mu        sync.Mutex
	name      string
	notes     []json.RawMessage
	noted     chan struct{} // holds a token when there may be more notes
	requested []string
}

func (a *app) of(s *socketcluster.Socket) *socket {
	mine, _ := a.sockets.Get(s)
	return mine
}

func (a *app) from(ctx context.Context) *socket { return a.of(socketcluster.FromContext(ctx)) }

func newApp(srv *socketcluster.Server) {
	a := &app{srv: srv}
	socketcluster.Use(srv, func(_ context.Context, h *socketcluster.Handshake) error {
		a.sockets.Set(h.Socket, &socket{noted: make(chan struct{}, 1), requested: []string{}})
		if h.Request.URL.Query().Has("refuse") {
			return socketcluster.Errorf("DoorError", "You may not enter").With("statusCode", refusedCode)
		}
		return nil
	})
	socketcluster.Use(srv, func(_ context.Context, s *socketcluster.Subscribe) error {
		if !s.Again {
			mine := a.of(s.Socket)
			mine.mu.Lock()
			mine.requested = append(mine.requested, requestOf(s))
			mine.mu.Unlock()
		}
		return refusal(s.Socket, s.Channel, "SubscribeError")
	})
	socketcluster.Use(srv, func(_ context.Context, p *socketcluster.PublishIn) error {
		return refusal(p.Socket, p.Channel, "PublishError")
	})
	socketcluster.On(srv, func(e socketcluster.DisconnectEvent) {
		mine := a.of(e.Socket)
		mine.mu.Lock()
		name := mine.name
		mine.mu.Unlock()
		a.closings.tell(name, closing{e.Code, e.Reason})
	})
	a.handleCalls()
	a.handleLogins()
	a.handleChannels()
	a.handleEnds()
}

// requestOf describes a request for a channel.
func requestOf(s *socketcluster.Subscribe) string {
	if s.Data == nil {
		return s.Channel
	}
	return s.Channel + " " + string(s.Data)
}

// refusal returns why a client may not use a channel, or nil.
func refusal(s *socketcluster.Socket, channel, errorName string) error {
	switch {
	case strings.HasPrefix(channel, "secret."):
		return socketcluster.ErrBlocked
	case strings.HasPrefix(channel, "private.") && s.AuthState() != socketcluster.Authenticated:
		return socketcluster.Errorf(errorName, "Log in first")
	}
	return nil
}

func (a *app) handleCalls() {
	a.srv.Handle("echo", socketcluster.HandlerFunc(func(_ context.Context, c *socketcluster.Call) (any, error) {
		if c.Data == nil {
			return nil, nil
		}
		return c.Data, nil
	}))
	a.srv.Handle("fail", socketcluster.Proc(func(_ context.Context, in json.RawMessage) error { return wire.ParseError(in) }))
	a.srv.Handle("crash", socketcluster.Proc(func(context.Context, json.RawMessage) error {
		return errors.New("the password of the database is wrong")
	}))
	a.srv.Handle("silent", socketcluster.HandlerFunc(func(ctx context.Context, c *socketcluster.Call) (any, error) {
		c.Detach()
		mine := a.from(ctx)
		mine.mu.Lock()
		defer mine.mu.Unlock()
		a.silences.tell(mine.name, socketcluster.None{})
		return nil, nil
	}))
	a.srv.Handle("silenced", socketcluster.Proc(func(ctx context.Context, name string) error {
		_, err := a.silences.wait(ctx, name)
		return err
	}), socketcluster.Concurrent(100))
	a.srv.Handle("callBack", socketcluster.Func(a.callBack))
	a.srv.Handle("sendBack", socketcluster.Proc(sendAll))
	a.srv.Handle("sendBatch", socketcluster.Proc(func(ctx context.Context, in series) error {
		defer socketcluster.FromContext(ctx).StartBatch().End()
		return sendAll(ctx, in)
	}))
	a.srv.Handle("sendRaw", socketcluster.Proc(func(ctx context.Context, message string) error {
		return socketcluster.FromContext(ctx).Send(ctx, message)
	}))
	a.srv.Handle("bytes", socketcluster.Func(func(context.Context, json.RawMessage) ([]byte, error) {
		return []byte{0, 1, 254, 255}, nil
	}))
	a.srv.Receive("note", socketcluster.ReceiverFunc(func(ctx context.Context, t *socketcluster.Transmission) error {
		mine := a.from(ctx)
		mine.mu.Lock()
		defer mine.mu.Unlock()
		data := t.Data
		if data == nil {
			data = json.RawMessage("null") // as an undefined one in an array of JavaScript
		}
		mine.notes = append(mine.notes, data)
		select {
		case mine.noted <- struct{}{}:
		default:
		}
		return nil
	}))
	a.srv.Handle("received", socketcluster.Func(func(ctx context.Context, count int) ([]json.RawMessage, error) {
		for mine := a.from(ctx); ; {
			mine.mu.Lock()
			notes := mine.notes
			mine.mu.Unlock()
			if len(notes) >= count {
				return notes, nil
			}
			select {
			case <-mine.noted:
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
	}))
}

// series are transmissions of numbers.
type series struct {
	Event    string
	From, To int
}

func sendAll(ctx context.Context, in series) error {
	for i := in.From; i <= in.To; i++ {
		if err := socketcluster.FromContext(ctx).Transmit(ctx, in.Event, i); err != nil {
			return err
		}
	}
	return nil
}

// callBack calls a procedure of the client, and answers with its end.
func (a *app) callBack(ctx context.Context, in struct {
	Procedure string
	Data      json.RawMessage
	Timeout   int // milliseconds; 0 for the default
}) (map[string]any, error) {
	s := socketcluster.FromContext(ctx)
	if in.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Duration(in.Timeout)*time.Millisecond)
		defer cancel()
	}
	answer, err := s.Invoke(ctx, in.Procedure, in.Data)
	failure, ok := errors.AsType[*wire.Error](err)
	switch {
	case ok:
		shown := map[string]any{"name": failure.Name, "message": failure.Message}
		if reason, ok := failure.Field("reason"); ok {
			shown["reason"] = reason
		}
		return map[string]any{"error": shown}, nil
	case err != nil:
		return nil, err
	}
	return map[string]any{"answer": answer}, nil
}

func (a *app) handleLogins() {
	a.srv.Handle("login", socketcluster.Proc(func(ctx context.Context, name string) error {
		return socketcluster.FromContext(ctx).SetAuthToken(ctx, claims{name})
	}))
	a.srv.Handle("loginConfirmed", socketcluster.Proc(func(ctx context.Context, name string) error {
		return socketcluster.FromContext(ctx).ConfirmAuthToken(ctx, claims{name})
	}))
	a.srv.Handle("loginAfterAnswer", socketcluster.HandlerFunc(func(ctx context.Context, c *socketcluster.Call) (any, error) {
		var name string
		if err := c.Decode(&name); err != nil {
			return nil, err
		}
		if err := c.Reply(nil); err != nil {
			return nil, err
		}
		return nil, c.Socket.SetAuthToken(ctx, claims{name})
	}))
	a.srv.Handle("loginBriefly", socketcluster.Proc(func(ctx context.Context, name string) error {
		exp := (time.Now().UnixMilli()+999)/1000 + 1
		return socketcluster.FromContext(ctx).ConfirmAuthToken(ctx, map[string]any{"username": name, "exp": exp})
	}))
	a.srv.Handle("logout", socketcluster.Proc(func(ctx context.Context, _ json.RawMessage) error {
		socketcluster.FromContext(ctx).Deauthenticate(ctx)
		return nil
	}))
	a.srv.Handle("whoami", socketcluster.Func(func(ctx context.Context, _ json.RawMessage) (*string, error) {
		if known, ok := socketcluster.Claims[claims](socketcluster.FromContext(ctx)); ok {
			return &known.Username, nil
		}
		return nil, nil
	}))
}

func (a *app) handleChannels() {
	a.srv.Handle("requested", socketcluster.Func(func(ctx context.Context, _ json.RawMessage) ([]string, error) {
		mine := a.from(ctx)
		mine.mu.Lock()
		defer mine.mu.Unlock()
		return mine.requested, nil
	}))
	a.srv.Handle("subscriptions", socketcluster.Func(func(ctx context.Context, _ json.RawMessage) ([]string, error) {
		return slices.Sorted(socketcluster.FromContext(ctx).Subscriptions()), nil
	}))
	a.srv.Handle("kick", socketcluster.Proc(func(ctx context.Context, in struct {
		Channel string
		Message json.RawMessage
	}) error {
		return socketcluster.FromContext(ctx).KickOut(ctx, in.Channel, in.Message)
	}))
	a.srv.Handle("publish", socketcluster.Proc(func(ctx context.Context, in struct {
		Channel string
		Data    json.RawMessage
	}) error {
		return a.srv.Exchange().Publish(ctx, in.Channel, in.Data)
	}))
}

func (a *app) handleEnds() {
	a.srv.Handle("name", socketcluster.Proc(func(ctx context.Context, name string) error {
		mine := a.from(ctx)
		mine.mu.Lock()
		defer mine.mu.Unlock()
		mine.name = name
		return nil
	}))
	a.srv.Handle("closing", socketcluster.Func(func(ctx context.Context, name string) (closing, error) {
		return a.closings.wait(ctx, name)
	}), socketcluster.Concurrent(100))
	a.srv.Handle("leave", socketcluster.HandlerFunc(func(_ context.Context, c *socketcluster.Call) (any, error) {
		var with closing
		if err := c.Decode(&with); err != nil {
			return nil, err
		}
		c.Detach()
		return nil, c.Socket.Disconnect(with.Code, with.Reason)
	}))
	a.srv.Handle("exit", socketcluster.Proc(func(_ context.Context, status int) error {
		os.Exit(status)
		return nil
	}))
}

// meeting passes a value by name to those who wait for it, in any order.
type meeting[T any] struct {
	mu      sync.Mutex
	entries map[string]*entry[T]
}

type entry[T any] struct {
	told  chan struct{}
	value T
	once  sync.Once
}

func (m *meeting[T]) entry(name string) *entry[T] {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.entries == nil {
		m.entries = make(map[string]*entry[T])
	}
	if m.entries[name] == nil {
		m.entries[name] = &entry[T]{told: make(chan struct{})}
	}
	return m.entries[name]
}

func (m *meeting[T]) tell(name string, value T) {
	e := m.entry(name)
	e.once.Do(func() {
		e.value = value
		close(e.told)
	})
}

func (m *meeting[T]) wait(ctx context.Context, name string) (value T, err error) {
	e := m.entry(name)
	select {
	case <-e.told:
		return e.value, nil
	case <-ctx.Done():
		return value, ctx.Err()
	}
}
