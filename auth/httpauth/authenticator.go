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

// An Authenticator is middleware for ordinary routes. It authenticates their
// requests in the way in which a socket server authenticates handshakes.
//
// It uses the principal that the request already has, or else the token of the
// first source that has one. If the principal or token is ambient and the
// request comes from a page that Origins does not trust, the response is 403,
// from Optional too. Its error responses are JSON:
// {"error":{"name":…,"message":…}}.
//
// GET, HEAD and OPTIONS may come from any page, because the page cannot read
// the response. Routes for these methods must change nothing.
type Authenticator struct {
	Engine auth.Engine // must be set

	// Sources are tried in order. The first one that has a token, or an error,
	// decides. Default: Bearer alone.
	Sources []Source

	// Revocations is the store of revoked tokens. Default: none.
	Revocations revoke.Store

	// Origins lists the pages that may use ambient tokens, see [Origins.Trust].
	// Default: only those of the server's own origin.
	Origins *Origins

	// Refused is called for each request whose token or origin was not
	// accepted, before the response. token is set if it was revoked, or if it
	// was a principal that had expired.
	Refused func(r *http.Request, token *auth.Token, err error)

	// Logger receives the errors that are not sent to clients. Default:
	// slog.Default().
	Logger *slog.Logger
}

// Optional adds the principal to requests with a valid token. All others pass
// without one, whatever the reason. It panics as Require does.
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

// Require lets only requests with a valid token pass, and adds their principal.
// The response to others is 401 with a WWW-Authenticate header (RFC 6750), or
// 503 if the keys of the token are not available at the moment.
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

// Protect responds with 403 to requests from pages that Origins does not trust,
// whether they have a token or not. GET, HEAD and OPTIONS pass. It is for
// routes such as a login, to which a stranger's page must not send a visitor's
// browser.
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

// mustWork panics if no request could succeed. It is called when a route is
// made, so that the stack shows where the mistake is.
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

// authenticate returns the principal of a request. It has no token if there is
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

// identify is authenticate, but with an error it may also return the token that
// caused it.
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
		err = revoke.Refusal(a.Revocations, p.token)
	}
	return p, err
}

// checkOrigin reports why a request may not use what the browser added to it.
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

// find returns the result of the first source that has a token or an error.
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

// logInternal logs errors that are not meant for clients. It is not a failure
// that a client has gone away.
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

// refuse writes an error response.
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
	// A client that has gone away does not need the response.
	_, _ = w.Write(append(body, '\n'))
}

// maxDescription is the maximum length of an error's text in a header.
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
