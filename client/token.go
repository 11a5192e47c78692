package client

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/wire"
)

// Login logs in by a procedure of the server that sets a token, and waits for both: the
// answer, and the token (#setAuthToken), in any order. A server of this module sends the
// token first; that of socketcluster-server on Node.js may follow the answer. So the
// client is authenticated when Login returns, unless it has lost its login since.
//
// Login waits as [Client.Invoke] does, for both together, and fails as that does. If
// there is an answer and no token in time, the error is [ErrNoToken], which is also a
// [context.DeadlineExceeded], and the answer is returned with it. For a procedure that
// sets no token, such as one that keeps the user in the state of its socket, use Invoke.
func (c *Client) Login(ctx context.Context, procedure string, data any) (json.RawMessage, error) {
	raw, err := encodeData(data)
	if err != nil {
		return nil, err
	}
	if _, bounded := ctx.Deadline(); !bounded {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.opts.Timeouts.Ack)
		defer cancel()
	}
	w := &loginWait{procedure: procedure, token: make(chan error, 1)}
	defer c.forget(w)
	answer, err := c.invoke(ctx, procedure, raw, func(p *packet, _ json.RawMessage, err error) error {
		c.mu.Lock()
		defer c.mu.Unlock()
		switch l := p.link; {
		case err != nil || w.over:
			return err
		case p.tokens != l.tokens:
			w.token <- nil
		case l.ended:
			return badConnection("disconnect", 0, "", procedure)
		default:
			w.link = l
			l.logins = append(l.logins, w)
			l.waiting.Add(1)
		}
		return nil
	})
	if err != nil {
		return answer, err
	}
	select {
	case err := <-w.token:
		return answer, err
	case <-ctx.Done():
	}
	select {
	case err := <-w.token: // it came just in time
		return answer, err
	default:
	}
	if ctx.Err() == context.DeadlineExceeded {
		return answer, fmt.Errorf("%w: %w", ErrNoToken, ctx.Err())
	}
	return answer, ctx.Err()
}

// loginWait is a login that waits for its token. The client's mu guards link and over.
type loginWait struct {
	procedure string
	token     chan error // has room for one: nil when the token has come
	link      *link      // nil unless it has been answered
	over      bool       // nobody waits any more
}

// forget ends the wait of a login.
func (c *Client) forget(w *loginWait) {
	c.mu.Lock()
	defer c.mu.Unlock()
	w.over = true
	if w.link == nil {
		return
	}
	if i := slices.Index(w.link.logins, w); i >= 0 {
		w.link.logins = slices.Delete(w.link.logins, i, i+1)
		w.link.waiting.Add(-1)
	}
}

// Authenticate logs in with a signed token, which the server verifies. It waits
// as [Client.Invoke] does. If the server accepts the token, the client keeps it,
// also for later connections. If the server refuses it, the client is not
// authenticated any more, and the error is the server's. If no answer comes,
// nothing has changed as far as the client knows.
func (c *Client) Authenticate(ctx context.Context, signedToken string) error {
	return c.authenticate(ctx, signedToken, true)
}

func (c *Client) authenticate(ctx context.Context, token string, save bool) error {
	_, err := c.invoke(ctx, eventAuthenticate, wire.AppendString(nil, token), func(p *packet, answer json.RawMessage, err error) error {
		var status struct {
			IsAuthenticated *bool           `json:"isAuthenticated"`
			AuthError       json.RawMessage `json:"authError"`
		}
		switch {
		case err != nil:
		case json.Unmarshal(answer, &status) != nil || status.IsAuthenticated == nil:
			err = &wire.Error{Name: wire.NameInvalidMessage, Message: "The server has answered #authenticate without a status"}
		case !*status.IsAuthenticated:
			if err = wire.ParseError(nullIsAbsent(status.AuthError)); err == nil {
				err = &wire.Error{Name: wire.NameAuthToken, Message: "The server has refused the token without a reason"}
			}
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		switch {
		case err != nil:
			c.refused = token
			c.unauthenticated()
		case p.logouts != c.logouts: // the server has got the logout after the call
			err = errLoggedOut
			c.unauthenticated()
		default:
			c.authenticated(token)
			if save {
				c.saveToken(token)
			}
		}
		return err
	})
	return err
}

// errLoggedOut is the error of a login that Deauthenticate has overtaken.
var errLoggedOut = errors.New("client: logged out meanwhile")

// Deauthenticate logs out: the token leaves the store, and the server is told if
// there is a connection, or an attempt to make one. It works without a connection
// too. It waits for the store. If ctx ends first, Deauthenticate returns its error, and
// the token leaves the store nevertheless. Another error is that of the store.
//
// The login that another client has stored since stays, and is then that of this
// client too, if it follows others.
func (c *Client) Deauthenticate(ctx context.Context) error {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return ErrClosed
	}
	removed, err := c.logOut(c.ackDeadline(ctx))
	c.mu.Unlock()
	select {
	case failed := <-removed:
		return errors.Join(err, failed)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// logOut takes the token from the client, the server and, in the background, the store.
// deadline is that of a connection for the server. mu must be held.
func (c *Client) logOut(deadline time.Time) (removed <-chan error, err error) {
	c.logouts++
	if c.state != socketcluster.Closed {
		err = c.send(&packet{c: c, event: eventRemoveAuthToken, deadline: deadline})
	}
	held, refused, looked := c.held, c.refused, c.looked
	c.unauthenticated()
	// A client that has not looked into the store yet takes what is there for its own.
	return c.removeToken(func(stored string) bool { return !looked || stored == held || stored == refused }, c.lookAgain), err
}

// authenticated makes a token that of the client. It is empty if the server knows
// the client by its request, such as by a cookie. mu must be held.
func (c *Client) authenticated(signed string) {
	was := c.authState
	c.authState, c.signed, c.token, c.held = socketcluster.Authenticated, signed, decodeToken(signed), signed
	if was != socketcluster.Authenticated {
		c.processPending() // those that wait for a login
		c.emitSized(AuthStateChangeEvent{c, was, socketcluster.Authenticated, signed, c.token}, tokenSize(signed))
	}
	c.emitSized(AuthenticateEvent{c, signed, c.token}, tokenSize(signed))
}

// unauthenticated takes the token from the client. mu must be held.
func (c *Client) unauthenticated() {
	if c.authState == socketcluster.Unauthenticated {
		return
	}
	old, oldToken := c.signed, c.token
	c.authState, c.signed, c.token = socketcluster.Unauthenticated, "", nil
	c.emit(AuthStateChangeEvent{Client: c, OldAuthState: socketcluster.Authenticated, NewAuthState: socketcluster.Unauthenticated})
	c.emitSized(DeauthenticateEvent{c, old, oldToken}, tokenSize(old))
}

// tokenSize is the number of bytes of a token and its claims.
func tokenSize(signed string) int { return 2 * len(signed) }

// decodeToken returns a token that is not verified (AUTH-52), or nil if it cannot be decoded.
func decodeToken(signed string) *auth.Token {
	parts := strings.Split(signed, ".")
	if len(parts) != 3 {
		return nil
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return nil
	}
	token, err := auth.NewToken(signed, payload)
	if err != nil {
		return nil
	}
	return token
}

// takeToken handles #setAuthToken of the server (AUTH-54): the login takes effect
// at once, and is saved in the background. A call is answered when it has been
// saved.
func (l *link) takeToken(p *wire.Packet) {
	c := l.c
	var data struct {
		Token string `json:"token"`
	}
	err := json.Unmarshal(p.Data, &data)
	c.mu.Lock()
	defer c.mu.Unlock()
	if l.ended {
		return
	}
	if err != nil || data.Token == "" {
		failure := &wire.Error{Name: wire.NameInvalidMessage, Message: "No token data provided by #setAuthToken event"}
		if p.Kind == wire.KindInvoke {
			l.respond(p.ID, nil, failure)
		} else if len(nullIsAbsent(p.Data)) > 0 {
			c.emitError(failure)
		}
		return
	}
	c.authenticated(data.Token)
	c.saveToken(data.Token)
	l.tokens++
	l.endLogins(func(string) error { return nil })
	if p.Kind == wire.KindInvoke {
		l.respondStored(p.ID)
	}
}

// endLogins ends the wait of logins for a token. mu must be held.
func (l *link) endLogins(result func(procedure string) error) {
	for _, w := range l.logins {
		w.token <- result(w.procedure)
	}
	l.waiting.Add(-int32(len(l.logins)))
	l.logins = nil
}

// takeRemoval handles #removeAuthToken of the server (AUTH-55). What another
// client has stored since is another login, which this is not about.
func (l *link) takeRemoval(p *wire.Packet) {
	c := l.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if l.ended {
		return
	}
	held, refused, presented := c.held, c.refused, l.presented // which version 1 refuses before it answers
	c.unauthenticated()
	c.removeToken(func(stored string) bool { return stored == held || stored == refused || stored == presented }, c.lookAgain)
	if p.Kind == wire.KindInvoke {
		l.respondStored(p.ID)
	}
}

// respondStored answers a call once the store has done what was asked of it
// before. mu must be held.
func (l *link) respondStored(id float64) {
	l.c.inStore(0, func() error {
		l.c.mu.Lock()
		defer l.c.mu.Unlock()
		l.respond(id, nil, nil)
		return nil
	})
}
