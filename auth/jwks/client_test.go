package jwks_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/auth/jwks"
	"github.com/socketcluster-go/socketcluster/internal/logtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A provider publishes a second key, signs with it, and withdraws the first.
func TestRotation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, second := newIssuer(t, "1"), newIssuer(t, "2")
		w := &web{body: set(first), delay: time.Second}
		_, j := start(t, jwks.Options{Transport: w})

		began := time.Now()
		want(t, verify(t, j, first.token(t)), "") // waits for the first answer
		if d := time.Since(began); d != time.Second || w.count() != 1 {
			t.Errorf("%d requests in %v", w.count(), d)
		}
		w.set(func(w *web) { w.body = set(second, first) })
		time.Sleep(30 * time.Second)
		want(t, verify(t, j, second.token(t)), "") // fetches
		want(t, verify(t, j, first.token(t)), "")
		if w.count() != 2 {
			t.Errorf("%d requests", w.count())
		}
		w.set(func(w *web) { w.body = set(second) })
		// An interval, and then the time in which no fetch for an unknown kid
		// follows another one.
		time.Sleep(15*time.Minute + 2*time.Second + 30*time.Second)
		want(t, verify(t, j, second.token(t)), "")
		want(t, verify(t, j, first.token(t)), unknown)
	})
}

// Fetches in the background come after an interval, or up to a fifth earlier, and a
// token that is known waits for none.
func TestInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := newIssuer(t, "1")
		w := &web{body: set(i), delay: time.Second}
		_, j := start(t, jwks.Options{Transport: w, Interval: time.Hour})
		time.Sleep(100 * time.Hour)
		times, distinct := w.requests(), map[time.Duration]bool{}
		for n := 1; n < len(times); n++ {
			pause := times[n].Sub(times[n-1]) - time.Second
			distinct[pause] = true
			if pause < 48*time.Minute || pause > 60*time.Minute {
				t.Errorf("pause %d is %v", n, pause)
			}
		}
		if n := len(times); n < 100 || n > 124 || len(distinct) < 10 {
			t.Errorf("%d requests with %d distinct pauses", n, len(distinct))
		}
		began := time.Now()
		want(t, verify(t, j, i.token(t)), "")
		if time.Since(began) != 0 {
			t.Error("a token with a known kid has waited")
		}
	})
}

// The last good set outlives every kind of failure, up to its greatest age, and the
// address is not hammered.
func TestLastGoodSet(t *testing.T) {
	for name, c := range map[string]struct {
		fail func(*web)
		log  string
	}{
		"down":            {func(w *web) { w.err = errors.New("connection refused") }, "connection refused"},
		"hangs":           {func(w *web) { w.delay = time.Hour }, "deadline exceeded"},
		"status 500":      {func(w *web) { w.status = 500 }, "status 500"},
		"status 404":      {func(w *web) { w.status = 404 }, "status 404"},
		"status 304":      {func(w *web) { w.status = 304 }, "status 304"},
		"no JSON":         {func(w *web) { w.body = "<html>" }, "one JSON object"},
		"no set":          {func(w *web) { w.body = `{}` }, "array of keys"},
		"null":            {func(w *web) { w.body = `{"keys":null}` }, "array of keys"},
		"too many keys":   {func(w *web) { w.body = `{"keys":[` + strings.Repeat("{},", 256) + `{}]}` }, "may have at most 256 keys"},
		"too large":       {func(w *web) { w.body += strings.Repeat(" ", 1<<20) }, "more than 1048576 bytes"},
		"a repeated name": {func(w *web) { w.body = `{"keys":[],"keys":[]}` }, "repeated names"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log logtest.Buffer
				i, other := newIssuer(t, "1"), newIssuer(t, "2")
				w := &web{body: set(i)}
				_, j := start(t, jwks.Options{Transport: w, MaxAge: 2 * time.Hour, Logger: log.Logger(), URLs: []string{"https://example.com/jwks?token=secret#frag"}})
				want(t, verify(t, j, i.token(t)), "")
				synctest.Wait() // keys are in use before they are logged
				if text := log.Take(); !strings.Contains(text, "keys loaded") {
					t.Errorf("logged %s", text)
				}
				w.set(c.fail)
				time.Sleep(time.Hour)
				want(t, verify(t, j, i.token(t)), "")
				n := w.count()
				if n < 40 || n > 130 { // from half a minute to a minute apart, after the first tries
					t.Errorf("%d requests in an hour", n)
				}
				text := log.Take()
				if !strings.Contains(text, c.log) || !strings.Contains(text, "stay in use") || !strings.Contains(text, "until=2000-01-01T02:") {
					t.Errorf("logged %.500s", text)
				}
				for _, secret := range []string{"secret", "AAAAAAAA", "nWGxne", "frag"} {
					if strings.Contains(text, secret) {
						t.Errorf("%s is in the log: %.500s", secret, text)
					}
				}
				// The key of a token that is unknown may exist.
				want(t, verify(t, j, other.token(t)), unavailable)
				time.Sleep(time.Hour + 2*time.Minute)
				want(t, verify(t, j, i.token(t)), unavailable)
				if text := log.Take(); !strings.Contains(text, "none are in use") {
					t.Errorf("logged %.500s", text)
				}

				w.set(func(w *web) { w.status, w.body, w.delay, w.err = 0, set(other), 0, nil })
				time.Sleep(61 * time.Second)
				want(t, verify(t, j, other.token(t)), "")
				time.Sleep(30 * time.Second)
				want(t, verify(t, j, i.token(t)), unknown)
			})
		})
	}
}

// A set that has no key any more, or none that can be used, ends those of before
// within the interval; so does the private part of a key in the set, whatever it is
// called there. Clients keep their tokens, and come back when the set does.
func TestSetEndsKeys(t *testing.T) {
	private := `{"kty":"OKP","crv":"Ed25519","kid":"private","d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`
	leaked := func(i issuer, more string) string { return strings.TrimSuffix(i.jwk, "}") + more + "}" }
	i, other := newIssuer(t, "1"), newIssuer(t, "2")
	for name, c := range map[string]struct{ body, log string }{
		"an empty set":                     {`{"keys":[]}`, "no usable key"},
		"unknown kinds":                    {`{"keys":[{"kty":"AKP"},5,{"kty":"EC","crv":"secp256k1"}]}`, "no usable key"},
		"for encryption":                   {`{"keys":[` + leaked(i, `,"use":"enc"`) + `]}`, "no usable key"},
		"a secret":                         {`{"keys":[{"kty":"oct","kid":"s","k":"` + strings.Repeat("A", 43) + `"}]}`, "has been published"},
		"a private key":                    {`{"keys":[` + private + `]}`, "has been published"},
		"private part":                     {`{"keys":[` + i.private + `]}`, "has been published"},
		"private part beside it":           {`{"keys":[` + i.jwk + `,` + i.private + `]}`, "has been published"},
		"private part in front":            {`{"keys":[` + i.private + `,` + i.jwk + `]}`, "has been published"},
		"private part, another kid":        {`{"keys":[` + strings.Replace(i.private, `"1"`, `"x"`, 1) + `,` + i.jwk + `]}`, "has been published"},
		"private part, other use":          {`{"keys":[` + i.jwk + `,` + strings.Replace(i.private, `"kid":"1"`, `"use":"enc","alg":"ECDH-ES"`, 1) + `]}`, "has been published"},
		"private part, broken":             {`{"keys":[` + leaked(i, `,"d":5`) + `]}`, "no member d"},
		"private part, beside another key": {`{"keys":[` + other.jwk + `,` + i.private + `]}`, "has been published"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log logtest.Buffer
				w := &web{body: set(i), delay: time.Second}
				_, j := start(t, jwks.Options{Transport: w, Logger: log.Logger()})
				want(t, verify(t, j, i.token(t)), "")
				w.set(func(w *web) { w.body = c.body })
				time.Sleep(15*time.Minute + time.Second) // the interval, and the time of the fetch
				synctest.Wait()
				if err := verify(t, j, i.token(t)); err == nil || err.Error() != unavailable && !strings.Contains(c.body, other.jwk) {
					t.Errorf("an interval later: %v", err)
				}
				text := log.Take()
				if !strings.Contains(text, c.log) {
					t.Errorf("logged %.500s", text)
				}
				for _, secret := range []string{"AAAAAAAA", "nWGxne", i.d} {
					if strings.Contains(text, secret) {
						t.Errorf("%s is in the log: %.500s", secret, text)
					}
				}
				time.Sleep(2 * time.Minute) // nothing turns up by itself
				if verify(t, j, i.token(t)) == nil {
					t.Error("the key came back")
				}
				w.set(func(w *web) { w.body = set(i) })
				time.Sleep(16 * time.Minute)
				want(t, verify(t, j, i.token(t)), "")
			})
		})
	}
}

// A set that is empty from the start is reported to those who wait for keys. It
// is no reason to drop a token, not even one without a kid.
func TestEmptySet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &web{body: `{"keys":[]}`}
		c, j := start(t, jwks.Options{Transport: w})
		synctest.Wait()
		want(t, c.Refresh(t.Context(), ""), "the set has no usable key")
		for _, kid := range []string{"1", ""} {
			want(t, verify(t, j, newIssuer(t, kid).token(t)), unavailable)
		}
	})
}

// Primes are as good as a private exponent.
func TestPublishedPrimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := newIssuer(t, "1")
		w := &web{body: strings.Replace(set(i), `"kty"`, `"q":"AQAB","kty"`, 1)}
		_, j := start(t, jwks.Options{Transport: w})
		want(t, verify(t, j, i.token(t)), unavailable)
	})
}

// A set without a kid does not stay in force beyond its greatest age either, and
// what cannot be had then is not called bad.
func TestGreatestAge(t *testing.T) {
	for _, kid := range []string{"1", ""} {
		synctest.Test(t, func(t *testing.T) {
			i := newIssuer(t, kid)
			w := &web{body: set(i), delay: time.Second}
			c, j := start(t, jwks.Options{Transport: w, Interval: time.Minute, MaxAge: time.Hour})
			want(t, verify(t, j, i.token(t)), "")
			time.Sleep(3 * time.Hour) // answers that are the same count
			want(t, verify(t, j, i.token(t)), "")
			times := w.requests()
			w.set(func(w *web) { w.status = 503 })
			last := times[len(times)-1] // nothing comes after it
			time.Sleep(time.Until(last.Add(time.Hour)) - time.Nanosecond)
			want(t, verify(t, j, i.token(t)), "")
			time.Sleep(time.Nanosecond)
			want(t, verify(t, j, i.token(t)), unavailable)
			want(t, c.Refresh(t.Context(), ""), "the response has status 503")
			joined, err := auth.NewJWT(auth.Options{Keys: auth.KeySources{c, new(auth.KeyRing)}})
			if err != nil {
				t.Fatal(err)
			}
			want(t, verify(t, joined, i.token(t)), unavailable)
		})
	}
}

// The first pauses after a failure grow from a second.
func TestRetry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &web{err: errors.New("down")}
		start(t, jwks.Options{Transport: w})
		time.Sleep(10 * time.Minute)
		times := w.requests()
		for n, most := range []time.Duration{1, 2, 4, 8, 16, 32, 60, 60, 60} {
			pause := times[n+1].Sub(times[n])
			if most *= time.Second; pause > most || pause < most/2 {
				t.Errorf("pause %d is %v, want %v or up to half of it less", n, pause, most)
			}
		}
	})
	synctest.Test(t, func(t *testing.T) {
		w := &web{err: errors.New("down")}
		start(t, jwks.Options{Transport: w, Interval: 100 * time.Millisecond})
		time.Sleep(time.Second)
		synctest.Wait()
		if n := w.count(); n < 11 {
			t.Errorf("%d requests: failures make the pause longer than the interval", n)
		}
	})
}

// Strangers choose the kid: they cause one fetch at a time, and none until some
// time has passed; and their tokens are not declared bad by that.
func TestUnknownKid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := newIssuer(t, "1")
		w := &web{body: set(i), delay: time.Second}
		_, j := start(t, jwks.Options{Transport: w})
		want(t, verify(t, j, i.token(t)), "")
		time.Sleep(time.Minute)

		flood := func(answer string) {
			var wg sync.WaitGroup
			for range 50 {
				signed := newIssuer(t, "x"+time.Now().String()).token(t)
				wg.Go(func() { want(t, verify(t, j, signed), answer) })
			}
			wg.Wait()
		}
		flood(unknown)
		if w.count() != 2 {
			t.Errorf("%d requests", w.count())
		}
		flood(unavailable)
		time.Sleep(29 * time.Second)
		flood(unavailable)
		want(t, verify(t, j, i.token(t)), "")
		if w.count() != 2 {
			t.Errorf("%d requests", w.count())
		}
		time.Sleep(time.Second)
		flood(unknown)
		if w.count() != 3 {
			t.Errorf("%d requests", w.count())
		}
		// Without a kid there is nothing to look for.
		time.Sleep(time.Minute)
		want(t, verify(t, j, newIssuer(t, "").token(t)), unknown)
		if w.count() != 3 {
			t.Errorf("%d requests", w.count())
		}
	})
}

// A waiter that gives up does not end the fetch for the others.
func TestWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := newIssuer(t, "1")
		w := &web{body: set(i), delay: 4 * time.Second}
		c, j := start(t, jwks.Options{Transport: w})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := j.Verify(ctx, i.token(t)); !errors.Is(err, auth.ErrKeysUnavailable) {
			t.Errorf("got %v", err)
		}
		want(t, c.Refresh(t.Context(), ""), "")
		want(t, verify(t, j, i.token(t)), "")
		if w.count() != 1 {
			t.Errorf("%d requests", w.count())
		}
	})
}

// After a failed fetch, and before another one is allowed, Refresh returns the
// reason of the failure.
func TestRefreshTellsWhyTheLastFetchFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &web{status: http.StatusNotFound}
		c, _ := start(t, jwks.Options{Transport: w})
		synctest.Wait() // the first fetch is over
		want(t, c.Refresh(t.Context(), ""), "the response has status 404")
		if w.count() != 1 {
			t.Errorf("%d requests", w.count())
		}
	})
}

// Close ends the fetch that is under way, and those who wait for it.
func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log logtest.Buffer
		i := newIssuer(t, "1")
		w := &web{body: set(i)}
		c, j := start(t, jwks.Options{Transport: w, Logger: log.Logger()})
		want(t, verify(t, j, i.token(t)), "")
		w.set(func(w *web) { w.delay = time.Hour })
		time.Sleep(time.Minute)
		log.Take()

		began := time.Now()
		waiting := make(chan error)
		go func() { waiting <- c.Refresh(t.Context(), "2") }()
		synctest.Wait()
		c.Close()
		want(t, <-waiting, "jwks: the client is closed")
		c.Close()
		if time.Since(began) != 0 {
			t.Errorf("closed after %v", time.Since(began))
		}
		want(t, verify(t, j, i.token(t)), "") // the keys stay
		n := w.count()
		time.Sleep(time.Hour)
		want(t, verify(t, j, newIssuer(t, "2").token(t)), unavailable)
		if w.count() != n {
			t.Error("requests after Close")
		}
		if text := log.Take(); text != "" {
			t.Errorf("closing is logged as a failure: %s", text)
		}
	})
}

// Several addresses of one issuer: all their keys count, and one that is down
// does not spoil the other.
func TestAddresses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := newIssuer(t, "1")
		w := &web{body: set(i)}
		_, j := start(t, jwks.Options{Transport: w, URLs: []string{"https://a.example/", "https://b.example/"}})
		want(t, verify(t, j, i.token(t)), "")
		synctest.Wait()
		if w.count() != 2 {
			t.Errorf("%d requests", w.count())
		}
		time.Sleep(time.Minute)
		want(t, verify(t, j, newIssuer(t, "2").token(t)), unknown)
		if w.count() != 4 {
			t.Errorf("%d requests", w.count())
		}
	})
}

// Tokens that the provider has issued for others are refused, and so are those in
// the name of another issuer.
func TestIssuerAndAudience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := newIssuer(t, "1")
		_, j := start(t, jwks.Options{Transport: &web{body: set(i)}, Issuer: "https://idp", Audience: []string{"chat"}})
		want(t, verify(t, j, i.token(t, auth.Issuer("https://idp"), auth.Audience("mail", "chat"))), "")
		want(t, verify(t, j, i.token(t, auth.Issuer("https://idp"), auth.Audience("mail"))), "AuthTokenInvalidError: jwt audience invalid. expected: chat")
		want(t, verify(t, j, i.token(t, auth.Issuer("https://idp"))), "AuthTokenInvalidError: jwt audience invalid. expected: chat")
		want(t, verify(t, j, i.token(t, auth.Audience("chat"))), "AuthTokenInvalidError: jwt issuer invalid. expected: https://idp")
	})
}

// A client never signs.
func TestNoSigning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := newIssuer(t, "1")
		c, j := start(t, jwks.Options{Transport: &web{body: set(i)}})
		want(t, c.Refresh(t.Context(), ""), "")
		if k, ok := c.Signing(); ok {
			t.Errorf("%v signs", k.Key)
		}
		_, err := j.Sign(t.Context(), map[string]any{})
		want(t, err, "Error: secretOrPrivateKey must have a value")
	})
}

// A set with a key of no use is used, and the key is named in the log, once.
func TestSkippedKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log logtest.Buffer
		i := newIssuer(t, "1")
		w := &web{body: `{"keys":[{"kty":"RSA","kid":"weak","n":"wQ","e":"AQAB"},` + i.jwk + `,{"kty":"AKP","kid":"q"}]}`}
		_, j := start(t, jwks.Options{Transport: w, Logger: log.Logger()})
		want(t, verify(t, j, i.token(t)), "")
		synctest.Wait()
		text := log.Take()
		for _, part := range []string{`\"weak\"`, "2048 bits", `\"q\"`, "keys=1", "address=https://example.com/jwks"} {
			if !strings.Contains(text, part) {
				t.Errorf("%s is not in the log: %s", part, text)
			}
		}
		time.Sleep(time.Hour)
		if text := log.Take(); text != "" || w.count() < 4 {
			t.Errorf("%d requests, logged %s", w.count(), text)
		}
	})
}
