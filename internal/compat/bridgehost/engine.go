package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/wire"
)

// engine is the library's engine, except for the methods that the suite
// overrides.
type engine struct {
	server *server
	jwt    *auth.JWT

	mu           sync.Mutex
	delegated    []string
	signature    string // the keys as JavaScript knows them
	verification string
}

var _ auth.Engine = (*engine)(nil)

func newEngine(v *server, opts auth.Options, delegated []string) (*engine, error) {
	jwt, err := auth.NewJWT(opts)
	if err != nil {
		return nil, err
	}
	e := &engine{server: v, jwt: jwt, delegated: delegated, signature: opts.Key, verification: opts.Key}
	switch {
	case len(opts.PrivateKey) > 0:
		e.signature, e.verification = string(opts.PrivateKey), string(opts.PublicKey)
	case opts.Key == "":
		e.signature, e.verification = jwt.GeneratedKey(), jwt.GeneratedKey()
	}
	return e, nil
}

// delegate leaves methods to the suite.
func (e *engine) delegate(methods []string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.delegated = methods
}

func (e *engine) delegates(method string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Contains(e.delegated, method)
}

func (e *engine) keys() (signature, verification string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.signature, e.verification
}

func (e *engine) setSignatureKey(text string) error {
	key, err := parseKey(text)
	if err != nil {
		return err
	}
	if err := e.jwt.SetSignatureKey(key); err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.signature = text
	return nil
}

func (e *engine) setVerificationKey(text string) error {
	key, err := parseKey(text)
	if err != nil {
		return err
	}
	if err := e.jwt.SetVerificationKey(key); err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.verification = text
	return nil
}

// engineLine requests the bridge to sign or verify.
type engineLine struct {
	T           string          `json:"t"`
	ID          int             `json:"id"`
	Ask         string          `json:"ask"`
	Server      int             `json:"server"`
	Socket      string          `json:"socket,omitempty"`
	SignedToken json.RawMessage `json:"signedToken,omitempty"`
	Token       json.RawMessage `json:"token,omitempty"`
	Key         string          `json:"key"`
	Options     json.RawMessage `json:"options"`
	snapshots
}

// Verify implements [auth.Engine].
func (e *engine) Verify(ctx context.Context, signed string, opts ...auth.VerifyOption) (*auth.Token, error) {
	if !e.delegates("verifyToken") {
		return e.jwt.Verify(ctx, signed, opts...)
	}
	token, err := wire.Marshal(signedOrNull(signed))
	if err != nil {
		return nil, err
	}
	_, key := e.keys()
	s := known(socketcluster.FromContext(ctx))
	answer, err := e.server.host.ask(ctx, func(id int) any {
		line := engineLine{
			T: "ask", ID: id, Ask: "verifyToken", Server: e.server.number, SignedToken: orNull(token),
			Key: key, Options: json.RawMessage("{}"), snapshots: with(nil, s),
		}
		if s != nil {
			line.Socket = s.ID()
		}
		return line
	})
	if err != nil {
		return nil, verifyError(err)
	}
	return auth.NewToken(signed, answer)
}

// Sign implements [auth.Engine].
func (e *engine) Sign(ctx context.Context, claims any, opts ...auth.SignOption) (*auth.Token, error) {
	if !e.delegates("signToken") {
		return e.jwt.Sign(ctx, claims, opts...)
	}
	token, err := wire.Marshal(claims)
	if err != nil {
		return nil, err
	}
	key, _ := e.keys()
	options, _ := ctx.Value(signOptionsKey{}).(json.RawMessage)
	if options == nil {
		options = json.RawMessage("{}")
	}
	answer, err := e.server.host.ask(ctx, func(id int) any {
		return engineLine{
			T: "ask", ID: id, Ask: "signToken", Server: e.server.number, Token: orNull(token),
			Key: key, Options: options,
		}
	})
	if err != nil {
		return nil, err
	}
	var signed string
	if err := json.Unmarshal(answer, &signed); err != nil {
		return nil, fmt.Errorf("the suite's engine signed with something else than text: %w", err)
	}
	return auth.NewToken(signed, token)
}

// verifyError converts the errors of an engine in JavaScript, which are those
// of jsonwebtoken, to the names that clients know (AUTH-20).
func verifyError(err error) error {
	e, ok := err.(*wire.Error)
	if !ok {
		return err
	}
	public := &wire.Error{Name: wire.NameAuthToken, Message: e.Message}
	bad := true
	switch e.Name {
	case "TokenExpiredError":
		public.Name = wire.NameAuthTokenExpired
		if at, ok := e.Field("expiredAt"); ok {
			public = public.With("expiry", at)
		}
	case "JsonWebTokenError":
		public.Name = wire.NameAuthTokenInvalid
	case "NotBeforeError":
		public.Name = wire.NameAuthTokenNotBefore
		bad = false
		if date, ok := e.Field("date"); ok {
			public = public.With("date", date)
		}
	}
	return public.With("isBadToken", bad)
}

// noToken is the error of verifying a missing token.
func (e *engine) noToken() error {
	_, err := e.jwt.Verify(context.Background(), "")
	return err
}

// withKey makes an engine for another key, and without a default expiry.
func withKey(text string) (*auth.JWT, error) {
	key, err := parseKey(text)
	if err != nil {
		return nil, err
	}
	return auth.NewJWT(auth.Options{SignatureKey: key, DefaultExpiry: -1, AllowWeakKey: true})
}

// signWith is server.auth.signToken of JavaScript: it takes the key from the
// caller and knows no default expiry.
func (e *engine) signWith(ctx context.Context, key string, claims, options json.RawMessage) (any, error) {
	jwt, err := withKey(key)
	if err != nil {
		return nil, err
	}
	opts, err := signOptions(options)
	if err != nil {
		return nil, err
	}
	token, err := jwt.Sign(ctx, claims, opts...)
	if err != nil {
		return nil, err
	}
	return token.Signed(), nil
}

// verifyWith is server.auth.verifyToken of JavaScript.
func (e *engine) verifyWith(ctx context.Context, key string, signed *string) (any, error) {
	jwt, err := withKey(key)
	if err != nil {
		return nil, err
	}
	var text string
	if signed != nil {
		text = *signed
	}
	token, err := jwt.Verify(ctx, text)
	if err != nil {
		return nil, err
	}
	return token.Payload(), nil
}
