package upstream_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/broker/upstream"
	"github.com/socketcluster-go/socketcluster/client"
	"github.com/socketcluster-go/socketcluster/wire"
)

// diary has what an upstream server has done, in order.
type diary struct {
	mu    sync.Mutex
	lines []string
}

func (d *diary) add(line string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines = append(d.lines, line)
}

// want checks what has been added since the last call.
func (d *diary) want(t *testing.T, want ...string) {
	t.Helper()
	synctest.Wait()
	d.mu.Lock()
	defer d.mu.Unlock()
	if !slices.Equal(d.lines, want) {
		t.Fatalf("the upstream server has seen %q, want %q", d.lines, want)
	}
	d.lines = nil
}

// members makes an upstream server serve nobody without a login.
func (d *diary) members(srv *socketcluster.Server) {
	guard := func(s *socketcluster.Socket, what string) error {
		if s.AuthToken() == nil {
			d.add("refused " + what)
			return errNo
		}
		d.add(what)
		return nil
	}
	socketcluster.Use(srv, func(_ context.Context, a *socketcluster.Subscribe) error {
		return guard(a.Socket, "subscribe "+a.Channel)
	})
	socketcluster.Use(srv, func(_ context.Context, a *socketcluster.PublishIn) error {
		return guard(a.Socket, "publish "+a.Channel)
	})
	srv.Handle("login", socketcluster.Proc(func(ctx context.Context, secret string) error {
		if secret != "node" {
			return errNo
		}
		d.add("login")
		return socketcluster.FromContext(ctx).SetAuthToken(ctx, map[string]string{"username": "node"})
	}))
}

func login(ctx context.Context, c *client.Client) error {
	_, err := c.Login(ctx, "login", "node")
	return err
}

// The node logs in before anything else, whenever the upstream server does not know it.
func TestLogin(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		var log diary
		w.up(socketcluster.Config{}, log.members)
		w.start(upstream.Options{Login: func(ctx context.Context, c *client.Client) error {
			time.Sleep(time.Second) // in which the server ends what the login gave the right to
			return login(ctx, c)
		}}, "a")
		log.want(t, "login", "subscribe a")

		// The token is still good.
		w.down()
		w.up(socketcluster.Config{}, log.members)
		time.Sleep(10 * time.Second)
		log.want(t, "subscribe a")

		// The server has another key.
		w.down()
		w.up(socketcluster.Config{Auth: auth.Options{Key: "another key of the upstream server, 32+"}}, log.members)
		time.Sleep(10 * time.Second)
		log.want(t, "login", "subscribe a")

		// The server logs the node out. Subscriptions end, and come back.
		w.takeGaps()
		w.only().Deauthenticate(t.Context())
		time.Sleep(10 * time.Second)
		gaps := w.takeGaps()
		if len(gaps) != 2 || gaps[0].Channel != "a" || gaps[1].To.IsZero() {
			t.Errorf("gaps: %+v", gaps)
		}
		w.publish("a", "1")
		w.received("a lost 0-0", "a lost 0-0", "a lost 0-0", `a "1"`)
		if err := w.node.Publish(t.Context(), "a", []byte("2")); err != nil {
			t.Error(err)
		}
		w.received("a 2")
	})
}

// A login that fails is tried again, ever more seldom, and publications wait for it as
// they wait for a connection.
func TestLoginFails(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		var log diary
		var tries atomic.Int32
		var fail atomic.Bool
		w.up(socketcluster.Config{}, log.members)
		w.start(upstream.Options{Login: func(ctx context.Context, c *client.Client) error {
			if tries.Add(1); fail.Load() {
				panic("no token")
			}
			return login(ctx, c)
		}}, "a")
		log.want(t, "login", "subscribe a")
		fail.Store(true)
		tries.Store(0)
		w.down()
		w.up(socketcluster.Config{Auth: auth.Options{Key: "another key of the upstream server, 32+"}}, log.members)
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if n := tries.Load(); n < 10 || n > 30 {
			t.Errorf("%d logins in ten minutes", n)
		}
		if err := w.node.Publish(t.Context(), "a", []byte("1")); err == nil {
			t.Error("published without a login")
		}
		log.want(t)
		fail.Store(false)
		time.Sleep(2 * time.Minute)
		log.want(t, "login", "subscribe a")
		gaps := w.takeGaps()
		if len(gaps) != 2 || gaps[1].To.Sub(gaps[1].From) < 10*time.Minute {
			t.Errorf("gaps: %+v", gaps)
		}
	})
}

// The node begins when its token is there, which may follow the answer to a login, as that
// of socketcluster-server on Node.js does.
func TestTokenAfterAnswer(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		var log diary
		late := func(srv *socketcluster.Server) {
			log.members(srv)
			srv.Handle("late", socketcluster.HandlerFunc(func(ctx context.Context, c *socketcluster.Call) (any, error) {
				c.Reply(nil)
				time.Sleep(time.Second)
				log.add("login")
				return nil, c.Socket.SetAuthToken(ctx, map[string]string{"username": "node"})
			}))
		}
		w.up(socketcluster.Config{}, late)
		began := time.Now()
		w.start(upstream.Options{Login: func(ctx context.Context, c *client.Client) error {
			_, err := c.Invoke(ctx, "late", nil)
			return err
		}}, "a")
		if took := time.Since(began); took != time.Second {
			t.Errorf("the node has begun after %v", took)
		}
		log.want(t, "login", "subscribe a")
		w.down()
		w.up(socketcluster.Config{Auth: auth.Options{Key: "another key of the upstream server, 32+"}}, late)
		time.Sleep(10 * time.Second)
		log.want(t, "login", "subscribe a")
	})
}

// Start fails with its first attempt, and leaves nothing behind.
func TestStartFails(t *testing.T) {
	failed := errors.New("no token")
	for name, c := range map[string]struct {
		up    bool
		login func(ctx context.Context, c *client.Client) error
		check func(err error, took time.Duration) bool
	}{
		"no server": {false, nil, func(err error, took time.Duration) bool { return err != nil && took == 0 }},
		"no login": {true, func(context.Context, *client.Client) error { return failed }, func(err error, took time.Duration) bool {
			return errors.Is(err, failed) && took == 0
		}},
		"a login that hangs": {true, func(ctx context.Context, _ *client.Client) error {
			<-ctx.Done()
			return ctx.Err()
		}, func(err error, took time.Duration) bool {
			return errors.Is(err, context.DeadlineExceeded) && took == client.DefaultConnectTimeout
		}},
		"a login that sets no token": {true, func(ctx context.Context, c *client.Client) error {
			_, err := c.Invoke(ctx, "noToken", nil)
			return err
		}, func(err error, took time.Duration) bool {
			return errors.Is(err, wire.ErrTimeout) && strings.Contains(err.Error(), "has set no token (#setAuthToken)") && took == client.DefaultConnectTimeout
		}},
		"a login that the server ends": {true, func(ctx context.Context, c *client.Client) error {
			_, err := c.Invoke(ctx, "leave", nil)
			return err
		}, func(err error, took time.Duration) bool { return err != nil && took == 0 }},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, w *world) {
				if c.up {
					w.up(socketcluster.Config{}, func(srv *socketcluster.Server) {
						srv.Handle("noToken", socketcluster.Proc(func(context.Context, socketcluster.None) error { return nil }))
						srv.Handle("leave", socketcluster.Proc(func(ctx context.Context, _ socketcluster.None) error {
							return socketcluster.FromContext(ctx).Disconnect(4501, "")
						}))
					})
				}
				w.newNode(upstream.Options{Login: c.login})
				began := time.Now()
				if err := w.node.Start(context.Background(), w); !c.check(err, time.Since(began)) {
					t.Errorf("%v after %v", err, time.Since(began))
				}
			})
		})
	}
}

// The application calls procedures of the upstream server with the login of the node.
func TestCall(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		var log diary
		w.up(socketcluster.Config{}, func(srv *socketcluster.Server) {
			log.members(srv)
			srv.Handle("whoami", socketcluster.Func(func(ctx context.Context, _ socketcluster.None) (any, error) {
				name, _ := socketcluster.FromContext(ctx).AuthToken().Claim("username")
				return name, nil
			}))
		})
		w.start(upstream.Options{Login: login})
		name, err := client.InvokeAs[string](t.Context(), w.node.Client(), "whoami", nil)
		if err != nil || name != "node" {
			t.Errorf("%q, %v", name, err)
		}
	})
}

func TestOneServer(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.up(socketcluster.Config{}, nil)
		w.start(upstream.Options{})
		if err := w.node.Start(t.Context(), w); err == nil {
			t.Error("a second server has got the broker")
		}
		if err := w.node.Publish(t.Context(), "a", nil); err != nil {
			t.Errorf("the first one has lost it: %v", err)
		}
	})
}

func TestOptions(t *testing.T) {
	for name, o := range map[string]upstream.Options{
		"no URL":         {},
		"another scheme": {URL: "ftp://a"},
		"never again":    {URL: "ws://a", Client: client.Options{Reconnect: client.Reconnect{Disabled: true}}},
		"delayed":        {URL: "ws://a", Client: client.Options{DelaySubscriptions: true}},
		"nanoseconds":    {URL: "ws://a", Client: client.Options{Timeouts: client.Timeouts{Ack: 5}}},
	} {
		if _, err := upstream.New(o); err == nil {
			t.Errorf("%s: no error", name)
		} else {
			t.Log(err)
		}
	}
}
