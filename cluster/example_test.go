package cluster_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"os"
	"time"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/auth/revoke"
	goclient "github.com/socketcluster-go/socketcluster/client"
	"github.com/socketcluster-go/socketcluster/cluster"
)

// The nodes of the examples are alone; those of a cluster also have Listen, Routes and
// Secret.
func exampleNode(o cluster.Options) *cluster.Node {
	o.Name, o.Logger = "a", slog.New(slog.DiscardHandler)
	node, err := cluster.Start(context.Background(), o)
	if err != nil {
		panic(err)
	}
	return node
}

// A server with a node behind it publishes to the subscribers of all nodes.
func ExampleStart() {
	ctx := context.Background()
	node := exampleNode(cluster.Options{})
	defer node.Close()
	srv, err := socketcluster.New(socketcluster.Config{Broker: node.Broker()})
	if err != nil {
		panic(err)
	}
	defer srv.Close()

	news, err := srv.Exchange().Subscribe(ctx, "news") // also what other nodes publish
	if err != nil {
		panic(err)
	}
	if err := srv.Exchange().Publish(ctx, "news", "hello"); err != nil {
		panic(err)
	}
	for text := range socketcluster.Messages[string](news) {
		fmt.Println(text)
		break
	}
	// Output: hello
}

// A publication that has no answer is published again with the same id, and stored once.
func ExampleNode_Publish() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "store")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	node := exampleNode(cluster.Options{StoreDir: dir, History: []cluster.HistoryRule{{Channel: "chat/*", Size: 100, Age: time.Hour}}})
	defer node.Close()

	var at cluster.Position
	for range 2 {
		if at, err = node.Publish(ctx, "chat/1", "order 7", []byte(`"hello"`)); err != nil {
			panic(err)
		}
	}
	if _, err := node.Publish(ctx, "chat/1", "order 8", []byte(`"hello again"`)); err != nil {
		panic(err)
	}
	past, err := node.History(ctx, "chat/1", 10)
	if err != nil {
		panic(err)
	}
	missed, err := node.Recover(ctx, "chat/1", at)
	if err != nil {
		panic(err)
	}
	fmt.Println(len(past.Publications), "are there, and after the first comes", string(missed.Publications[0].Data))
	// Output: 2 are there, and after the first comes "hello again"
}

// Sockets are reached by the user of their token, on whichever node they are.
func ExampleNode_To() {
	ctx := context.Background()
	node := exampleNode(cluster.Options{})
	defer node.Close()
	srv, err := socketcluster.New(socketcluster.Config{Broker: node.Broker()})
	if err != nil {
		panic(err)
	}
	defer srv.Close()
	if err := node.Attach(srv); err != nil {
		panic(err)
	}
	web := httptest.NewServer(srv)
	defer web.Close()
	srv.Handle("login", socketcluster.Proc(func(ctx context.Context, name string) error {
		return socketcluster.FromContext(ctx).SetAuthToken(ctx, map[string]string{"username": name})
	}))

	alice, err := goclient.Dial(ctx, web.URL, goclient.Options{})
	if err != nil {
		panic(err)
	}
	defer alice.Close()
	alice.Handle("timezone", socketcluster.Func(func(context.Context, socketcluster.None) (string, error) { return "Europe/Vienna", nil }))
	if _, err := alice.Invoke(ctx, "login", "alice"); err != nil {
		panic(err)
	}

	zone, err := node.To(cluster.User("alice")).Invoke(ctx, "timezone", nil)
	fmt.Println(string(zone), err)
	_, err = node.To(cluster.User("bob")).Transmit(ctx, "hello", nil)
	fmt.Println(err)
	// Output:
	// "Europe/Vienna" <nil>
	// cluster: nobody is connected there
}

// When Revoke returns, no node accepts the tokens any more.
func ExampleNode_Revocations() {
	ctx := context.Background()
	node := exampleNode(cluster.Options{})
	defer node.Close()
	revocations, err := node.Revocations(ctx, cluster.RevocationOptions{}) // waits until they are loaded
	if err != nil {
		panic(err)
	}
	srv, err := socketcluster.New(socketcluster.Config{
		Auth:   auth.Options{Key: "at least 32 bytes that nobody guesses"},
		Broker: node.Broker(), Revocations: revocations,
	})
	if err != nil {
		panic(err)
	}
	defer srv.Close()
	srv.UseHandshake(revocations.Middleware(nil)) // while the node is cut off, clients try another one

	token, err := srv.Auth().Sign(ctx, map[string]string{"sub": "alice"})
	if err != nil {
		panic(err)
	}
	if err := srv.Revoke(ctx, revoke.Revocation{Subject: "alice", Until: time.Now().Add(24 * time.Hour)}); err != nil {
		panic(err)
	}
	_, revoked := revocations.Check(token)
	fmt.Println(revoked)
	// Output: true
}

// Who is in a channel, on all nodes.
func ExampleNewPresence() {
	ctx := context.Background()
	node := exampleNode(cluster.Options{})
	defer node.Close()
	srv, err := socketcluster.New(socketcluster.Config{Broker: node.Broker()})
	if err != nil {
		panic(err)
	}
	defer srv.Close()
	presence, err := cluster.NewPresence(node, srv, cluster.PresenceOptions{
		User: func(s *socketcluster.Socket) string { return "alice" }, // by default, the claim username of the token
	})
	if err != nil {
		panic(err)
	}
	srv.Handle("presence", presence.Handler())
	web := httptest.NewServer(srv)
	defer web.Close()

	alice, err := goclient.Dial(ctx, web.URL, goclient.Options{})
	if err != nil {
		panic(err)
	}
	defer alice.Close()
	if _, err := alice.Subscribe(ctx, "room"); err != nil {
		panic(err)
	}
	here, err := alice.Invoke(ctx, "presence", map[string]string{"channel": "room"})
	fmt.Println(string(here), err)
	// Output: {"users":[{"user":"alice","sockets":1}],"total":1,"more":false} <nil>
}

// What an operator wants to know.
func ExampleNode_Stats() {
	dir, err := os.MkdirTemp("", "store")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	node := exampleNode(cluster.Options{StoreDir: dir, History: []cluster.HistoryRule{{Channel: "chat", Size: 100, Age: time.Hour}}})
	defer node.Close()
	if _, err := node.Publish(context.Background(), "chat", "", nil); err != nil {
		panic(err)
	}
	stats := node.Stats(context.Background())
	stored := uint64(0)
	for _, stream := range stats.Streams {
		stored += stream.Messages
	}
	fmt.Println(stats.Nodes, stored, "publication")
	// Output: [a] 1 publication
}
