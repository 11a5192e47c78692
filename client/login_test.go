package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/client"
	"github.com/socketcluster-go/socketcluster/wire"
)

// loggedIn is what Login has returned.
type loggedIn struct {
	answer json.RawMessage
	err    error
	state  socketcluster.AuthState // when it returned
}

// loggingIn calls Login in the background.
func loggingIn(ctx context.Context, c *client.Client) <-chan loggedIn {
	done := make(chan loggedIn, 1)
	go func() {
		answer, err := c.Login(ctx, "login", "alice")
		done <- loggedIn{answer, err, c.AuthState()}
	}()
	synctest.Wait()
	return done
}

func setToken(token string) string {
	return `{"event":"#setAuthToken","data":{"token":"` + token + `"}}`
}

// A login is over when there is an answer and a token, whichever comes first.
func TestLogin(t *testing.T) {
	const answer = `{"rid":2,"data":"welcome"}`
	token := setToken(tokenOf(t, "alice"))
	for name, send := range map[string][][]string{
		"token first":              {{token}, {answer}},
		"answer first":             {{answer}, {token}},
		"in one segment":           {{answer, token}},
		"token first, in one":      {{token, answer}},
		"with others in between":   {{`{"event":"x"}`, answer, `{"event":"x"}`}, {`{"event":"x"}`, token, `{"event":"x"}`}},
		"a token that was renewed": {{answer, token, token}},
	} {
		t.Run(name, func(t *testing.T) {
			withFake(t, func(t *testing.T, s *fake) {
				c, p := s.connect(client.Options{})
				p.send(token) // an earlier one, which is not that of the login
				synctest.Wait()
				done := loggingIn(t.Context(), c)
				p.want(`{"event":"login","data":"alice","cid":2}`)
				for i, segment := range send {
					time.Sleep(time.Second)
					synctest.Wait()
					select {
					case r := <-done:
						t.Fatalf("before segment %d: %+v", i, r)
					default:
					}
					p.send(segment...)
				}
				if r := <-done; r.err != nil || string(r.answer) != `"welcome"` || r.state != socketcluster.Authenticated {
					t.Errorf("%s, %v, %v", r.answer, r.err, r.state)
				}
			})
		})
	}
}

// A login without a token ends in time, with what it waits for, and a later token is no
// surprise.
func TestLoginWithoutToken(t *testing.T) {
	withFake(t, func(t *testing.T, s *fake) {
		c, p := s.connect(client.Options{})
		began := time.Now()
		done := loggingIn(t.Context(), c)
		p.want(`{"event":"login","data":"alice","cid":2}`)
		time.Sleep(4 * time.Second)
		p.send(`{"rid":2,"data":"welcome"}`)
		r := <-done
		if !errors.Is(r.err, client.ErrNoToken) || !errors.Is(r.err, context.DeadlineExceeded) || string(r.answer) != `"welcome"` {
			t.Errorf("%s, %v", r.answer, r.err)
		}
		if took := time.Since(began); took != client.DefaultAckTimeout {
			t.Errorf("it took %v", took)
		}

		ctx, cancel := context.WithCancel(t.Context())
		done = loggingIn(ctx, c)
		p.want(`{"event":"login","data":"alice","cid":3}`)
		p.send(`{"rid":3}`)
		synctest.Wait()
		cancel()
		if r := <-done; r.err != context.Canceled {
			t.Error(r.err)
		}
		p.send(setToken(tokenOf(t, "alice")))
		synctest.Wait()
		if c.AuthState() != socketcluster.Authenticated {
			t.Error("the late token is lost")
		}
	})
}

// A login fails as a call does.
func TestLoginFails(t *testing.T) {
	withFake(t, func(t *testing.T, s *fake) {
		c, p := s.connect(client.Options{})
		done := loggingIn(t.Context(), c)
		p.want(`{"event":"login","data":"alice","cid":2}`)
		p.send(`{"rid":2,"error":{"name":"LoginError","message":"no"}}`)
		r := <-done
		wantError(t, r.err, "LoginError: no")

		done = loggingIn(t.Context(), c)
		p.want(`{"event":"login","data":"alice","cid":3}`)
		time.Sleep(client.DefaultAckTimeout)
		if r := <-done; !errors.Is(r.err, wire.ErrTimeout) || errors.Is(r.err, client.ErrNoToken) {
			t.Error(r.err)
		}

		// The connection ends between the answer and the token.
		done = loggingIn(t.Context(), c)
		p.want(`{"event":"login","data":"alice","cid":4}`)
		p.send(`{"rid":4}`)
		synctest.Wait()
		p.write(closing(1001, "the server restarts"))
		r = <-done
		if e := wantError(t, r.err, "BadConnectionError: Event login was aborted due to a bad connection"); e != nil {
			if code, _ := e.Field("code"); code != 1001 {
				t.Errorf("code %v", code)
			}
		}
		c.Close()
		if _, err := c.Login(t.Context(), "login", nil); err != client.ErrClosed {
			t.Error(err)
		}
	})
}

// A handler may log in, also while more waits for handlers than Limits.Held: reading goes
// on until the token is there.
func TestLoginInHandler(t *testing.T) {
	withFake(t, func(t *testing.T, s *fake) {
		c := s.new(client.Options{Limits: client.Limits{Held: 4096}})
		done := make(chan error, 1)
		client.On(c, func(client.ConnectEvent) {
			_, err := c.Login(context.Background(), "login", "alice")
			done <- err
		})
		client.On(c, func(client.RawEvent) {})
		p := s.connectTo(c)
		p.want(`{"event":"login","data":"alice","cid":2}`)
		p.send(`{"rid":2}`)
		synctest.Wait()
		p.send("raw " + strings.Repeat("x", 5000))
		synctest.Wait()
		p.send("raw", setToken(tokenOf(t, "alice")))
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// The token of this module's server is there with the answer.
func TestLoginHere(t *testing.T) {
	withServer(t, socketcluster.Config{}, func(t *testing.T, s *real) {
		c := s.connect(client.Options{})
		if _, err := c.Login(t.Context(), "login", "alice"); err != nil || c.AuthState() != socketcluster.Authenticated {
			t.Error(err, c.AuthState())
		}
		if _, err := c.Login(t.Context(), "echo", nil); !errors.Is(err, client.ErrNoToken) {
			t.Error(err)
		}
	})
}
