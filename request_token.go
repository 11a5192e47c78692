package socketcluster

import (
	"context"
	"net/http"
	"slices"

	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/auth/httpauth"
	"github.com/socketcluster-go/socketcluster/internal/guard"
)

// requestToken is the identity in an upgrade request. It is found before the
// upgrade, when a request of a foreign page is refused, and verified in the
// handshake, if that has no token.
type requestToken struct {
	principal *auth.Token // the application vouches for it
	signed    string      // otherwise
	err       error       // why there is neither
	ambience  httpauth.Ambience
}

type requestTokenKey struct{}

// withToken returns the request with its token in its context. It stays there
// until the request is released after the handshake.
func (srv *Server) withToken(r *http.Request) (*http.Request, requestToken) {
	t := srv.findToken(r)
	if t == (requestToken{}) {
		return r, t
	}
	kept := t // behind a pointer, so that a context does not show it when it is printed
	return r.WithContext(context.WithValue(r.Context(), requestTokenKey{}, &kept)), t
}

func (srv *Server) findToken(r *http.Request) (t requestToken) {
	if p := httpauth.FromContext(r.Context()); p != nil {
		return requestToken{principal: p, ambience: httpauth.AmbienceOf(r.Context())}
	}
	for _, source := range srv.cfg.TokenSources {
		t.signed, t.err = srv.askSource(source, r)
		if t.signed != "" || t.err != nil {
			t.ambience = source.Ambience()
			return t
		}
	}
	return requestToken{}
}

// askSource calls one source. A panic in it becomes an error.
func (srv *Server) askSource(source httpauth.Source, r *http.Request) (signed string, err error) {
	err = guard.Call(srv.log, "an entry of Config.TokenSources", func() error {
		signed, err = source.Token(r)
		return err
	})
	return signed, err
}

// ownsSubprotocol reports whether a subprotocol contains a token.
func (srv *Server) ownsSubprotocol(name string) bool {
	return slices.ContainsFunc(srv.cfg.TokenSources, func(s httpauth.Source) bool { return s.Owns(name) })
}

// Authenticator returns middleware that authenticates ordinary HTTP requests in
// the same way as this server authenticates upgrade requests: with the same
// engine, Config.TokenSources (a bearer token if there are none),
// Config.Revocations and Config.Origins.
func (srv *Server) Authenticator() *httpauth.Authenticator {
	return &httpauth.Authenticator{
		Engine:      srv.engine,
		Sources:     slices.Clone(srv.cfg.TokenSources),
		Revocations: srv.cfg.Revocations,
		Origins:     srv.origins,
		Refused:     srv.auditRefused,
		Logger:      srv.log,
	}
}
