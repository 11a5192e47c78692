package httpauth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"

	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/auth/revoke"
	checks "github.com/socketcluster-go/socketcluster/internal/principal"
	"github.com/socketcluster-go/socketcluster/wire"
)

// An Authenticator is middleware for ordinary routes that authenticates their
// requests as a socket server does its handshakes.
//
// It takes the principal that the request has already, else the token of the
// first source that has one. A request with an ambient one from a page that
// Origins does not trust is answered with 403, by Optional too. Its answers are
// JSON, {"error":{"name":…,"message":…}}.
//
// GET, HEAD and OPTIONS may come from any page, as it cannot read the answer:
// routes for these must change nothing.
type Authenticator struct {
	Engine auth.Engine // must be set

	// Sources are asked in order. The first one that has a token, or an error,
	// decides. Default: Bearer alone.
	Sources []Source

	// Revocations says which tokens are no longer good. Default: none.
	Revocations revoke.Store

	// Origins says which pages may use ambient tokens, see [Origins.Trust].
	// Default: those of the server's own origin alone.
	Origins *Origins

	// Refused is told of each request whose token, or whose origin, was not
	// accepted, with the token if that was revoked or had expired as a
	// principal. It is called before the answer. Default: nobody is told.
	Refused func(r *http.Request, token *auth.Token, err error)

	// Logger gets the errors that clients do not. Default: slog.Default().
	Logger *slog.Logger
}

// Optional gives requests with a good token their principal and lets all others
// pass without one, whatever the reason.
// It panics as Require does.
func (a *Authenticator) Optional(next http.Handler) http.Handler {
	a.mustWork(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, err := a.authenticate(r)
		if isCrossOrigin(err) {
			refuse(w, err)
			return
		}
		if err != nil {
			a.logInternal(r, err)
			p = principal{}
		}
		next.ServeHTTP(w, r.WithContext(withPrincipal(r.Context(), p)))
	})
}

// Require lets requests with a good token pass, with their principal. Others
// are answered with 401 and a WWW-Authenticate header (RFC 6750), or with 503
// if the keys of the token are not to be had at the moment.
//
// It panics if next or Engine is nil, or one of Sources cannot be used.
func (a *Authenticator) Require(next http.Handler) http.Handler {
	a.mustWork(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, err := a.authenticate(r)
		if err == nil && p.token == nil {
			err = errNoToken
		}
		if err != nil {
			a.logInternal(r, err)
			refuse(w, err)
			return
		}
		next.ServeHTTP(w, r.WithContext(withPrincipal(r.Context(), p)))
	})
}

// Protect answers requests of pages that Origins does not trust with 403, whether
// they have a token or not. GET, HEAD and OPTIONS pass. It is for routes such as a
// login, which a stranger's page must not send a visitor's browser to.
func (a *Authenticator) Protect(next http.Handler) http.Handler {
	if next == nil {
		panic("httpauth: the handler of an Authenticator is nil")
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !isSafe(r) {
			if err := a.Origins.checkPage(r, "The request"); err != nil {
				refuse(w, err)
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

// mustWork panics for what no request could get an answer from. It is called
// when a route is made, which shows where the mistake is.
func (a *Authenticator) mustWork(next http.Handler) {
	if next == nil {
		panic("httpauth: the handler of an Authenticator is nil")
	}
	if a.Engine == nil {
		panic("httpauth: Authenticator.Engine is not set")
	}
	for i, s := range a.Sources {
		if err := s.Err(); err != nil {
			panic(fmt.Sprintf("httpauth: Authenticator.Sources[%d] cannot be used: %v", i, err))
		}
	}
}

var errNoToken = &wire.Error{Name: wire.NameAuth, Message: "The request has no token"}

// authenticate answers the principal of a request, without a token if there is
// none.
func (a *Authenticator) authenticate(r *http.Request) (principal, error) {
	p, err := a.identify(r)
	if err == nil {
		return p, nil
	}
	if a.Refused != nil {
		a.Refused(r, p.token, err)
	}
	return principal{}, err
}

// identify is authenticate that with an error may answer the token that the
// error is about.
func (a *Authenticator) identify(r *http.Request) (principal, error) {
	p, _ := r.Context().Value(principalKey{}).(principal)
	signed, err := "", error(nil)
	if p.token == nil {
		signed, p.ambience, err = a.find(r)
		if signed == "" && err == nil {
			return principal{}, nil
		}
	}
	if err := a.checkOrigin(r, p.ambience); err != nil {
		return principal{}, err
	}
	if err != nil {
		return principal{}, err
	}
	if p.token == nil {
		p.token, err = a.verify(r.Context(), signed)
	} else {
		err = checks.Expiry(p.token)
	}
	if err == nil && a.Revocations != nil {
		if revocation, revoked := a.Revocations.Check(p.token); revoked {
			err = revocation.Err()
		}
	}
	return p, err
}

// checkOrigin reports why a request may not use what the browser has added to it.
func (a *Authenticator) checkOrigin(r *http.Request, ambience Ambience) error {
	if isSafe(r) {
		return a.Origins.checkHost(r, ambience)
	}
	return a.Origins.Trust(r, ambience)
}

// isSafe reports whether a request may change nothing (RFC 9110, section 9.2.1).
func isSafe(r *http.Request) bool {
	return r.Method == http.MethodGet || r.Method == http.MethodHead || r.Method == http.MethodOptions
}

// isCrossOrigin reports whether an error is one of checkOrigin.
func isCrossOrigin(err error) bool {
	public, ok := errors.AsType[*wire.Error](err)
	return ok && public.Name == nameCrossOrigin
}

// find answers what the first source says that has something to say.
func (a *Authenticator) find(r *http.Request) (signed string, ambience Ambience, err error) {
	sources := a.Sources
	if len(sources) == 0 {
		sources = []Source{Bearer()}
	}
	for _, s := range sources {
		if signed, err = s.Token(r); signed != "" || err != nil {
			return signed, s.Ambience(), err
		}
	}
	return "", NotAmbient, nil
}

func (a *Authenticator) verify(ctx context.Context, signed string) (*auth.Token, error) {
	token, err := a.Engine.Verify(ctx, signed)
	if err == nil && token == nil {
		err = errors.New("httpauth: the engine gave neither a token nor an error")
	}
	return token, err
}

// logInternal logs what is not meant for clients. A client that has gone away
// is no failure.
func (a *Authenticator) logInternal(r *http.Request, err error) {
	if errors.As(err, new(*wire.Error)) || r.Context().Err() != nil {
		return
	}
	log := a.Logger
	if log == nil {
		log = slog.Default()
	}
	log.Error("a request could not be authenticated", slog.Any("error", err))
}

// refuse answers with an error.
func refuse(w http.ResponseWriter, err error) {
	status := http.StatusUnauthorized
	var public *wire.Error
	switch {
	case !errors.As(err, &public):
		status, public = http.StatusInternalServerError, wire.InternalError()
	case isCrossOrigin(err):
		status = http.StatusForbidden
	case errors.Is(err, auth.ErrKeysUnavailable):
		status = http.StatusServiceUnavailable
	case errors.Is(err, errNoToken):
		w.Header().Set("WWW-Authenticate", "Bearer")
	default:
		w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token", error_description="`+description(public.Message)+`"`)
	}
	body, _ := json.Marshal(map[string]*wire.Error{"error": public}) // a *wire.Error leaves out what cannot be encoded
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	// A client that has gone away misses its answer.
	_, _ = w.Write(append(body, '\n'))
}

// maxDescription is the most of an error's text that goes into a header.
const maxDescription = 256

// description makes text fit for error_description (RFC 6750, section 3).
func description(text string) string {
	text = strings.Map(func(c rune) rune {
		if c < ' ' || c > '~' || c == '"' || c == '\\' {
			return ' '
		}
		return c
	}, text)
	return text[:min(len(text), maxDescription)]
}
