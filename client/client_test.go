package client_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/client"
)

func TestCall(t *testing.T) {
	srv, err := socketcluster.New(socketcluster.Config{Auth: testKey})
	if err != nil {
		t.Fatal(err)
	}
	srv.Handle("add", socketcluster.Func(func(ctx context.Context, in []int) (int, error) { return in[0] + in[1], nil }))
	srv.Handle("login", socketcluster.Proc(func(ctx context.Context, name string) error {
		return socketcluster.FromContext(ctx).SetAuthToken(ctx, map[string]string{"username": name})
	}))
	url := serve(t, srv)
	c, err := client.Dial(t.Context(), url, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	sum, err := client.InvokeAs[int](t.Context(), c, "add", []int{1, 2})
	if err != nil || sum != 3 {
		t.Fatal(sum, err)
	}
	if _, err := c.Invoke(t.Context(), "login", "alice"); err != nil {
		t.Fatal(err)
	}
	if name, _ := c.AuthToken().Claim("username"); name != "alice" {
		t.Fatal(name)
	}
	sub, err := c.Subscribe(t.Context(), "news")
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Publish(t.Context(), "news", "hi"); err != nil {
		t.Fatal(err)
	}
	for text, err := range client.Messages[string](sub) {
		if err != nil || text != "hi" {
			t.Fatal(text, err)
		}
		break
	}
	if _, err := c.Invoke(t.Context(), "nope", nil); err == nil {
		t.Fatal("no error")
	}
	c.Close()
	if _, err := c.Invoke(t.Context(), "add", nil); !errors.Is(err, client.ErrClosed) {
		t.Fatal(err)
	}
	_ = time.Second
}
