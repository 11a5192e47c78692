package jwks

import (
	"context"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/internal/millis"
)

// The defaults of [Options]; the package documentation gives reasons.
const (
	defaultInterval    = 15 * time.Minute
	defaultMinInterval = 30 * time.Second
	defaultMaxAge      = 6 * time.Hour
	defaultTimeout     = 5 * time.Second
	defaultMaxBody     = 1 << 20
)

// Options configures a [Client]. Only URLs is needed.
type Options struct {
	// URLs are addresses of JWK Sets, of one issuer. For several issuers, make
	// one client each, and combine them by [auth.KeySources].
	URLs []string

	// All tokens under these keys must have this issuer and audience, see
	// [auth.RingKey]. If these fields are empty, tokens that the provider has
	// issued for other services are accepted too.
	Issuer   string
	Audience []string

	// Check is called for each token under these keys, see [auth.RingKey].
	Check func(*auth.Token) error

	Interval    time.Duration // between two fetches; 0 means 15 minutes
	MinInterval time.Duration // before a fetch for an unknown kid; 0 means 30 seconds
	MaxAge      time.Duration // of keys that cannot be fetched again; 0 means 6 hours, or two intervals
	Timeout     time.Duration // of a fetch; 0 means 5 seconds
	MaxBody     int64         // of a response, in bytes; 0 means 1 MiB

	// AllowInsecure allows http to any host. Whoever can change the traffic can
	// then issue tokens.
	AllowInsecure bool

	// Transport makes the requests. Default: http.DefaultTransport.
	Transport http.RoundTripper

	// Logger receives changes and failures. Default: slog.Default().
	Logger *slog.Logger
}

// A Client has the keys of one or more addresses. It is safe for concurrent
// use.
type Client struct {
	endpoints []*endpoint
	sources   auth.KeySources // the same
	cancel    context.CancelFunc
	running   sync.WaitGroup
}

var _ auth.KeySource = (*Client)(nil)

// New starts to fetch. It does not wait for the first response; to wait for it,
// call Refresh with an empty kid. The error is an [*auth.OptionError].
func New(o Options) (*Client, error) {
	if err := o.setDefaults(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	c := &Client{cancel: cancel}
	for _, address := range o.URLs {
		e, err := newEndpoint(ctx, address, &o)
		if err != nil {
			cancel()
			return nil, err
		}
		c.endpoints = append(c.endpoints, e)
		c.sources = append(c.sources, e)
	}
	for _, e := range c.endpoints {
		c.running.Go(e.run)
	}
	return c, nil
}

func (o *Options) setDefaults() error {
	if len(o.URLs) == 0 {
		return &auth.OptionError{Field: "URLs", Reason: "must not be empty"}
	}
	for _, d := range []struct {
		field    string
		value    *time.Duration
		fallback time.Duration
	}{
		{"Interval", &o.Interval, defaultInterval},
		{"MinInterval", &o.MinInterval, defaultMinInterval},
		{"MaxAge", &o.MaxAge, max(defaultMaxAge, 2*o.Interval)},
		{"Timeout", &o.Timeout, defaultTimeout},
	} {
		if *d.value < 0 {
			return &auth.OptionError{Field: d.field, Reason: "must not be negative"}
		}
		if *d.value == 0 {
			*d.value = d.fallback
		}
		if reason := millis.Reason(*d.value); reason != "" {
			return &auth.OptionError{Field: d.field, Reason: reason}
		}
	}
	if o.MaxAge-o.Interval < o.Timeout {
		return &auth.OptionError{Field: "MaxAge", Reason: "must not be less than Interval and Timeout together"}
	}
	if o.MaxBody < 0 {
		return &auth.OptionError{Field: "MaxBody", Reason: "must not be negative"}
	}
	if o.MaxBody == 0 {
		o.MaxBody = defaultMaxBody
	}
	if o.Transport == nil {
		o.Transport = http.DefaultTransport
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return nil
}

// Close stops all fetches and returns when they have ended. The keys stay in
// use until they reach [Options].MaxAge.
func (c *Client) Close() {
	c.cancel()
	c.running.Wait()
}

// Signing implements [auth.KeySource]: nothing signs.
func (c *Client) Signing() (auth.RingKey, bool) { return auth.RingKey{}, false }

// Verification implements [auth.KeySource]. The result does not contain keys
// whose private part any of the addresses has published.
func (c *Client) Verification(kid string) []auth.RingKey {
	keys := c.sources.Verification(kid)
	if !slices.ContainsFunc(keys, c.published) {
		return keys // which may be shared and must not be changed
	}
	return slices.DeleteFunc(slices.Clone(keys), c.published)
}

func (c *Client) published(k auth.RingKey) bool {
	for _, e := range c.endpoints {
		if s := e.set.Load(); s != nil && len(s.published) > 0 && s.published[k.Key.Thumbprint()] {
			return true
		}
	}
	return false
}

// Refresh implements [auth.KeySource]. With an empty kid it waits for the first
// response, if there has been none: from an address that has a key without a
// kid, or else from all addresses.
func (c *Client) Refresh(ctx context.Context, kid string) error { return c.sources.Refresh(ctx, kid) }
