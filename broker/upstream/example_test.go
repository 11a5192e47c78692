package upstream_test

import (
	"context"
	"fmt"
	"log"
	"log/slog"
	"net/http/httptest"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/broker/upstream"
	"github.com/socketcluster-go/socketcluster/client"
)

// A node shares the channels of another server, in whatever language that is written, and has
// a login of its own there.
func ExampleNew() {
	ctx := context.Background()
	key := auth.Options{Key: "the key of the server and of its nodes"}

	// The other server.
	other, err := socketcluster.New(socketcluster.Config{Auth: key})
	if err != nil {
		log.Fatal(err)
	}
	defer other.Close()
	otherWeb := httptest.NewServer(other)
	defer otherWeb.Close()
	socketcluster.Use(other, func(_ context.Context, a *socketcluster.PublishIn) error {
		name, _ := a.Socket.AuthToken().Claim("username")
		fmt.Println("published by the", name)
		return nil
	})

	// The node.
	engine, err := auth.NewJWT(key)
	if err != nil {
		log.Fatal(err)
	}
	nodes, err := upstream.New(upstream.Options{
		URL: otherWeb.URL,
		Login: func(ctx context.Context, c *client.Client) error {
			token, err := engine.Sign(ctx, map[string]string{"username": "node"})
			if err != nil {
				return err
			}
			return c.Authenticate(ctx, token.Signed())
		},
		OnGap: func(g upstream.Gap) {
			if !g.To.IsZero() {
				slog.Warn("load again what was published", slog.Time("from", g.From), slog.Time("to", g.To))
			}
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	node, err := socketcluster.New(socketcluster.Config{AuthEngine: engine, Broker: nodes})
	if err != nil {
		log.Fatal(err)
	}
	defer node.Close()

	sub, err := node.Exchange().Subscribe(ctx, "news")
	if err != nil {
		log.Fatal(err)
	}
	if err := node.Exchange().Publish(ctx, "news", "hello"); err != nil {
		log.Fatal(err)
	}
	for text, err := range socketcluster.Messages[string](sub) {
		fmt.Println(text, err)
		break
	}
	// Output:
	// published by the node
	// hello <nil>
}
