package jwks

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/internal/safehttp"
)

const (
	firstRetry = time.Second
	lastRetry  = time.Minute
)

var (
	errRecent = errors.New("jwks: the keys were fetched a short time ago")
	errClosed = errors.New("jwks: the client is closed")
	errNoKeys = errors.New("the set has no usable key")
)

// endpoint is one address. One goroutine makes all its fetches.
type endpoint struct {
	ctx    context.Context // done by Close
	o      *Options
	url    string
	log    *slog.Logger
	client *http.Client
	set    atomic.Pointer[keySet] // nil until the first valid response

	mu     sync.Mutex
	wake   chan struct{} // has room for one
	flight *flight       // wanted or under way, nil when there is none
	ended  time.Time     // when the last one was over
	failed error         // why that one got no keys, nil if it did
}

// keySet is the set in a response of an address.
type keySet struct {
	ring    *auth.KeyRing
	size    int // how many keys it has
	sum     [sha256.Size]byte
	fetched time.Time // when the request was sent

	// published has the thumbprints of the keys whose private part was in a
	// response: in this one, or in a later one that was not a set.
	published map[string]bool
}

// flight is one fetch and those who wait for it.
type flight struct {
	done chan struct{}
	err  error // to be read when done is closed
}

func newEndpoint(ctx context.Context, address string, o *Options) (*endpoint, error) {
	u, err := url.Parse(address)
	if err != nil {
		// The error would repeat the address, which may contain a secret.
		return nil, &auth.OptionError{Field: "URLs", Reason: "contains an entry that is not a URL"}
	}
	name := nameOf(u)
	if reason := safehttp.CheckURL(u, o.AllowInsecure); reason != "" {
		return nil, &auth.OptionError{Field: "URLs", Reason: fmt.Sprintf("%q %s", name, reason)}
	}
	return &endpoint{
		ctx:    ctx,
		o:      o,
		url:    address,
		log:    o.Logger.With("address", name),
		client: &http.Client{Transport: safehttp.NewGuard(o.Transport, u), CheckRedirect: safehttp.CheckRedirect(o.AllowInsecure)},
		wake:   make(chan struct{}, 1),
		// The first fetch is wanted from the start, so that a token that
		// arrives before its end waits for it.
		flight: &flight{done: make(chan struct{})},
	}, nil
}

// run fetches until ctx is done.
func (e *endpoint) run() {
	failures := 0
	for {
		f := e.want()
		err := e.fetch()
		if e.ctx.Err() != nil {
			err = errClosed
		}
		e.finish(f, err)

		var pause time.Duration
		if err == nil {
			failures = 0
			pause = e.o.Interval - rand.N(e.o.Interval/5+1)
		} else {
			pause = min(retryPause(failures), e.o.Interval)
			failures++
		}
		timer := time.NewTimer(pause)
		select {
		case <-e.ctx.Done():
		case <-e.wake:
		case <-timer.C:
		}
		timer.Stop()
		if e.ctx.Err() != nil {
			// Those who have begun to wait meanwhile also watch ctx.
			return
		}
	}
}

// retryPause doubles from firstRetry to lastRetry, and subtracts a random part
// of up to a half.
func retryPause(failures int) time.Duration {
	pause := lastRetry
	if failures < 6 {
		pause = firstRetry << failures
	}
	return pause - rand.N(pause/2)
}

// want returns the flight that is under way, or starts one.
func (e *endpoint) want() *flight {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.flight == nil {
		e.flight = &flight{done: make(chan struct{})}
	}
	return e.flight
}

func (e *endpoint) finish(f *flight, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	f.err = err
	close(f.done)
	e.flight, e.ended, e.failed = nil, time.Now(), err
	select { // the fetch has been made
	case <-e.wake:
	default:
	}
}

// Refresh implements auth.KeySource.
func (e *endpoint) Refresh(ctx context.Context, kid string) error {
	// A key without kid has no name that could be new.
	if s := e.inForce(); kid == "" && s != nil && s.size > 0 {
		return nil
	}
	e.mu.Lock()
	f := e.flight
	if f == nil {
		if time.Since(e.ended) < e.o.MinInterval {
			err := e.failed
			if err == nil {
				err = errRecent
			}
			e.mu.Unlock()
			return err
		}
		f = &flight{done: make(chan struct{})}
		e.flight = f
		e.wake <- struct{}{} // there is room: it was empty while there was no flight
	}
	e.mu.Unlock()
	select {
	case <-f.done:
		return f.err
	case <-ctx.Done():
		return ctx.Err()
	case <-e.ctx.Done():
		return errClosed
	}
}

// Signing implements auth.KeySource.
func (e *endpoint) Signing() (auth.RingKey, bool) { return auth.RingKey{}, false }

// Verification implements auth.KeySource.
func (e *endpoint) Verification(kid string) []auth.RingKey {
	s := e.inForce()
	if s == nil {
		return nil
	}
	return s.ring.Verification(kid)
}

// inForce returns the set that is in use, or nil if there is none.
func (e *endpoint) inForce() *keySet {
	s := e.set.Load()
	if s == nil || time.Since(s.fetched) >= e.o.MaxAge {
		return nil
	}
	return s
}

// fetch gets the current keys, puts them to use, and logs changes.
func (e *endpoint) fetch() error {
	s := keySet{fetched: time.Now()}
	body, err := e.get()
	if err == nil {
		e.setPublished(&s, body)
		err = e.read(&s, body)
	}
	if err != nil {
		if len(s.published) > 0 {
			e.keepPublished(s.published)
		}
		if e.ctx.Err() == nil {
			e.logFailure(err)
		}
		return err
	}
	e.set.Store(&s)
	if s.size == 0 {
		e.log.Error("no key is in use", "error", errNoKeys)
		return errNoKeys
	}
	return nil
}

// setPublished records the private parts in a response, and logs new ones.
func (e *endpoint) setPublished(s *keySet, body []byte) {
	s.published = privateParts(body)
	old := e.set.Load()
	if len(s.published) > 0 && (old == nil || !maps.Equal(old.published, s.published)) {
		e.log.Error("the private parts of keys have been published, the keys are accepted from no address", "keys", len(s.published))
	}
}

// keepPublished ends keys of the previous set, because there is no new one.
func (e *endpoint) keepPublished(published map[string]bool) {
	var s keySet // never used, as it is too old
	if old := e.set.Load(); old != nil {
		s = *old
	}
	s.published = published
	e.set.Store(&s)
}

func (e *endpoint) logFailure(err error) {
	s := e.inForce()
	if s == nil {
		e.log.Error("keys could not be fetched, none are in use", "error", err)
		return
	}
	e.log.Warn("keys could not be fetched, the previous ones stay in use", "error", err, "until", s.fetched.Add(e.o.MaxAge))
}

func (e *endpoint) get() ([]byte, error) {
	ctx, cancel := context.WithTimeout(e.ctx, e.o.Timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, e.url, nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept", "application/jwk-set+json, application/json")
	request.Close = true // the next request will be much later
	response, err := e.client.Do(request)
	if err != nil {
		// A *url.Error repeats the whole address.
		if u, ok := errors.AsType[*url.Error](err); ok {
			err = u.Err
		}
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the response has status %d", response.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, e.o.MaxBody+1))
	if err == nil && int64(len(body)) > e.o.MaxBody {
		err = fmt.Errorf("the response has more than %d bytes", e.o.MaxBody)
	}
	return body, err
}

// read makes a set of a response.
func (e *endpoint) read(s *keySet, body []byte) error {
	s.sum = sha256.Sum256(body)
	if old := e.set.Load(); old != nil && old.sum == s.sum {
		s.ring, s.size = old.ring, old.size
		return nil
	}
	keys, skipped, err := auth.ParseJWKS(body)
	if err != nil {
		return err
	}
	var public []auth.RingKey
	for _, k := range keys {
		if k.Key.CanSign() || s.published[k.Key.Thumbprint()] {
			skipped = append(skipped, &auth.OptionError{Field: fmt.Sprintf("key %.64q", k.ID), Reason: "is not public, and has been published"})
			continue
		}
		k.Issuer, k.Audience, k.Check = e.o.Issuer, e.o.Audience, e.o.Check
		public = append(public, k)
	}
	if len(skipped) > 0 {
		e.log.Warn("keys are not used", "error", errors.Join(skipped...))
	}
	if s.ring, err = auth.NewKeyRing(public...); err != nil {
		return err
	}
	if s.size = len(public); s.size > 0 {
		e.log.Info("keys loaded", "keys", s.size)
	}
	return nil
}
