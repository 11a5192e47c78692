package oidc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"time"

	oidc "github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/auth/jwks"
	"github.com/socketcluster-go/socketcluster/internal/safehttp"
)

// These are the defaults of package auth/jwks. Documents in use have a few KiB.
const (
	timeout = 5 * time.Second
	maxBody = 1 << 20
)

// Options configures [Discover]. Issuer and ClientIDs are needed.
type Options struct {
	// Issuer is the address of the provider, spelled as in its iss: a slash at
	// the end makes a difference.
	Issuer string

	// ClientIDs are the names under which the provider knows this application,
	// usually one. The audience of a token must be one of them, and nobody
	// else.
	ClientIDs []string

	// AllowInsecure allows http to any host. Whoever can change the traffic can
	// then issue tokens.
	AllowInsecure bool

	// MaxKeyAge is the time for which keys stay in use while they cannot be
	// fetched again; see MaxAge of [jwks.Options]. 0 means 6 hours.
	MaxKeyAge time.Duration

	// Transport makes the requests. Default: http.DefaultTransport.
	Transport http.RoundTripper

	// Logger receives changes of keys and failures to fetch them. Default:
	// slog.Default().
	Logger *slog.Logger
}

func (o *Options) setDefaults() error {
	if o.Issuer == "" {
		return &auth.OptionError{Field: "Issuer", Reason: "must not be empty"}
	}
	u, err := url.Parse(o.Issuer)
	if err != nil {
		return &auth.OptionError{Field: "Issuer", Reason: "is not a URL"}
	}
	if reason := safehttp.CheckURL(u, o.AllowInsecure); reason != "" {
		return &auth.OptionError{Field: "Issuer", Reason: reason}
	}
	if u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
		return &auth.OptionError{Field: "Issuer", Reason: "has a query or a fragment, which no issuer has"}
	}
	if len(o.ClientIDs) == 0 || slices.Contains(o.ClientIDs, "") {
		return &auth.OptionError{Field: "ClientIDs", Reason: "must hold a name, and none that is empty"}
	}
	if o.Transport == nil {
		o.Transport = http.DefaultTransport
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return nil
}

// Discover reads the document of a provider and its keys, and keeps the keys up
// to date until [Provider.Close]. It fails if it cannot get either of them. An
// error about the options is an [*auth.OptionError].
func Discover(ctx context.Context, o Options) (*Provider, error) {
	if err := o.setDefaults(); err != nil {
		return nil, err
	}
	issuer, err := url.Parse(o.Issuer)
	if err != nil {
		return nil, err
	}
	guard := safehttp.NewGuard(o.Transport, issuer)
	defer guard.CloseIdleConnections()
	o.Transport = guard
	found, err := o.document(ctx)
	if err != nil {
		return nil, fmt.Errorf("oidc: discovery at %s: %w", o.Issuer, err)
	}
	p := &Provider{
		guard:     guard,
		client:    &http.Client{Transport: guard, CheckRedirect: safehttp.CheckRedirect(o.AllowInsecure)},
		clientIDs: slices.Clone(o.ClientIDs),
		endpoint:  found.Endpoint(),
	}
	if err := p.open(ctx, &o, found); err != nil {
		return nil, fmt.Errorf("oidc: the document of %s: %w", o.Issuer, err)
	}
	return p, nil
}

// document fetches the discovery document.
func (o *Options) document(ctx context.Context) (*oidc.Provider, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	client := &http.Client{Transport: bounded{o.Transport}, CheckRedirect: safehttp.CheckRedirect(o.AllowInsecure)}
	found, err := oidc.NewProvider(oidc.ClientContext(ctx, client), o.Issuer)
	if u, ok := errors.AsType[*url.Error](err); ok {
		return nil, u.Err // without an address that somebody else chose
	}
	if m, ok := errors.AsType[*oidc.IssuerMismatchError](err); ok {
		return nil, fmt.Errorf("its issuer is %.256q; Options.Issuer must be exactly that", m.Discovered)
	}
	return found, err
}

// open sets up the provider as the document describes it.
func (p *Provider) open(ctx context.Context, o *Options, found *oidc.Provider) error {
	var doc struct {
		Keys       string   `json:"jwks_uri"`
		Algorithms []string `json:"id_token_signing_alg_values_supported"`
	}
	if err := found.Claims(&doc); err != nil {
		return err
	}
	for _, a := range []struct{ name, address string }{
		{"jwks_uri", doc.Keys},
		{"authorization_endpoint", p.endpoint.AuthURL},
		{"token_endpoint", p.endpoint.TokenURL},
	} {
		if err := p.checkAddress(o, a.name, a.address); err != nil {
			return err
		}
	}
	var err error
	if p.algorithms, err = usable(doc.Algorithms); err != nil {
		return err
	}
	p.keys, err = jwks.New(jwks.Options{
		URLs:          []string{doc.Keys},
		Issuer:        o.Issuer,
		Audience:      p.clientIDs,
		Check:         p.check,
		AllowInsecure: o.AllowInsecure,
		MaxAge:        o.MaxKeyAge,
		Transport:     o.Transport,
		Logger:        o.Logger,
	})
	if err != nil {
		return err
	}
	if err := p.keys.Refresh(ctx, ""); err != nil {
		p.keys.Close()
		return fmt.Errorf("the keys at its jwks_uri cannot be fetched: %w", err)
	}
	p.engine, err = auth.NewJWT(auth.Options{Keys: p.keys})
	if err != nil {
		p.keys.Close()
	}
	return err
}

// checkAddress keeps a document from redirecting requests to this machine or
// its network, which are no part of a provider elsewhere. Providers without the
// code flow leave out its two addresses.
func (p *Provider) checkAddress(o *Options, name, address string) error {
	if address == "" && name != "jwks_uri" {
		return nil
	}
	u, err := url.Parse(address)
	if err != nil {
		return fmt.Errorf("its %s is not a URL", name)
	}
	if reason := safehttp.CheckURL(u, o.AllowInsecure); reason != "" {
		return fmt.Errorf("its %s %s", name, reason)
	}
	issuer, err := url.Parse(o.Issuer)
	if err != nil {
		return err
	}
	if u.Scheme != "https" && issuer.Scheme == "https" && !o.AllowInsecure {
		return fmt.Errorf("its %s is not https, but the issuer is", name)
	}
	if err := p.guard.CheckHost(u); err != nil {
		return fmt.Errorf("its %s cannot be used: %w", name, err)
	}
	return nil
}

// usable returns the algorithms that are accepted for ID tokens.
func usable(announced []string) ([]string, error) {
	if len(announced) == 0 {
		return []string{"RS256"}, nil // every provider has this one (Discovery 1.0 section 3)
	}
	known := []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
	known = slices.DeleteFunc(known, func(name string) bool { return !slices.Contains(announced, name) })
	if len(known) == 0 {
		return nil, errors.New("none of its id_token_signing_alg_values_supported can be used")
	}
	return known, nil
}

// bounded is a transport for documents. Their reader would read without a
// limit, and would repeat in its error a body that is not a document.
type bounded struct{ http.RoundTripper }

func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := b.RoundTripper.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	switch {
	case response.StatusCode == http.StatusOK:
		response.Body = &boundedBody{response.Body, maxBody}
		return response, nil
	case response.StatusCode/100 == 3 && response.Header.Get("Location") != "":
		return response, nil // followed by the client
	}
	response.Body.Close()
	return nil, fmt.Errorf("the response has status %d", response.StatusCode)
}

type boundedBody struct {
	io.ReadCloser
	left int
}

func (b *boundedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p[:min(len(p), b.left+1)])
	if b.left -= n; b.left < 0 {
		return 0, fmt.Errorf("the response has more than %d bytes", maxBody)
	}
	return n, err
}

// Client returns a client for requests to the addresses of [Provider.Endpoint],
// with which golang.org/x/oauth2 exchanges a code. It follows the rules for
// addresses in the package comment. Put it into the context of Exchange as
// [oauth2.HTTPClient].
func (p *Provider) Client() *http.Client { return p.client }

// Endpoint returns the addresses of the code flow, for an [oauth2.Config].
func (p *Provider) Endpoint() oauth2.Endpoint { return p.endpoint }
