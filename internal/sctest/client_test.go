package sctest_test

import (
	"context"
	"log/slog"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/internal/memnet"
	"github.com/socketcluster-go/socketcluster/internal/sctest"
	"github.com/socketcluster-go/socketcluster/wire"
)

// inBubble serves a procedure echo, and gives connections to it.
func inBubble(t *testing.T, fn func(t *testing.T, srv *socketcluster.Server, connect func() *sctest.Client)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		srv, err := socketcluster.New(socketcluster.Config{Auth: auth.Options{Key: "test-key-0123456789-0123456789-01"}, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		srv.Handle("echo", socketcluster.HandlerFunc(func(_ context.Context, c *socketcluster.Call) (any, error) {
			return c.Data, nil
		}))
		listen := memnet.Listen()
		web := &http.Server{Handler: srv}
		go web.Serve(listen)
		defer func() {
			srv.Close()
			web.Close()
			synctest.Wait()
		}()
		fn(t, srv, func() *sctest.Client { return sctest.Connect(t, listen.Dial, "") })
	})
}

// Answers and events are found in whatever order they come.
func TestCallsAndEvents(t *testing.T) {
	for _, follows := range []bool{false, true} {
		inBubble(t, func(t *testing.T, srv *socketcluster.Server, connect func() *sctest.Client) {
			c := connect()
			if follows {
				c.Follow()
			}
			if err := c.Subscribe("a"); err != nil {
				t.Fatal(err)
			}
			if err := c.Publish("a", 1); err != nil {
				t.Fatal(err)
			}
			first, second := c.Start("echo", 2), c.Start("echo", 3)
			if data, err := c.Answer(second); string(data) != "3" || err != nil {
				t.Errorf("%s, %v", data, err)
			}
			if data, err := c.Answer(first); string(data) != "2" || err != nil {
				t.Errorf("%s, %v", data, err)
			}
			var publication struct{ Data int }
			if c.Event("#publish", &publication); publication.Data != 1 {
				t.Errorf("%+v", publication)
			}
			if _, err := c.Call("nothing", nil); err == nil {
				t.Errorf("a call that nobody handles: %v", err)
			}
			for s := range srv.Clients() {
				go s.Disconnect(4321, "")
			}
			if code := c.Closed(); code != 4321 {
				t.Errorf("closed with %d", code)
			}
		})
	}
}

// A client that follows stays connected while the test waits, and another one does
// not.
func TestFollow(t *testing.T) {
	inBubble(t, func(t *testing.T, srv *socketcluster.Server, connect func() *sctest.Client) {
		follower, idle := connect().Follow(), connect()
		time.Sleep(time.Hour)
		if _, err := follower.Call("echo", 1); err != nil {
			t.Error(err)
		}
		if code := idle.Closed(); code != wire.ClosePongTimeout {
			t.Errorf("closed with %d", code)
		}
		if got := follower.Kept(); len(got) > 0 {
			t.Errorf("kept %v", got)
		}
	})
}

// Messages are shown unchanged.
func TestTexts(t *testing.T) {
	inBubble(t, func(t *testing.T, srv *socketcluster.Server, connect func() *sctest.Client) {
		c := connect()
		c.Send(`{"event":"echo","data":"a","cid":7}`)
		c.Want(`{"rid":7,"data":"a"}`)
		c.Quiet(time.Minute) // with pings
		c.Transmit("#publish", map[string]any{"channel": "a", "data": 1})
		for s := range srv.Clients() {
			go s.Disconnect(4500, "so")
		}
		c.WantClose(4500, "so")
	})
}
