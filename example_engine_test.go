package socketcluster_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"slices"
	"sync"
	"time"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/wire"
)

// logins is an engine whose tokens are random text. It stores their claims in a
// map; it could also use a table of a database. Deleting an entry ends the
// login.
//
// The type passes authtest.TestEngine.
type logins struct {
	mu     sync.Mutex
	tokens map[string]*auth.Token
}

// Sign implements auth.Engine.
func (l *logins) Sign(_ context.Context, claims any, opts ...auth.SignOption) (*auth.Token, error) {
	payload, err := complete(claims, auth.ApplySign(opts...), time.Now().Unix())
	if err != nil {
		return nil, err
	}
	token, err := auth.NewToken(rand.Text(), payload)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.tokens == nil {
		l.tokens = make(map[string]*auth.Token)
	}
	l.tokens[token.Signed()] = token
	return token, nil
}

// complete adds the claims that options ask for.
func complete(claims any, o auth.SignOptions, now int64) ([]byte, error) {
	text, err := json.Marshal(claims)
	if err != nil {
		return nil, err
	}
	var all map[string]json.RawMessage
	if err := json.Unmarshal(text, &all); err != nil || all == nil {
		return nil, errors.New("claims must be a JSON object")
	}
	set := func(name string, v any) {
		if _, ok := all[name]; ok {
			err = fmt.Errorf("%s is both a claim and an option", name)
			return
		}
		all[name], _ = json.Marshal(v) // text and numbers
	}
	_, hasExp := all["exp"]
	switch life, e := o.ExpiresIn.Duration(); {
	case e != nil:
		return nil, e
	case o.ExpiresIn.Given() && !(hasExp && o.PreferExpClaim):
		set("exp", now+int64(life/time.Second))
	case !hasExp:
		set("exp", now+24*60*60)
	}
	if wait, e := o.NotBefore.Duration(); e != nil {
		return nil, e
	} else if o.NotBefore.Given() {
		set("nbf", now+int64(wait/time.Second))
	}
	for name, v := range map[string]string{"iss": o.Issuer, "sub": o.Subject, "jti": o.JWTID} {
		if v != "" {
			set(name, v)
		}
	}
	if len(o.Audience) > 0 {
		set("aud", o.Audience)
	}
	if o.AuthTime != nil {
		set("auth_time", float64(o.AuthTime.UnixMicro())/1e6)
	}
	if _, ok := all["iat"]; !ok && !o.NoTimestamp {
		set("iat", now)
	}
	if err != nil {
		return nil, err
	}
	return json.Marshal(all)
}

// Verify implements auth.Engine.
func (l *logins) Verify(_ context.Context, signed string, opts ...auth.VerifyOption) (*auth.Token, error) {
	l.mu.Lock()
	token := l.tokens[signed]
	l.mu.Unlock()
	if token == nil {
		return nil, bad(wire.NameAuthTokenInvalid, "no such login")
	}
	var c struct {
		Iss, Sub, Jti *string
		Aud           []string
		Nbf           int64
	}
	if err := token.Claims(&c); err != nil {
		return nil, err
	}
	o := auth.ApplyVerify(opts...)
	now := o.At
	if now.IsZero() {
		now = time.Now()
	}
	if now.Add(o.ClockTolerance).Unix() < c.Nbf && !o.IgnoreNotBefore {
		return nil, bad(wire.NameAuthTokenNotBefore, "not yet").With("isBadToken", false)
	}
	now = now.Add(-o.ClockTolerance)
	if end, ok := token.ExpiresAt(); ok && !now.Before(end) && !o.IgnoreExpiration {
		return nil, bad(wire.NameAuthTokenExpired, "not any more")
	}
	if age, err := o.MaxAge.Duration(); err != nil {
		return nil, err
	} else if issued, ok := token.IssuedAt(); o.MaxAge.Given() && !(ok && now.Before(issued.Add(age))) {
		return nil, bad(wire.NameAuthTokenExpired, "too old")
	}
	allowed := func(name string) bool { return slices.Contains(o.Audience, name) }
	if o.Audience != nil && !slices.ContainsFunc(c.Aud, allowed) ||
		o.Issuer != nil && (c.Iss == nil || !slices.Contains(o.Issuer, *c.Iss)) ||
		o.Subject != nil && (c.Sub == nil || *c.Sub != *o.Subject) ||
		o.JWTID != nil && (c.Jti == nil || *c.Jti != *o.JWTID) {
		return nil, bad(wire.NameAuthTokenInvalid, "not for this")
	}
	return token, nil
}

func bad(name, message string) *wire.Error {
	return &wire.Error{Name: name, Message: message, Fields: []wire.Field{{Key: "isBadToken", Value: true}}}
}

// Any engine can replace JWT. Clients also accept text that is not a JWT; they
// only cannot read claims in it.
func Example_customEngine() {
	srv, err := socketcluster.New(socketcluster.Config{AuthEngine: new(logins), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		panic(err)
	}
	defer srv.Close()
	srv.Handle("whoami", socketcluster.Func(func(ctx context.Context, _ socketcluster.None) (string, error) {
		me, _ := socketcluster.Claims[struct{ Username string }](socketcluster.FromContext(ctx))
		return me.Username, nil
	}))
	token, err := srv.Auth().Sign(context.Background(), map[string]string{"username": "alice"}) // a login over HTTP, say
	if err != nil {
		panic(err)
	}

	site := httptest.NewServer(srv)
	defer site.Close()
	client := dialExample(site.URL)
	defer client.close()
	client.send(`{"event":"#handshake","data":{"authToken":"` + token.Signed() + `"},"cid":1}`)
	fmt.Println(client.next())
	client.send(`{"event":"whoami","cid":2}`)
	fmt.Println(client.next())
	// Output:
	// {"rid":1,"data":{"id":"<id>","pingTimeout":30000,"isAuthenticated":true}}
	// {"rid":2,"data":"alice"}
}
