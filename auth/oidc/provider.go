package oidc

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"

	"golang.org/x/oauth2"

	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/auth/jwks"
	"github.com/socketcluster-go/socketcluster/internal/safehttp"
	"github.com/socketcluster-go/socketcluster/wire"
)

// A Provider verifies the ID tokens of an OpenID Connect provider. It is safe for
// concurrent use.
type Provider struct {
	guard      *safehttp.Guard
	client     *http.Client
	clientIDs  []string
	algorithms []string
	endpoint   oauth2.Endpoint
	keys       *jwks.Client
	engine     *auth.JWT // only the provider's keys
}

var _ auth.KeySource = (*Provider)(nil)

// Close stops fetching keys and returns when the fetches have ended. The keys
// stay in use for Options.MaxKeyAge.
func (p *Provider) Close() {
	p.keys.Close()
	p.guard.CloseIdleConnections()
}

// Signing implements [auth.KeySource]: nothing signs.
func (p *Provider) Signing() (auth.RingKey, bool) { return p.keys.Signing() }

// Verification implements [auth.KeySource].
func (p *Provider) Verification(kid string) []auth.RingKey { return p.keys.Verification(kid) }

// Refresh implements [auth.KeySource].
func (p *Provider) Refresh(ctx context.Context, kid string) error { return p.keys.Refresh(ctx, kid) }

// Verify checks an ID token that the provider has returned for an authorization
// code. It also checks that the token has the nonce of the request, which binds
// it to the browser in which the login began. A clock that is behind the
// provider's may need an [auth.ClockTolerance].
//
// The errors are those of [auth.JWT.Verify].
func (p *Provider) Verify(ctx context.Context, idToken, nonce string, opts ...auth.VerifyOption) (*auth.Token, error) {
	if nonce == "" {
		return nil, errors.New("oidc: Verify needs the nonce of the authorization request")
	}
	token, err := p.engine.Verify(ctx, idToken, opts...)
	if err != nil {
		return nil, err
	}
	if got, _ := token.Claim("nonce"); got != nonce {
		return nil, invalid("jwt nonce invalid")
	}
	return token, nil
}

// check reports why a token whose signature, dates, issuer and audience are
// valid is not an ID token.
func (p *Provider) check(token *auth.Token) error {
	if !slices.Contains(p.algorithms, token.Algorithm()) {
		return invalid("invalid algorithm")
	}
	if !plainType(token.Signed()) {
		return invalid("jwt typ invalid. expected: JWT")
	}
	if _, present := token.Claim("events"); present {
		return invalid("jwt events unexpected")
	}
	if _, ok := token.ExpiresAt(); !ok {
		return invalid("jwt exp required")
	}
	if _, ok := token.IssuedAt(); !ok {
		return invalid("jwt iat required")
	}
	sub, _ := token.Claim("sub")
	if text, _ := sub.(string); text == "" {
		return invalid("jwt sub required")
	}
	return p.checkAudience(token)
}

// checkAudience applies rules 3 to 5 of OpenID Connect Core 1.0 section
// 3.1.3.7. The audience is already known to include a client.
func (p *Provider) checkAudience(token *auth.Token) error {
	aud, _ := token.Claim("aud")
	list, several := aud.([]any)
	for _, name := range list {
		if text, ok := name.(string); !ok || !slices.Contains(p.clientIDs, text) {
			return invalid("jwt audience invalid. expected only: " + strings.Join(p.clientIDs, " or "))
		}
	}
	azp, present := token.Claim("azp")
	if !present && (!several || len(list) == 1) {
		return nil
	}
	if text, ok := azp.(string); !ok || !slices.Contains(p.clientIDs, text) {
		return invalid("jwt azp invalid. expected: " + strings.Join(p.clientIDs, " or "))
	}
	return nil
}

// plainType reports whether a header, which is known to be well formed, has no
// typ of another kind of token (RFC 8725 section 3.11), such as at+jwt or
// logout+jwt.
func plainType(signed string) bool {
	head, _, _ := strings.Cut(signed, ".")
	text, err := base64.RawURLEncoding.DecodeString(head)
	if err != nil {
		return false
	}
	var header map[string]any
	if json.Unmarshal(text, &header) != nil {
		return false
	}
	typ, present := header["typ"]
	name, ok := typ.(string)
	return !present || ok && strings.EqualFold(name, "JWT")
}

// invalid is an error after which clients forget the token.
func invalid(message string) error {
	return &wire.Error{
		Name:    wire.NameAuthTokenInvalid,
		Message: message,
		Fields:  []wire.Field{{Key: "isBadToken", Value: true}},
	}
}
