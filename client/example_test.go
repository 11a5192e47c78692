package client_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptest"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/client"
	"github.com/socketcluster-go/socketcluster/wire"
)

// exampleServer serves what the examples call, until it is closed.
func exampleServer() (url string, stop func()) {
	srv, err := socketcluster.New(socketcluster.Config{
		Auth:   auth.Options{Key: "the key of the examples, 32 bytes"},
		Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		panic(err)
	}
	srv.Handle("greet", socketcluster.Func(func(_ context.Context, name string) (string, error) { return "Hello, " + name, nil }))
	srv.Handle("login", socketcluster.Proc(func(ctx context.Context, in struct{ Username, Password string }) error {
		if in.Password != "secret" {
			return socketcluster.Errorf("LoginError", "Invalid user credentials")
		}
		return socketcluster.FromContext(ctx).SetAuthToken(ctx, map[string]string{"username": in.Username})
	}))
	srv.Handle("askBack", socketcluster.Func(func(ctx context.Context, _ socketcluster.None) (string, error) {
		return socketcluster.InvokeAs[string](ctx, socketcluster.FromContext(ctx), "zone", nil)
	}))
	srv.Handle("kick", socketcluster.Proc(func(ctx context.Context, channel string) error {
		return socketcluster.FromContext(ctx).KickOut(ctx, channel, "the room is closed")
	}))
	srv.Receive("ask", socketcluster.Recv(func(ctx context.Context, _ socketcluster.None) error {
		return socketcluster.FromContext(ctx).Transmit(ctx, "note", "from the server")
	}))
	socketcluster.Use(srv, func(_ context.Context, a *socketcluster.Subscribe) error {
		if a.Channel == "staff" && a.Socket.AuthState() == socketcluster.Unauthenticated {
			return socketcluster.Errorf("ForbiddenError", "Log in first")
		}
		return nil
	})
	site := httptest.NewServer(srv)
	return site.URL, func() {
		srv.Close()
		site.Close()
	}
}

func Example() {
	url, stop := exampleServer()
	defer stop()
	ctx := context.Background()

	c, err := client.Dial(ctx, url, client.Options{}) // such as ws://localhost:8000
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	greeting, err := client.InvokeAs[string](ctx, c, "greet", "Alice")
	fmt.Println(greeting, err)
	// Output: Hello, Alice <nil>
}

// A login is a call whose handler sets a token. Login waits for both, in any order, and so
// works with any server.
func ExampleClient_Login() {
	url, stop := exampleServer()
	defer stop()
	ctx := context.Background()
	c, err := client.Dial(ctx, url, client.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()

	type credentials struct {
		Username string `json:"username"`
		Password string `json:"password"`
	}
	_, err = c.Login(ctx, "login", credentials{"alice", "wrong"})
	if e, ok := errors.AsType[*wire.Error](err); ok {
		fmt.Println(e.Name, c.AuthState())
	}
	if _, err := c.Login(ctx, "login", credentials{"alice", "secret"}); err != nil {
		fmt.Println(err)
		return
	}
	username, _ := c.AuthToken().Claim("username")
	fmt.Println(username, c.AuthState())
	// Output:
	// LoginError unauthenticated
	// alice authenticated
}

// A loop over a channel gets the publications, decoded.
func ExampleClient_Subscribe() {
	url, stop := exampleServer()
	defer stop()
	ctx := context.Background()
	c, err := client.Dial(ctx, url, client.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()

	type message struct {
		Text string `json:"text"`
	}
	news, err := c.Subscribe(ctx, "news")
	if err != nil {
		fmt.Println(err)
		return
	}
	for i := range 2 {
		if err := c.Publish(ctx, "news", message{fmt.Sprint("message ", i)}); err != nil {
			fmt.Println(err)
		}
	}
	seen := 0
	for m, err := range client.Messages[message](news) {
		fmt.Println(m.Text, err)
		if seen++; seen == 2 {
			break // which ends the subscription
		}
	}
	fmt.Println(c.ChannelState("news"))
	// Output:
	// message 0 <nil>
	// message 1 <nil>
	// unsubscribed
}

// A subscription with WaitForAuth is asked for while the client is logged in. Wait
// waits for the server, and Err tells why a subscription has ended.
func ExampleSubscription_Err() {
	url, stop := exampleServer()
	defer stop()
	ctx := context.Background()
	c, err := client.Dial(ctx, url, client.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()

	_, err = c.Subscribe(ctx, "staff")
	fmt.Println(err)
	staff, err := c.Subscribe(ctx, "staff", client.WaitForAuth(), client.PendingOK())
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(c.ChannelState("staff"))
	if _, err := c.Login(ctx, "login", map[string]string{"username": "alice", "password": "secret"}); err != nil {
		fmt.Println(err)
	}
	fmt.Println(staff.Wait(ctx), c.ChannelState("staff"))
	if _, err := c.Invoke(ctx, "kick", "staff"); err != nil {
		fmt.Println(err)
	}
	for range staff.All() {
	}
	if kick, ok := errors.AsType[*client.KickOutError](staff.Err()); ok {
		fmt.Println(string(kick.Message))
	}
	// Output:
	// ForbiddenError: Log in first
	// pending
	// <nil> subscribed
	// "the room is closed"
}

// The server may call the client, and transmit to it. Register handlers before
// Connect.
func ExampleClient_Handle() {
	url, stop := exampleServer()
	defer stop()
	ctx := context.Background()
	c, err := client.New(url, client.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()

	c.Handle("zone", socketcluster.Func(func(context.Context, socketcluster.None) (string, error) { return "Europe/Vienna", nil }))
	notes := make(chan string)
	c.Receive("note", socketcluster.Recv(func(_ context.Context, text string) error {
		notes <- text
		return nil
	}))
	if err := c.Connect(ctx); err != nil {
		fmt.Println(err)
		return
	}
	zone, err := client.InvokeAs[string](ctx, c, "askBack", nil)
	fmt.Println(zone, err)
	if err := c.Transmit(ctx, "ask", nil); err != nil {
		fmt.Println(err)
	}
	fmt.Println(<-notes)
	// Output:
	// Europe/Vienna <nil>
	// from the server
}

// Handlers of events see every change, in order.
func ExampleOn() {
	url, stop := exampleServer()
	defer stop()
	c, err := client.New(url, client.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	client.On(c, func(e client.ConnectEvent) { fmt.Println("connected, authenticated:", e.IsAuthenticated) })
	client.On(c, func(e client.DisconnectEvent) { fmt.Println("disconnected:", e.Code, e.Reason) })
	closed := make(chan struct{})
	client.On(c, func(client.CloseEvent) { close(closed) })
	if err := c.Connect(context.Background()); err != nil {
		fmt.Println(err)
	}
	c.Close()
	<-closed
	// Output:
	// connected, authenticated: false
	// disconnected: 1000 Socket closed normally
}

// Clients that share a store follow each other: a login of one is a login of all.
func ExampleWatcher() {
	url, stop := exampleServer()
	defer stop()
	ctx := context.Background()
	store := new(client.MemoryStore) // or NewFileStore(path), for several processes
	first, err := client.Dial(ctx, url, client.Options{TokenStore: store})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer first.Close()
	second, err := client.Dial(ctx, url, client.Options{TokenStore: store})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer second.Close()
	followed := make(chan string)
	client.On(second, func(e client.AuthenticateEvent) {
		name, _ := e.AuthToken.Claim("username")
		followed <- name.(string)
	})
	if _, err := first.Login(ctx, "login", map[string]string{"username": "alice", "password": "secret"}); err != nil {
		fmt.Println(err)
	}
	fmt.Println("the second client is", <-followed)
	// Output: the second client is alice
}
