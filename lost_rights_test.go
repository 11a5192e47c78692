package socketcluster_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/wire"
)

// However many subscriptions end with a login, the log has one line about it, at
// level Debug, and one more after the next.
func TestLostRightsAreLoggedOnce(t *testing.T) {
	const channels = 20
	for _, test := range []struct {
		name  string
		err   error
		level string // where the client stays logged in
	}{
		{"an error for clients", &wire.Error{Name: "SubscribeError", Message: "members only"}, "DEBUG"},
		{"no reason", socketcluster.ErrBlocked, "DEBUG"},
		{"a secret reason", socketcluster.Silent(errors.New("members only")), "DEBUG"},
		{"an internal error", errors.New("the database is down"), "ERROR"},
	} {
		t.Run(test.name, func(t *testing.T) {
			inBubble(t, socketcluster.Config{}, func(w *world) {
				w.srv.UseInbound(socketcluster.Guard(func(_ context.Context, a *socketcluster.Subscribe) error {
					if token := a.Socket.AuthToken(); token != nil {
						if v, _ := token.Claim("member"); v == true {
							return nil
						}
					}
					return test.err
				}))
				member := map[string]any{"member": true}
				p := w.login(member)
				s := w.only()
				end := func(level string, change func()) {
					t.Helper()
					for i := range channels {
						p.send(fmt.Sprintf(`{"event":"#subscribe","data":{"channel":"c%d"},"cid":%d}`, i, i+2))
						p.next()
					}
					w.lines()
					change()
					lines := w.lines()
					if len(lines) != 1 || !strings.HasPrefix(lines[0], `level=`+level+` msg="subscriptions ended with the right to them" socket=`+s.ID()+` first=c`) {
						t.Errorf("%d lines, the first is %s", len(lines), strings.Join(lines, "\n"))
					}
					if n := s.SubscriptionCount(); n != 0 {
						t.Errorf("%d subscriptions are left", n)
					}
					if err := s.SetAuthToken(context.Background(), member); err != nil {
						t.Fatal(err)
					}
					for range channels + 2 { // the kick-outs, what has changed the token, and this
						p.next()
					}
				}
				end("DEBUG", func() { s.Deauthenticate(context.Background()) })
				end("DEBUG", func() { s.Deauthenticate(context.Background()) })
				end(test.level, func() { s.SetAuthToken(context.Background(), map[string]any{"member": false}) })

				// Who is refused a new subscription for no reason of the client's is news.
				if err := s.Deauthenticate(context.Background()); err != nil {
					t.Fatal(err)
				}
				w.lines()
				p.send(`{"event":"#subscribe","data":{"channel":"a"},"cid":2}`)
				want := 0
				if test.level == "ERROR" {
					want = 1
				}
				if lines := w.lines(); len(lines) != want || want == 1 && !strings.Contains(lines[0], `level=ERROR msg="error kept from the client"`) {
					t.Errorf("a new subscription: %s", lines)
				}
			})
		})
	}
}
