package client_test

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
	"github.com/socketcluster-go/socketcluster/client"
	"github.com/socketcluster-go/socketcluster/wire"
)

// testStore is a store that a test can make slow, or fail.
type testStore struct {
	client.MemoryStore
	mu   sync.Mutex
	err  error
	gate chan struct{} // if not nil, each use waits for a value, or for the end of its context
	log  []string

	waiting atomic.Int64 // uses that are going on
}

func (s *testStore) use(ctx context.Context, what string) error {
	s.waiting.Add(1)
	defer s.waiting.Add(-1)
	s.mu.Lock()
	s.log = append(s.log, what)
	err, gate := s.err, s.gate
	s.mu.Unlock()
	if gate != nil {
		select {
		case <-gate:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return err
}

func (s *testStore) set(err error, gate chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err, s.gate = err, gate
}

func (s *testStore) take() string {
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	all := strings.Join(s.log, ", ")
	s.log = nil
	return all
}

func (s *testStore) Load(ctx context.Context, name string) (string, error) {
	if err := s.use(ctx, "load "+name); err != nil {
		return "", err
	}
	return s.MemoryStore.Load(ctx, name)
}

func (s *testStore) Save(ctx context.Context, name, token string) error {
	if err := s.use(ctx, "save "+name+" "+token); err != nil {
		return err
	}
	return s.MemoryStore.Save(ctx, name, token)
}

func (s *testStore) Remove(ctx context.Context, name, token string) (bool, error) {
	if err := s.use(ctx, "remove "+name+" "+token); err != nil {
		return false, err
	}
	return s.MemoryStore.Remove(ctx, name, token)
}

// stored returns the token in a store.
func stored(t *testing.T, s client.TokenStore) string {
	t.Helper()
	token, err := s.Load(t.Context(), "t")
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// withToken returns a store with a token.
func withToken(t *testing.T, token string) *client.MemoryStore {
	t.Helper()
	s := new(client.MemoryStore)
	if err := s.Save(t.Context(), "t", token); err != nil {
		t.Fatal(err)
	}
	return s
}

// The store is used under one name, which is made from the URL unless it is given: the
// token is loaded for each connect, before the handshake, and saved as it is set (AUTH-50,
// AUTH-51, AUTH-53).
func TestTokenStore(t *testing.T) {
	for url, want := range map[string]string{
		"ws://localhost:8000":   "socketcluster.authToken.localhost:8000",
		"wss://h":               "socketcluster.authToken.h:443",
		"ws://h/p/?q=1":         "socketcluster.authToken.h:80",
		"http://h:80":           "socketcluster.authToken.h:80",
		"ws://user:secret@h:1/": "socketcluster.authToken.h:1",
		"ws://[::1]:8000":       "socketcluster.authToken.[::1]:8000",
	} {
		withFake(t, func(t *testing.T, s *fake) {
			store := new(testStore)
			c, err := client.New(url, client.Options{TokenStore: store, DialContext: dialer(s.listen)})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(c.Close)
			connecting(c)
			nc, err := s.listen.Accept()
			if err != nil {
				t.Fatal(err)
			}
			if log := store.take(); log != "" {
				t.Errorf("%s: before the connection is open: %s", url, log)
			}
			nc.Close()
			if err := c.Deauthenticate(t.Context()); err != nil {
				t.Fatal(err)
			}
			if log := store.take(); log != "load "+want {
				t.Errorf("%s: %s", url, log)
			}
		})
	}
	withFake(t, func(t *testing.T, s *fake) {
		store := new(testStore)
		c := s.new(client.Options{TokenStore: store, AuthTokenName: "mine"})
		p := s.connectTo(c)
		if log := store.take(); log != "load mine" {
			t.Error(log)
		}
		p.send(`{"event":"#setAuthToken","data":{"token":"x.y.z"}}`)
		if log := store.take(); !strings.HasPrefix(log, "save mine x.y.z") {
			t.Error(log)
		}
		p.Close()
		connecting(c)
		s.greet(2, `{"authToken":"x.y.z"}`)
	})
}

// While the store is asked, the server gets nothing; if it fails, the attempt ends with 4003
// (AUTH-51).
func TestTokenStoreFails(t *testing.T) {
	for name, test := range map[string]struct {
		store client.TokenStore
		error string
	}{
		"error": {&testStore{err: errors.New("no disk")}, "no disk"},
		"panic": {panicStore{}, "panic in Options.TokenStore: oops"},
	} {
		t.Run(name, func(t *testing.T) {
			withFake(t, func(t *testing.T, s *fake) {
				c := s.new(client.Options{TokenStore: test.store, Reconnect: client.Reconnect{Disabled: true}})
				r := record(t, c)
				connected := connecting(c)
				s.accept().wantClose(4003, "")
				if err := <-connected; err == nil || !strings.Contains(err.Error(), test.error) {
					t.Error(err)
				}
				const end = "4003 Failed to complete handshake"
				r.want("connecting", "error "+test.error, "connectAbort "+end, "close "+end, "error SocketProtocolError: Failed to complete handshake")
			})
		})
	}
	withFake(t, func(t *testing.T, s *fake) {
		store := &testStore{gate: make(chan struct{})}
		c := s.new(client.Options{TokenStore: store})
		connecting(c)
		p := s.accept()
		p.send("")
		time.Sleep(10 * time.Second)
		p.quiet()
		store.gate <- struct{}{}
		p.want(`{"event":"#handshake","data":{"authToken":null},"cid":1}`, "")
		store.set(nil, nil)
	})
}

type panicStore struct{ client.TokenStore }

func (panicStore) Load(context.Context, string) (string, error) { panic("oops") }

// A store that never answers ends the attempt, and Close does not wait for it long.
func TestTokenStoreHangs(t *testing.T) {
	withFake(t, func(t *testing.T, s *fake) {
		hang := make(chan struct{})
		defer close(hang)
		c := s.new(client.Options{TokenStore: hangingStore{hang: hang}})
		connected := connecting(c)
		p := s.accept()
		began := time.Now()
		if err := <-connected; !errors.Is(err, wire.ErrSocketProtocol) || time.Since(began) > 21*time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		p.wantClose(4000, "")
		began = time.Now()
		c.Close()
		if took := time.Since(began); took > 4*time.Second {
			t.Errorf("closed after %v", took)
		}
	})
}

type hangingStore struct {
	client.TokenStore
	hang chan struct{}
}

func (s hangingStore) Load(context.Context, string) (string, error) {
	<-s.hang
	return "", nil
}

// What a store has not done when Close has waited for Timeouts.Close, ends: nothing is left,
// for which synctest looks. It does not end before.
func TestCloseEndsUsesOfTheStore(t *testing.T) {
	for name, begin := range map[string]func(*client.Client, *peer){
		"save":   func(_ *client.Client, p *peer) { p.send(`{"event":"#setAuthToken","data":{"token":"a.b.2"}}`) },
		"remove": func(c *client.Client, _ *peer) { go c.Deauthenticate(context.Background()) },
	} {
		t.Run(name, func(t *testing.T) {
			withFake(t, func(t *testing.T, s *fake) {
				store := new(testStore)
				c, p := s.connect(client.Options{TokenStore: store, AuthTokenName: "t", Timeouts: client.Timeouts{Close: 5 * time.Second}})
				store.take()
				store.set(nil, make(chan struct{}))
				begin(c, p)
				if used := store.take(); used == "" {
					t.Error("the store is not used")
				}
				p.Close()
				synctest.Wait()
				began := time.Now()
				c.Close()
				if took := time.Since(began); took != 5*time.Second {
					t.Errorf("closed after %v", took)
				}
				synctest.Wait()
				if n := store.waiting.Load(); n != 0 {
					t.Errorf("%d uses of the store are left", n)
				}
			})
		})
	}
}

// Claims are decoded and not verified. What is no JWT has none (AUTH-52).
func TestAuthToken(t *testing.T) {
	withFake(t, func(t *testing.T, s *fake) {
		c, p := s.connect(client.Options{})
		if c.AuthToken() != nil || c.SignedAuthToken() != "" || c.AuthState() != socketcluster.Unauthenticated {
			t.Error(c.AuthToken(), c.SignedAuthToken())
		}
		token := tokenOf(t, "alice")
		set := func(token string) {
			t.Helper()
			p.send(`{"event":"#setAuthToken","data":{"token":"` + token + `"}}`)
			synctest.Wait()
			if got := c.SignedAuthToken(); got != token || c.AuthState() != socketcluster.Authenticated {
				t.Errorf("%q %v", got, c.AuthState())
			}
		}
		set(token)
		if name, _ := c.AuthToken().Claim("username"); name != "alice" {
			t.Error(name)
		}
		for _, odd := range []string{"x", "a.b", "a.b.c", "a.!.c", "..", "a.bnVsbA.c", "a.e30.c.d", strings.Repeat("x", 1<<20)} {
			set(odd)
			if token := c.AuthToken(); token != nil {
				t.Errorf("%.20s: %v", odd, token)
			}
		}
		set("a.e30.c") // {}
		if c.AuthToken() == nil {
			t.Error("no token")
		}
	})
}

// The server sets a token: by a transmission, or by a call, which is answered when the token
// is saved. The events of a change come once, that of the login each time (AUTH-54, CF-2).
func TestSetAuthToken(t *testing.T) {
	withFake(t, func(t *testing.T, s *fake) {
		store := new(testStore)
		c := s.new(client.Options{TokenStore: store, AuthTokenName: "t"})
		p := s.connectTo(c)
		subscribe(t, c, "mine", client.WaitForAuth())
		r := record(t, c)
		p.send(`{"event":"#setAuthToken","data":{"token":"a.b.1"}}`)
		p.want(`{"event":"#subscribe","data":{"channel":"mine","waitForAuth":true},"cid":2}`)
		r.want("subscribeRequest mine", "authStateChange unauthenticated authenticated a.b.1", "authenticate a.b.1")
		gate := make(chan struct{})
		store.set(nil, gate)
		p.send(`{"event":"#setAuthToken","data":{"token":"a.b.2"},"cid":7}`)
		r.want("authenticate a.b.2")
		p.quiet()
		gate <- struct{}{}
		store.set(nil, nil)
		p.want(`{"rid":7}`)
		if token := stored(t, &store.MemoryStore); token != "a.b.2" {
			t.Error(token)
		}
		p.send(`{"event":"#setAuthToken","cid":8}`)
		p.want(`{"rid":8,"error":{"message":"No token data provided by #setAuthToken event","name":"InvalidMessageError"}}`)
		p.send(`{"event":"#setAuthToken"}`, `{"event":"#setAuthToken","data":null}`)
		r.want()
		// QK-39: data without a token sets none.
		p.send(`{"event":"#setAuthToken","data":{}}`, `{"event":"#setAuthToken","data":{"token":5}}`, `{"event":"#setAuthToken","data":"x"}`)
		const failure = "error InvalidMessageError: No token data provided by #setAuthToken event"
		r.want(failure, failure, failure)
		p.send(`{"event":"#setAuthToken","data":{"token":""},"cid":9}`)
		p.want(`{"rid":9,"error":{"message":"No token data provided by #setAuthToken event","name":"InvalidMessageError"}}`)
		// A store that fails is an error, and the client stays logged in (CF-24).
		store.set(errors.New("full"), nil)
		p.send(`{"event":"#setAuthToken","data":{"token":"a.b.3"},"cid":10}`)
		p.want(`{"rid":10}`)
		r.want("authenticate a.b.3", "error full")
		if c.SignedAuthToken() != "a.b.3" {
			t.Error(c.SignedAuthToken())
		}
		store.set(nil, nil)
	})
}

// The server removes the token. The removal has an event always, the logout if there was a
// login (AUTH-55).
func TestRemoveAuthToken(t *testing.T) {
	withFake(t, func(t *testing.T, s *fake) {
		store := new(client.MemoryStore)
		c := s.new(client.Options{TokenStore: store, AuthTokenName: "t"})
		p := s.connectTo(c)
		p.send(`{"event":"#setAuthToken","data":{"token":"a.b.1"}}`)
		synctest.Wait()
		r := record(t, c)
		p.send(`{"event":"#removeAuthToken","cid":10}`)
		p.want(`{"rid":10}`)
		r.want("authStateChange authenticated unauthenticated ", "deauthenticate a.b.1", "removeAuthToken a.b.1")
		if token := stored(t, store); token != "" || c.SignedAuthToken() != "" || c.AuthState() != socketcluster.Unauthenticated {
			t.Error(token)
		}
		p.send(`{"event":"#removeAuthToken"}`)
		r.want("removeAuthToken ")
		p.quiet()
	})
}

// A token that the server does not accept goes with #removeAuthToken alone, so one that is
// not active yet is presented again (AUTH-56).
func TestRefusedToken(t *testing.T) {
	withFake(t, func(t *testing.T, s *fake) {
		store := withToken(t, "a.b.1")
		c := s.new(client.Options{TokenStore: store, AuthTokenName: "t"})
		r := record(t, c)
		for cid := 1; cid < 3; cid++ {
			connecting(c)
			p := s.accept()
			p.want(map[int]string{1: `{"event":"#handshake","data":{"authToken":"a.b.1"},"cid":1}`, 2: `{"event":"#handshake","data":{"authToken":"a.b.1"},"cid":2}`}[cid])
			p.send(map[int]string{1: `{"rid":1,"data":{"id":"x","isAuthenticated":false}}`, 2: `{"rid":2,"data":{"id":"x","isAuthenticated":false}}`}[cid])
			synctest.Wait()
			if token := stored(t, store); token != "a.b.1" {
				t.Error(token)
			}
			if cid == 1 {
				p.write(closing(1000, ""))
				synctest.Wait()
				continue
			}
			p.send(`{"event":"#removeAuthToken"}`)
		}
		const end = "1000 Socket closed normally"
		r.want("connecting", "connect x", "disconnect "+end, "close "+end, "connecting", "connect x", "removeAuthToken a.b.1")
		if token := stored(t, store); token != "" {
			t.Error(token)
		}
	})
}

// A login outlives the connection, and is presented to the next one; when that does not
// accept it, it has ended (AUTH-56, AUTH-59, CF-24).
func TestLoginOutlivesConnection(t *testing.T) {
	withFake(t, func(t *testing.T, s *fake) {
		c, p := s.connect(client.Options{})
		p.send(`{"event":"#setAuthToken","data":{"token":"a.b.1"}}`)
		synctest.Wait()
		p.Close()
		synctest.Wait()
		if c.AuthState() != socketcluster.Authenticated || c.SignedAuthToken() != "a.b.1" {
			t.Error(c.AuthState())
		}
		r := record(t, c)
		connecting(c)
		s.greet(2, `{"authToken":"a.b.1"}`).Close()
		r.want("connecting", "authenticate a.b.1", "connect id2", "disconnect 1006 Socket hung up", "close 1006 Socket hung up", "error SocketProtocolError: Socket hung up")
		connecting(c)
		p = s.accept()
		p.want(`{"event":"#handshake","data":{"authToken":"a.b.1"},"cid":3}`)
		p.send(`{"rid":3,"data":{"id":"x","isAuthenticated":false,"authError":{"name":"AuthTokenExpiredError","message":"m"}}}`)
		r.want("connecting", "authStateChange authenticated unauthenticated ", "deauthenticate a.b.1", "connect x")
	})
}

// A server may know the client without a token, by the request.
func TestAuthenticatedByRequest(t *testing.T) {
	withFake(t, func(t *testing.T, s *fake) {
		c := s.new(client.Options{})
		r := record(t, c)
		connecting(c)
		p := s.accept()
		p.next()
		p.send(`{"rid":1,"data":{"id":"x","isAuthenticated":true}}`)
		r.want("connecting", "authStateChange unauthenticated authenticated ", "authenticate ", "connect x")
		if c.AuthState() != socketcluster.Authenticated || c.AuthToken() != nil || c.SignedAuthToken() != "" {
			t.Error(c.AuthToken())
		}
	})
}

// What answers to Authenticate mean: the token counts and is saved, or the client is not
// authenticated any more, or nothing has changed because there was no answer (AUTH-57,
// CF-24).
func TestAuthenticate(t *testing.T) {
	for answer, test := range map[string]struct{ err, token string }{
		`"data":{"isAuthenticated":true}`:                                         {"", "a.b.2"},
		`"data":{"isAuthenticated":true,"authError":null}`:                        {"", "a.b.2"},
		`"data":{"isAuthenticated":false,"authError":{"name":"N","message":"m"}}`: {"N: m", ""},
		`"data":{"isAuthenticated":false}`:                                        {"AuthTokenError: The server has refused the token without a reason", ""},
		`"error":{"name":"AuthTokenInvalidError","message":"jwt malformed"}`:      {"AuthTokenInvalidError: jwt malformed", ""},
		`"data":{}`:                      {"InvalidMessageError: The server has answered #authenticate without a status", ""},
		`"data":5`:                       {"InvalidMessageError: The server has answered #authenticate without a status", ""},
		`"none":5`:                       {"InvalidMessageError: The server has answered #authenticate without a status", ""},
		`"data":{"isAuthenticated":"x"}`: {"InvalidMessageError: The server has answered #authenticate without a status", ""},
		``:                               {"TimeoutError: Event response for #authenticate event timed out", "a.b.1"},
		`end`:                            {"BadConnectionError: Event #authenticate was aborted due to a bad connection", "a.b.1"},
	} {
		t.Run(answer, func(t *testing.T) {
			withFake(t, func(t *testing.T, s *fake) {
				store := new(client.MemoryStore)
				c := s.new(client.Options{TokenStore: store, AuthTokenName: "t"})
				p := s.connectTo(c)
				p.send(`{"event":"#setAuthToken","data":{"token":"a.b.1"}}`)
				synctest.Wait()
				r := record(t, c)
				done := make(chan error, 1)
				go func() { done <- c.Authenticate(context.Background(), "a.b.2") }()
				p.want(`{"event":"#authenticate","data":"a.b.2","cid":2}`)
				switch answer {
				case "":
				case "end":
					p.Close()
				default:
					p.send(`{"rid":2,` + answer + `}`)
				}
				if err := <-done; test.err != "" {
					wantError(t, err, test.err)
				} else if err != nil {
					t.Error(err)
				}
				synctest.Wait()
				saved := stored(t, store)
				if got := c.SignedAuthToken(); got != test.token || saved != "a.b.1" && saved != test.token || test.token == "a.b.2" && saved != test.token {
					t.Errorf("%q; stored %q", got, saved)
				}
				switch test.token {
				case "a.b.2":
					r.want("authenticate a.b.2")
				case "":
					r.want("authStateChange authenticated unauthenticated ", "deauthenticate a.b.1")
				}
			})
		})
	}
}

// Logging out removes the token, and tells a server if there is one. It works offline, and
// never connects (AUTH-58, CF-3).
func TestDeauthenticate(t *testing.T) {
	withFake(t, func(t *testing.T, s *fake) {
		store := withToken(t, "a.b.1")
		c := s.new(client.Options{TokenStore: store, AuthTokenName: "t"})
		r := record(t, c)
		if err := c.Deauthenticate(t.Context()); err != nil {
			t.Fatal(err)
		}
		if token := stored(t, store); token != "" || c.State() != socketcluster.Closed {
			t.Error(token, c.State())
		}
		r.want("removeAuthToken a.b.1")
		p := s.connectTo(c)
		p.send(`{"event":"#setAuthToken","data":{"token":"a.b.2"}}`)
		synctest.Wait()
		r.take()
		if err := c.Deauthenticate(t.Context()); err != nil {
			t.Fatal(err)
		}
		p.want(`{"event":"#removeAuthToken"}`)
		r.want("authStateChange authenticated unauthenticated ", "deauthenticate a.b.2", "removeAuthToken a.b.2")
		if err := c.Deauthenticate(t.Context()); err != nil {
			t.Fatal(err)
		}
		p.want(`{"event":"#removeAuthToken"}`)
		r.want("removeAuthToken ")
	})
}

// A logout takes the token from the store even if nobody waits for a slow store.
func TestDeauthenticateContext(t *testing.T) {
	withFake(t, func(t *testing.T, s *fake) {
		gate := make(chan struct{})
		store := new(testStore)
		store.MemoryStore.Save(t.Context(), "t", "a.b.1")
		store.set(nil, gate)
		c := s.new(client.Options{TokenStore: store, AuthTokenName: "t"})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := c.Deauthenticate(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		gate <- struct{}{}
		gate <- struct{}{}
		synctest.Wait()
		if token := stored(t, &store.MemoryStore); token != "" {
			t.Error(token)
		}
		store.set(nil, nil)
	})
}

// A logout at any moment of a connect leaves the client logged out, here and on the server.
func TestDeauthenticateWhileConnecting(t *testing.T) {
	for _, moment := range []string{"dialing", "loading", "handshake"} {
		t.Run(moment, func(t *testing.T) {
			withFake(t, func(t *testing.T, s *fake) {
				store := new(testStore)
				store.MemoryStore.Save(t.Context(), "t", "a.b.1")
				c := s.new(client.Options{TokenStore: store, AuthTokenName: "t"})
				r := record(t, c)
				connecting(c)
				synctest.Wait()
				logout := make(chan error, 1)
				deauthenticate := func() {
					go func() { logout <- c.Deauthenticate(context.Background()) }()
					synctest.Wait()
				}
				var p *peer
				sent := "null"
				switch moment {
				case "dialing":
					deauthenticate()
					p = s.accept()
				case "loading":
					gate := make(chan struct{})
					store.set(nil, gate)
					p = s.accept()
					synctest.Wait()
					deauthenticate()
					close(gate)
				case "handshake":
					p = s.accept()
					synctest.Wait()
					deauthenticate()
					sent = `"a.b.1"`
				}
				p.want(`{"event":"#handshake","data":{"authToken":` + sent + `},"cid":1}`)
				synctest.Wait() // for the store
				if sent == "null" {
					p.send(`{"rid":1,"data":{"id":"x"}}`)
				} else {
					p.send(`{"rid":1,"data":{"id":"x","isAuthenticated":true}}`)
				}
				p.want(`{"event":"#removeAuthToken"}`)
				if err := <-logout; err != nil {
					t.Error(err)
				}
				r.want("connecting", "removeAuthToken a.b.1", "connect x")
				if c.AuthState() != socketcluster.Unauthenticated || stored(t, &store.MemoryStore) != "" {
					t.Error(c.AuthState())
				}
			})
		})
	}
}

// Of a login and a logout, the one that is sent later counts, here as on the server.
func TestLogoutAndLogin(t *testing.T) {
	withFake(t, func(t *testing.T, s *fake) {
		c, p := s.connect(client.Options{})
		done := make(chan error, 1)
		authenticate := func() {
			go func() { done <- c.Authenticate(context.Background(), "a.b.1") }()
			synctest.Wait()
		}
		authenticate()
		if err := c.Deauthenticate(t.Context()); err != nil {
			t.Fatal(err)
		}
		p.want(`{"event":"#authenticate","data":"a.b.1","cid":2}`, `{"event":"#removeAuthToken"}`)
		p.send(`{"rid":2,"data":{"isAuthenticated":true}}`)
		if err := <-done; err == nil || c.AuthState() != socketcluster.Unauthenticated {
			t.Error(err, c.AuthState())
		}
		// The login waits for the server to read, while the logout, which waits too, comes first.
		big := strings.Repeat("x", 600<<10)
		if err := c.Transmit(t.Context(), "big", big); err != nil {
			t.Fatal(err)
		}
		authenticate()
		if err := c.Deauthenticate(t.Context()); err != nil {
			t.Fatal(err)
		}
		p.next()
		p.want(`{"event":"#removeAuthToken"}`, `{"event":"#authenticate","data":"a.b.1","cid":3}`)
		p.send(`{"rid":3,"data":{"isAuthenticated":true}}`)
		if err := <-done; err != nil || c.AuthState() != socketcluster.Authenticated {
			t.Error(err, c.AuthState())
		}
	})
}

// A login by a call finds the client authenticated when the call returns, in both orders of
// the two, and in one segment (AUTH-62, RPC-10).
func TestLoginCall(t *testing.T) {
	const token, answer = `{"event":"#setAuthToken","data":{"token":"a.b.1"}}`, `{"rid":2}`
	for _, order := range [][]string{{token, answer}, {`[` + token + `,` + answer + `]`}} {
		withFake(t, func(t *testing.T, s *fake) {
			c, p := s.connect(client.Options{})
			call := calling(c, "login", nil)
			p.send(order...)
			if err := <-call; err != nil || c.SignedAuthToken() != "a.b.1" {
				t.Error(err, c.SignedAuthToken())
			}
		})
	}
	withFake(t, func(t *testing.T, s *fake) {
		c, p := s.connect(client.Options{})
		call := calling(c, "login", nil)
		p.send(answer, token)
		if err := <-call; err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if c.SignedAuthToken() != "a.b.1" {
			t.Error(c.SignedAuthToken())
		}
	})
}

// The clients of one store follow each other, as the tabs of a browser do with the module of
// package browser: login, another user, logout. Clients of other names do not (AUTH-61).
func TestClientsFollowEachOther(t *testing.T) {
	withServer(t, socketcluster.Config{}, func(t *testing.T, s *real) {
		store := new(client.MemoryStore)
		o := client.Options{TokenStore: store, AuthTokenName: "t"}
		first, second := s.connect(o), s.connect(o)
		o.AuthTokenName = "other"
		other := s.connect(o)
		offline := s.new(client.Options{TokenStore: store, AuthTokenName: "t"})
		username := func(c *client.Client) any {
			synctest.Wait()
			if c.AuthState() == socketcluster.Unauthenticated {
				return nil
			}
			name, _ := c.AuthToken().Claim("username")
			return name
		}
		check := func(want any) {
			t.Helper()
			if a, b := username(first), username(second); a != want || b != want {
				t.Errorf("%v and %v, want %v", a, b, want)
			}
			onServer := 0
			for socket := range s.Clients() {
				var name any
				if token := socket.AuthToken(); token != nil {
					name, _ = token.Claim("username")
				}
				if name == want {
					onServer++
				}
			}
			if others := map[bool]int{true: 3, false: 2}[want == nil]; onServer != others {
				t.Errorf("%d on the server", onServer)
			}
			if username(other) != nil {
				t.Error("another name follows")
			}
		}
		login := func(c *client.Client, name string) {
			t.Helper()
			if _, err := c.Invoke(t.Context(), "login", name); err != nil {
				t.Fatal(err)
			}
		}
		login(first, "alice")
		check("alice")
		login(second, "bob")
		check("bob")
		if err := offline.Connect(t.Context()); err != nil || username(offline) != "bob" {
			t.Error(err, username(offline))
		}
		offline.Close()
		if err := second.Deauthenticate(t.Context()); err != nil {
			t.Fatal(err)
		}
		check(nil)
	})
}

// A client whose handshake has presented a token that another client has replaced meanwhile
// follows when it is connected.
func TestFollowDuringHandshake(t *testing.T) {
	withFake(t, func(t *testing.T, s *fake) {
		store := withToken(t, "a.b.1")
		c := s.new(client.Options{TokenStore: store, AuthTokenName: "t"})
		connecting(c)
		p := s.accept()
		p.want(`{"event":"#handshake","data":{"authToken":"a.b.1"},"cid":1}`)
		store.Save(t.Context(), "t", "a.b.2")
		synctest.Wait()
		p.send(`{"rid":1,"data":{"id":"x","isAuthenticated":true}}`)
		p.want(`{"event":"#authenticate","data":"a.b.2","cid":2}`)
		p.send(`{"rid":2,"data":{"isAuthenticated":true}}`)
		synctest.Wait()
		if c.SignedAuthToken() != "a.b.2" {
			t.Error(c.SignedAuthToken())
		}
		p.quiet()
	})
}

// A client never removes a login that is newer than its own, whoever asks it to remove one.
func TestStaleClientKeepsNewerLogin(t *testing.T) {
	withFake(t, func(t *testing.T, s *fake) {
		store := new(testStore)
		unwatched := struct{ client.TokenStore }{store} // so nobody follows
		c := s.new(client.Options{TokenStore: unwatched, AuthTokenName: "t"})
		p := s.connectTo(c)
		p.send(`{"event":"#setAuthToken","data":{"token":"a.b.1"}}`)
		synctest.Wait()
		store.MemoryStore.Save(t.Context(), "t", "a.b.2")
		r := record(t, c)
		p.send(`{"event":"#removeAuthToken"}`)
		r.want("authStateChange authenticated unauthenticated ", "deauthenticate a.b.1", "removeAuthToken ")
		if err := c.Deauthenticate(t.Context()); err != nil {
			t.Fatal(err)
		}
		r.want("removeAuthToken ")
		if token := stored(t, &store.MemoryStore); token != "a.b.2" {
			t.Error(token)
		}
		store.take()
		// Between the look and the removal, the store decides.
		p.send(`{"event":"#setAuthToken","data":{"token":"a.b.3"}}`)
		synctest.Wait()
		gate := make(chan struct{})
		store.set(nil, gate)
		go c.Deauthenticate(context.Background())
		gate <- struct{}{}
		synctest.Wait()
		store.MemoryStore.Save(t.Context(), "t", "a.b.4")
		gate <- struct{}{}
		synctest.Wait()
		store.set(nil, nil)
		if token := stored(t, &store.MemoryStore); token != "a.b.4" {
			t.Error(token)
		}
	})
}

// Nor does a client that has had no login itself. A token that the server has
// refused, and left in the store, is its own.
func TestClientWithoutLoginKeepsNewerLogin(t *testing.T) {
	withFake(t, func(t *testing.T, s *fake) {
		store := new(testStore)
		unwatched := struct{ client.TokenStore }{store} // so nobody follows
		c := s.new(client.Options{TokenStore: unwatched, AuthTokenName: "t"})
		s.connectTo(c)
		store.MemoryStore.Save(t.Context(), "t", "a.b.1")
		if err := c.Deauthenticate(t.Context()); err != nil {
			t.Fatal(err)
		}
		if token := stored(t, &store.MemoryStore); token != "a.b.1" {
			t.Error(token)
		}
		c.Disconnect(0, "")
		connected := connecting(c)
		p := s.accept()
		p.want(`{"event":"#handshake","data":{"authToken":"a.b.1"},"cid":2}`)
		p.send(`{"rid":2,"data":{"id":"x","pingTimeout":3600000,"isAuthenticated":false}}`)
		if err := <-connected; err != nil {
			t.Fatal(err)
		}
		if err := c.Deauthenticate(t.Context()); err != nil {
			t.Fatal(err)
		}
		if token := stored(t, &store.MemoryStore); token != "" {
			t.Error(token)
		}
	})
}

// A login that comes right before Close is saved.
func TestCloseSaves(t *testing.T) {
	withFake(t, func(t *testing.T, s *fake) {
		gate := make(chan struct{})
		store := new(testStore)
		c := s.new(client.Options{TokenStore: store, AuthTokenName: "t"})
		p := s.connectTo(c)
		store.set(nil, gate)
		p.send(`{"event":"#setAuthToken","data":{"token":"a.b.1"}}`)
		synctest.Wait()
		time.AfterFunc(time.Second, func() { close(gate) })
		p.Close()
		c.Close()
		if token := stored(t, &store.MemoryStore); token != "a.b.1" {
			t.Error(token)
		}
	})
}

// A logout that comes right before Close is carried out.
func TestCloseRemoves(t *testing.T) {
	withFake(t, func(t *testing.T, s *fake) {
		gate := make(chan struct{})
		store := new(testStore)
		store.MemoryStore.Save(t.Context(), "t", "a.b.1")
		store.set(nil, gate)
		c := s.new(client.Options{TokenStore: store, AuthTokenName: "t"})
		go c.Deauthenticate(context.Background())
		synctest.Wait()
		time.AfterFunc(time.Second, func() { close(gate) })
		c.Close()
		if token := stored(t, &store.MemoryStore); token != "" {
			t.Error(token)
		}
	})
}

// A login that comes while the client looks at the store is newer than what it sees there.
func TestLoginDuringLook(t *testing.T) {
	for name, change := range map[string]func(s *client.MemoryStore){
		"logout": func(s *client.MemoryStore) { s.Remove(context.Background(), "t", "a.b.1") },
		"login":  func(s *client.MemoryStore) { s.Save(context.Background(), "t", "a.b.2") },
	} {
		t.Run(name, func(t *testing.T) {
			withFake(t, func(t *testing.T, s *fake) {
				store := new(testStore)
				c := s.new(client.Options{TokenStore: store, AuthTokenName: "t"})
				p := s.connectTo(c)
				p.send(`{"event":"#setAuthToken","data":{"token":"a.b.1"}}`)
				synctest.Wait()
				gate := make(chan struct{})
				store.set(nil, gate)
				change(&store.MemoryStore)
				synctest.Wait()
				p.send(`{"event":"#setAuthToken","data":{"token":"a.b.3"}}`)
				synctest.Wait()
				store.set(nil, nil)
				close(gate)
				synctest.Wait()
				if token := stored(t, &store.MemoryStore); token != "a.b.3" || c.SignedAuthToken() != "a.b.3" {
					t.Errorf("%q; stored %q", c.SignedAuthToken(), token)
				}
				p.quiet()
			})
		})
	}
}

// Of many changes of a store that is slow, a client looks at the first and the last.
func TestFollowLooksOnce(t *testing.T) {
	withFake(t, func(t *testing.T, s *fake) {
		gate := make(chan struct{})
		store := new(testStore)
		c := s.new(client.Options{TokenStore: store, AuthTokenName: "t"})
		p := s.connectTo(c)
		store.take()
		store.set(nil, gate)
		for _, token := range []string{"a.b.1", "a.b.2", "a.b.3", "a.b.4"} {
			store.MemoryStore.Save(t.Context(), "t", token)
			synctest.Wait() // the first look has begun
		}
		gate <- struct{}{}
		store.set(nil, nil)
		close(gate)
		p.want(`{"event":"#authenticate","data":"a.b.4","cid":2}`)
		p.send(`{"rid":2,"data":{"isAuthenticated":true}}`)
		if log := store.take(); log != "load t, load t" {
			t.Error(log)
		}
		if c.SignedAuthToken() != "a.b.4" {
			t.Error(c.SignedAuthToken())
		}
		p.quiet()
	})
}

// The memory store removes only the token that it is told to.
func TestMemoryStore(t *testing.T) {
	s := new(client.MemoryStore)
	var changes []string
	stop := s.Watch("a", func() { changes = append(changes, "a") })
	s.Watch("b", func() { changes = append(changes, "b") })
	if token, err := s.Load(t.Context(), "a"); token != "" || err != nil {
		t.Error(token, err)
	}
	if removed, err := s.Remove(t.Context(), "a", ""); removed || err != nil {
		t.Error(removed, err)
	}
	s.Save(t.Context(), "a", "1")
	if removed, err := s.Remove(t.Context(), "a", "2"); removed || err != nil {
		t.Error(removed, err)
	}
	if removed, err := s.Remove(t.Context(), "a", "1"); !removed || err != nil {
		t.Error(removed, err)
	}
	s.Save(t.Context(), "b", "1")
	stop()
	stop()
	s.Save(t.Context(), "a", "1")
	if got := strings.Join(changes, ""); got != "aab" {
		t.Error(got)
	}
}

// Subscriptions that were asked for before a bad login succeed before it; one that needs a
// login never does (CF-23). The identity that the client had is gone, here and on the server.
func TestSubscribeBeforeBadLogin(t *testing.T) {
	withServer(t, socketcluster.Config{}, func(t *testing.T, s *real) {
		c := s.new(client.Options{})
		r := record(t, c)
		subscribe(t, c, "a")
		done := make(chan error, 1)
		go func() { done <- c.Authenticate(context.Background(), "bad") }()
		synctest.Wait()
		subscribe(t, c, "mine", client.WaitForAuth())
		wantError(t, <-done, "AuthTokenInvalidError: jwt malformed")
		synctest.Wait()
		if !c.IsSubscribed("a") || c.ChannelState("mine") != client.Pending {
			t.Error(subscriptions(c))
		}
		if events := r.take(); slices.Index(events, "subscribe a") < 0 || events[len(events)-1] != "removeAuthToken " {
			t.Errorf("%q", events)
		}
		if _, err := c.Invoke(t.Context(), "login", "alice"); err != nil {
			t.Fatal(err)
		}
		if err := c.Authenticate(t.Context(), "bad"); err == nil {
			t.Error("no error")
		}
		synctest.Wait()
		for socket := range s.Clients() {
			if socket.AuthState() != socketcluster.Unauthenticated || c.AuthState() != socketcluster.Unauthenticated {
				t.Error(socket.AuthState(), c.AuthState())
			}
		}
	})
}
