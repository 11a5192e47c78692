package auth_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/wire"
)

// allRingKeys has a key for each algorithm, named after it.
func allRingKeys(t testing.TB) []auth.RingKey {
	keys := []auth.RingKey{{ID: "EdDSA", Algorithm: "EdDSA", Key: parsePEM(t, privatePEM(edKey()))}}
	for _, bits := range []int{256, 384, 512} {
		for family, key := range map[string]auth.Key{
			"HS": auth.HMACKey([]byte(testKey)), "RS": parsePEM(t, rsaPEM()), "PS": parsePEM(t, rsaPEM()), "ES": parsePEM(t, ecPEM(bits)),
		} {
			name := family + fmt.Sprint(bits)
			keys = append(keys, auth.RingKey{ID: name, Algorithm: name, Key: key})
		}
	}
	return keys
}

// JWT-1, JWT-20: all algorithms side by side, each key pinned to its own.
func TestRingAlgorithms(t *testing.T) {
	keys := allRingKeys(t)
	all := ringJWT(t, keys...)
	for _, k := range keys {
		t.Run("JWT-1 "+k.ID, func(t *testing.T) {
			signer := ringJWT(t, k)
			tok := sign(t, signer, `{"username":"alice"}`)
			if tok.Algorithm() != k.Algorithm || tok.KeyID() != k.ID {
				t.Errorf("signed with %s and kid %s", tok.Algorithm(), tok.KeyID())
			}
			back := accept(t, all, tok.Signed())
			if back.Algorithm() != k.Algorithm || back.KeyID() != k.ID || string(back.Payload()) != string(tok.Payload()) {
				t.Errorf("read back %s %s %s", back.Algorithm(), back.KeyID(), back.Payload())
			}
			for _, other := range keys {
				if other.ID == k.ID {
					continue
				}
				// The key material fits for RS and PS, and for HS of another
				// size; the pinned algorithm decides.
				other.ID = k.ID
				refuse(t, ringJWT(t, other), tok.Signed(), invalid("invalid algorithm"))
			}
		})
	}
}

// JWT-1, QK-22: without a name, the algorithm follows from the key.
func TestRingDefaultAlgorithm(t *testing.T) {
	for want, key := range map[string]auth.Key{
		"HS256": auth.HMACKey([]byte(testKey)),
		"RS256": parsePEM(t, rsaPEM()),
		"ES256": parsePEM(t, ecPEM(256)),
		"ES384": parsePEM(t, ecPEM(384)),
		"ES512": parsePEM(t, ecPEM(512)),
		"EdDSA": parsePEM(t, privatePEM(edKey())),
	} {
		if got := newRing(t, auth.RingKey{Key: key}).Keys()[0].Algorithm; got != want {
			t.Errorf("%v is pinned to %s, want %s", key, got, want)
		}
	}
}

// Keys that no ring takes. The error names the kid, and nothing of the key.
func TestRingRefusesKeys(t *testing.T) {
	const weak = "correct horse battery"
	rsaPublic := publicPEM(&rsaKey().PublicKey)
	for _, c := range []struct {
		name, field, reason string
		key                 auth.RingKey
	}{
		{"QK-20 weak secret", `key "a"`, "has 21 bytes, at least 32", auth.RingKey{ID: "a", Key: auth.HMACKey([]byte(weak))}},
		{"QK-20 secret of 31 bytes for HS512", `key "a"`, "has 31 bytes", auth.RingKey{ID: "a", Algorithm: "HS512", Key: auth.HMACKey([]byte(testKey[1:]))}},
		{"empty secret", `key "a"`, "must not be empty", auth.RingKey{ID: "a", Key: auth.HMACKey(nil)}},
		{"JWT-20 PEM text as secret", `key "a"`, "is a PEM text", auth.RingKey{ID: "a", Key: auth.HMACKey(rsaPublic)}},
		{"no key", `key "a"`, "has no key", auth.RingKey{ID: "a", Algorithm: "HS256"}},
		{"no kid", "key without kid", "has no key", auth.RingKey{}},
		{"JWT-1 none", `key "a"`, `"none" is not an algorithm that can be used here; use one of HS256`, auth.RingKey{ID: "a", Algorithm: "none", Key: auth.HMACKey([]byte(testKey))}},
		{"JWT-1 lower case", `key "a"`, "ES512, EdDSA", auth.RingKey{ID: "a", Algorithm: "hs256", Key: auth.HMACKey([]byte(testKey))}},
		{"JWT-20 HS with a public key", `key "a"`, `"HS256" does not fit the key (rsa public key)`, auth.RingKey{ID: "a", Algorithm: "HS256", Key: parsePEM(t, rsaPublic)}},
		{"JWT-2 RS with a secret", `key "a"`, `"RS256" does not fit the key (HMAC key); use one of HS256, HS384, HS512`, auth.RingKey{ID: "a", Algorithm: "RS256", Key: auth.HMACKey([]byte(testKey))}},
		{"JWT-2 curve", `key "a"`, `"ES256" does not fit the key (ec private key); use ES384`, auth.RingKey{ID: "a", Algorithm: "ES256", Key: parsePEM(t, ecPEM(384))}},
		{"JWT-2 RS with an Ed25519 key", `key "a"`, `"RS256" does not fit the key (ed25519 private key); use EdDSA`, auth.RingKey{ID: "a", Algorithm: "RS256", Key: parsePEM(t, privatePEM(edKey()))}},
		{"JWT-2 EdDSA with an EC key", `key "a"`, `"EdDSA" does not fit the key (ec private key); use ES256`, auth.RingKey{ID: "a", Algorithm: "EdDSA", Key: parsePEM(t, ecPEM(256))}},
		{"long kid", `key "` + strings.Repeat("x", 64) + `"`, "kid of 257 bytes", auth.RingKey{ID: strings.Repeat("x", 257), Key: auth.HMACKey([]byte(testKey))}},
		{"kid not UTF-8", `key "\xff"`, "not UTF-8", auth.RingKey{ID: "\xff", Key: auth.HMACKey([]byte(testKey))}},
	} {
		t.Run(c.name, func(t *testing.T) {
			ring := newRing(t, hmacKey("good"))
			_, err := auth.NewKeyRing(c.key)
			for _, err := range []error{err, ring.Add(c.key), ring.Rotate(c.key, time.Hour)} {
				wantOption(t, err, c.field, c.reason)
				if strings.Contains(err.Error(), "correct") || strings.Contains(err.Error(), "BEGIN") {
					t.Errorf("the key is in the error: %v", err)
				}
			}
			if keys := ring.Keys(); len(keys) != 1 || keys[0].ID != "good" {
				t.Errorf("the ring has changed to %v", keys)
			}
		})
	}
	t.Run("twice the same kid", func(t *testing.T) {
		_, err := auth.NewKeyRing(hmacKey("a"), hmacKey("b"), auth.RingKey{ID: "a", Key: parsePEM(t, ecPEM(256))})
		wantOption(t, err, `key "a"`, "occurs twice")
	})
}

// JWT-20, JWT-21 rows 10 and 14: what must not pass a ring.
func TestRingAttacks(t *testing.T) {
	public := publicPEM(&rsaKey().PublicKey)
	j := ringJWT(t, auth.RingKey{ID: "rsa", Algorithm: "RS256", Key: parsePEM(t, public)}, hmacKey("a"), hmacKey("b"), hmacKey("7"))
	header := func(alg, kid string) string { return b64(`{"alg":"`+alg+`","kid":"`+kid+`"}`) + "." + b64(`{}`) }
	accept(t, j, seal(header("HS256", "a"), testKey+"a"))
	for _, c := range []struct{ name, signed, want string }{
		{"JWT-20 public key as secret", seal(header("HS256", "rsa"), string(public)), "invalid algorithm"},
		{"JWT-20 public key as secret under the kid of a secret", seal(header("HS256", "a"), string(public)), "invalid signature"},
		{"JWT-20 RS256 for a secret", seal(header("RS256", "a"), testKey+"a"), "invalid algorithm"},
		{"JWT-20 HS512 for a secret of HS256", seal(header("HS512", "a"), testKey+"a"), "invalid algorithm"},
		{"JWT-20 PS256 for a key of RS256", seal(header("PS256", "rsa"), "x"), "invalid algorithm"},
		{"EdDSA without such a key", seal(header("EdDSA", "a"), "x"), "invalid algorithm"},
		{"none", seal(header("none", "a"), ""), "invalid algorithm"},
		{"none without signature", header("none", "a") + ".", "jwt signature is required"},
		{"kid of another key", seal(header("HS256", "b"), testKey+"a"), "invalid signature"},
		{"unknown kid", seal(header("HS256", "c"), testKey+"a"), "unknown kid"},
		{"kid in other letters", seal(header("HS256", "A"), testKey+"a"), "unknown kid"},
		{"kid with a path", seal(header("HS256", "../a"), testKey+"a"), "unknown kid"},
		{"no kid", seal(b64(hs256Header)+"."+b64(`{}`), testKey+"a"), "unknown kid"},
		{"empty kid", seal(header("HS256", ""), testKey+"a"), "unknown kid"},
		{"crit", craft(`{"alg":"HS256","kid":"a","crit":["kid"]}`, `{}`), "invalid token"},
		{"two kids", craft(`{"alg":"HS256","kid":"a","kid":"b"}`, `{}`), "invalid token"},
		{"null kid", seal(b64(`{"alg":"HS256","kid":null}`)+"."+b64(`{}`), testKey+"a"), "unknown kid"},
		{"kid is a list", seal(b64(`{"alg":"HS256","kid":["a"]}`)+"."+b64(`{}`), testKey+"a"), "unknown kid"},
		{"kid is a fraction", seal(b64(`{"alg":"HS256","kid":7.0}`)+"."+b64(`{}`), testKey+"7"), "unknown kid"},
		{"kid is another number", seal(b64(`{"alg":"HS256","kid":8}`)+"."+b64(`{}`), testKey+"7"), "unknown kid"},
		{"too large", strings.Repeat("x", 16<<10+1), "jwt too large"},
		{"infinite exp", seal(b64(`{"alg":"HS256","kid":"a"}`)+"."+b64(`{"exp":1e999}`), testKey+"a"), "invalid exp value"},
	} {
		t.Run(c.name, func(t *testing.T) { refuse(t, j, c.signed, invalid(c.want)) })
	}
	t.Run("no keys at all", func(t *testing.T) {
		var empty auth.KeyRing
		j := newJWT(t, auth.Options{Keys: &empty})
		refuse(t, j, seal(header("HS256", "a"), testKey+"a"), invalid("unknown kid"))
		if _, err := j.Sign(t.Context(), raw(`{}`)); err == nil || err.Error() != "Error: secretOrPrivateKey must have a value" {
			t.Errorf("got %v", err)
		}
	})
}

// Issuers that number their keys write the numbers as such, or as text, in tokens
// and in sets of keys.
func TestNumericKeyID(t *testing.T) {
	key := parseJWK(t, jwkOf(t, testKey+"7", map[string]any{"kid": 7}))
	if key.ID != "7" {
		t.Fatalf("kid %q", key.ID)
	}
	j := ringJWT(t, key)
	for _, kid := range []string{`7`, `"7"`} {
		if tok := accept(t, j, seal(b64(`{"alg":"HS256","kid":`+kid+`}`)+"."+b64(`{}`), testKey+"7")); tok.KeyID() != "7" {
			t.Errorf("kid %s is %q", kid, tok.KeyID())
		}
	}
	// With one key, no kid is looked at.
	for kid, want := range map[string]string{`7`: "7", `-7`: "-7", `1.5`: "", `true`: "", `null`: "", `{"a":[]}`: "", `""`: ""} {
		if tok := accept(t, plain(t), craft(`{"alg":"HS256","kid":`+kid+`}`, `{}`)); tok.KeyID() != want {
			t.Errorf("kid %s is %q, want %q", kid, tok.KeyID(), want)
		}
	}
	// A key without ID is for tokens without a kid; null is none.
	accept(t, ringJWT(t, auth.RingKey{Key: auth.HMACKey([]byte(testKey))}), craft(`{"alg":"HS256","kid":null}`, `{}`))
	refuse(t, ringJWT(t, auth.RingKey{Key: auth.HMACKey([]byte(testKey))}), craft(`{"alg":"HS256","kid":false}`, `{}`), invalid("unknown kid"))
}

// A token without kid belongs to the key without ID, however many others there
// are: what is accepted must not change when a key is added.
func TestRingWithoutKid(t *testing.T) {
	bare := craft(hs256Header, `{}`)
	old := auth.RingKey{Key: auth.HMACKey([]byte(testKey))}
	refuse(t, ringJWT(t, auth.RingKey{ID: "only", Key: old.Key}), bare, invalid("unknown kid"))
	accept(t, ringJWT(t, old), bare)
	j := ringJWT(t, hmacKey("new"), old)
	accept(t, j, bare)
	refuse(t, j, craft(`{"alg":"HS256","kid":"x"}`, `{}`), invalid("unknown kid"))
	accept(t, j, craft(`{"alg":"HS256","kid":""}`, `{}`))
	if tok := sign(t, ringJWT(t, old), `{}`); !strings.HasPrefix(tok.Signed(), b64(hs256Header)+".") || tok.KeyID() != "" {
		t.Errorf("a key without ID signs with kid %q: %s", tok.KeyID(), tok.Signed())
	}
}

// The kid of a token is that of its key, whatever the options.
func TestRingKeyID(t *testing.T) {
	j := ringJWT(t, hmacKey("a"))
	if tok := sign(t, j, `{}`, auth.KeyID("a")); tok.KeyID() != "a" {
		t.Errorf("kid %q", tok.KeyID())
	}
	for _, opt := range []auth.SignOption{auth.KeyID("b"), auth.HeaderField("kid", "a")} {
		if _, err := j.Sign(t.Context(), raw(`{}`), opt); err == nil || !strings.Contains(err.Error(), "kid") {
			t.Errorf("got %v", err)
		}
	}
	if _, err := ringJWT(t, auth.RingKey{Key: auth.HMACKey([]byte(testKey))}).Sign(t.Context(), raw(`{}`), auth.KeyID("a")); err == nil {
		t.Error("a key without ID signs with one")
	}
}

// AUTH-9: nobody is logged out by a rotation: a token is good until it expires,
// and its key not a second longer.
func TestRotate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const life = time.Hour
		ring := newRing(t, hmacKey("1"))
		j := newJWT(t, auth.Options{Keys: ring, DefaultExpiry: life})
		first := sign(t, j, `{}`)
		time.Sleep(30 * time.Minute)
		last := sign(t, j, `{}`) // at the very moment of the rotation
		forever := sign(t, j, `{"exp":4000000000}`)
		if err := ring.Rotate(hmacKey("2"), life); err != nil {
			t.Fatal(err)
		}
		next := sign(t, j, `{}`)
		if next.KeyID() != "2" {
			t.Errorf("signed with %s", next.KeyID())
		}
		for _, tok := range []*auth.Token{first, last, forever, next} {
			accept(t, j, tok.Signed())
		}
		time.Sleep(life - time.Second)
		accept(t, j, last.Signed())
		accept(t, j, forever.Signed())
		time.Sleep(time.Second)
		refuse(t, j, first.Signed(), invalid("unknown kid"))
		refuse(t, j, last.Signed(), invalid("unknown kid"))
		refuse(t, j, forever.Signed(), invalid("unknown kid"))
		accept(t, j, forever.Signed(), auth.At(time.Now().Add(-time.Second)))
		if keys := ids(ring); keys != "2" {
			t.Errorf("the ring has %s", keys)
		}
	})
}

func ids(r *auth.KeyRing) string {
	var list []string
	for _, k := range r.Keys() {
		list = append(list, k.ID)
	}
	return strings.Join(list, " ")
}

// The steps of a rotation, and what they refuse.
func TestRingChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ring := newRing(t, auth.RingKey{ID: "public", Key: parsePEM(t, publicPEM(&ecKey(256).PublicKey))}, hmacKey("1"))
		j := newJWT(t, auth.Options{Keys: ring})
		good := func(err error, want string) {
			t.Helper()
			if err != nil || ids(ring) != want {
				t.Fatalf("the ring is %q, %v; want %q", ids(ring), err, want)
			}
		}
		good(nil, "1 public") // the first that can sign
		good(ring.Add(hmacKey("2")), "1 public 2")
		if id := sign(t, j, `{}`).KeyID(); id != "1" {
			t.Errorf("signed with %s", id)
		}
		wantOption(t, ring.Add(hmacKey("2")), `key "2"`, "is in the ring already")
		wantOption(t, ring.Rotate(auth.RingKey{ID: "2", Key: auth.HMACKey([]byte(testKey))}, 0), `key "2"`, "with another key")
		wantOption(t, ring.Rotate(auth.RingKey{ID: "2", Algorithm: "HS512", Key: hmacKey("2").Key}, 0), `key "2"`, "with another key or algorithm")
		wantOption(t, ring.Rotate(auth.RingKey{ID: "2", Key: parsePEM(t, ecPEM(256))}, 0), `key "2"`, "with another key")
		wantOption(t, ring.Rotate(auth.RingKey{ID: "public", Key: parsePEM(t, publicPEM(&ecKey(256).PublicKey))}, 0), `key "public"`, "cannot sign")
		wantOption(t, ring.Rotate(auth.RingKey{ID: "3", Key: hmacKey("3").Key, Until: time.Now().Add(time.Hour)}, 0), `key "3"`, "has an end")
		wantOption(t, ring.Rotate(hmacKey("3"), -1), `key "3"`, "is negative")
		wantOption(t, ring.Rotate(hmacKey("3"), 3600), `key "3"`, "nanoseconds")
		wantOption(t, ring.Retire("2", 3600), `key "2"`, "nanoseconds")
		wantOption(t, ring.Retire("1", time.Hour), `key "1"`, "signs")
		wantOption(t, ring.Retire("3", time.Hour), `key "3"`, "is not in the ring")
		wantOption(t, ring.Retire("2", -1), `key "2"`, "is negative")
		good(nil, "1 public 2")

		good(ring.Rotate(hmacKey("1"), 0), "1 public 2") // takes over from itself
		good(ring.Rotate(hmacKey("2"), 2*time.Hour), "2 1 public")
		good(ring.Retire("1", time.Hour), "2 1 public")
		good(ring.Retire("1", 3*time.Hour), "2 1 public") // no longer than before
		time.Sleep(time.Hour)
		good(nil, "2 public")
		good(ring.Add(hmacKey("1")), "2 public 1") // its time is over, so its ID is free
		good(ring.Retire("1", 0), "2 public")
		// A private key takes the place of its public one.
		good(ring.Rotate(auth.RingKey{ID: "public", Key: parsePEM(t, ecPEM(256))}, 0), "public")
		if tok := sign(t, j, `{}`); tok.Algorithm() != "ES256" {
			t.Errorf("signed with %s", tok.Algorithm())
		}
		// The keys that the ring returns make the same ring again.
		good(ring.Rotate(hmacKey("4"), time.Minute), "4 public")
		again := newRing(t, ring.Keys()...)
		if k, ok := again.Signing(); !ok || k.ID != "4" || ids(again) != "4 public" {
			t.Errorf("the new ring is %s and signs with %s", ids(again), k.ID)
		}
		time.Sleep(time.Minute)
		if ids(again) != "4" {
			t.Errorf("the new ring is %s", ids(again))
		}
	})
}

// AUTH-9: a ring in use changes without a call that fails or a race.
func TestRingIsAtomic(t *testing.T) {
	ring := newRing(t, hmacKey("0"))
	j := newJWT(t, auth.Options{Keys: ring})
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				tok, err := j.Sign(t.Context(), raw(`{}`))
				if err == nil {
					_, err = j.Verify(t.Context(), tok.Signed())
				}
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for i := range 200 {
		k := hmacKey(fmt.Sprint(i + 1))
		if i%2 == 0 {
			k = auth.RingKey{ID: k.ID, Key: parsePEM(t, ecPEM(256))}
		}
		if err := errors.Join(ring.Add(k), ring.Rotate(k, time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	close(stop)
	wg.Wait()
	if n := len(ring.Keys()); n != 201 {
		t.Errorf("%d keys", n)
	}
}

// The result of Verification cannot be used to change a ring.
func TestRingIsNotAliased(t *testing.T) {
	audience := []string{"a"}
	keys := []auth.RingKey{hmacKey("1"), hmacKey("2")}
	keys[0].Audience = audience
	ring := newRing(t, keys...)
	keys[0], audience[0] = auth.RingKey{}, "x"
	got := ring.Verification("1")
	_ = append(got, auth.RingKey{ID: "evil"})
	if ids(ring) != "1 2" || !slices.Equal(ring.Verification("1")[0].Audience, []string{"a"}) {
		t.Errorf("the ring is %s", ids(ring))
	}
}

// A key of somebody else vouches for the tokens of one issuer and audience.
func TestRingKeyClaims(t *testing.T) {
	own, theirs := hmacKey("own"), hmacKey("theirs")
	theirs.Issuer, theirs.Audience = "them", []string{"us", "us too"}
	j := ringJWT(t, own, theirs)
	them := func(payload string) string {
		return seal(b64(`{"alg":"HS256","kid":"theirs"}`)+"."+b64(payload), testKey+"theirs")
	}
	accept(t, j, sign(t, j, `{}`).Signed())
	accept(t, j, them(`{"iss":"them","aud":"us"}`))
	accept(t, j, them(`{"iss":"them","aud":["x","us too"]}`))
	for payload, want := range map[string]string{
		`{"iss":"them"}`:              "jwt audience invalid. expected: us or us too",
		`{"iss":"them","aud":"x"}`:    "jwt audience invalid. expected: us or us too",
		`{"aud":"us"}`:                "jwt issuer invalid. expected: them",
		`{"iss":"own","aud":"us"}`:    "jwt issuer invalid. expected: them",
		`{"iss":["them"],"aud":"us"}`: "jwt issuer invalid. expected: them",
	} {
		refuse(t, j, them(payload), invalid(want))
		// Options of the call come on top and do not replace what the key demands.
		if _, err := j.Verify(t.Context(), them(payload), auth.WithIssuer("them", "own"), auth.WithAudience("us", "x")); err == nil {
			t.Errorf("accepted %s", payload)
		}
	}
	refuse(t, j, them(`{"iss":"them","aud":"us"}`), invalid("jwt audience invalid. expected: x"), auth.WithAudience("x"))

	signer := ringJWT(t, theirs)
	accept(t, j, sign(t, signer, `{}`).Signed())
	if got := string(sign(t, signer, `{"iss":"other","aud":"x","iat":1,"exp":2}`).Payload()); got != `{"iss":"other","aud":"x","iat":1,"exp":2}` {
		t.Errorf("signed %s", got)
	}
	if got := string(sign(t, signer, `{"iat":1,"exp":2}`, auth.Issuer("o")).Payload()); got != `{"iat":1,"exp":2,"aud":["us","us too"],"iss":"o"}` {
		t.Errorf("signed %s", got)
	}
}

// The check of a key comes last, sees the whole token, and is not asked about
// tokens under other keys.
func TestRingKeyCheck(t *testing.T) {
	own, theirs := hmacKey("own"), hmacKey("theirs")
	theirs.Issuer = "them"
	var seen []string
	theirs.Check = func(tok *auth.Token) error {
		seen = append(seen, tok.KeyID()+" "+tok.Algorithm()+" "+string(tok.Payload()))
		if _, ok := tok.Claim("sub"); !ok {
			return &wire.Error{Name: "AnyError", Message: "no sub"}
		}
		return nil
	}
	j := ringJWT(t, own, theirs)
	them := func(payload string) string {
		return seal(b64(`{"alg":"HS256","kid":"theirs"}`)+"."+b64(payload), testKey+"theirs")
	}
	accept(t, j, sign(t, j, `{}`).Signed())
	refuse(t, j, them(`{"iss":"other"}`), invalid("jwt issuer invalid. expected: them"))
	refuse(t, j, them(`{"iss":"them","sub":"x"}`), invalid("jwt audience invalid. expected: x"), auth.WithAudience("x"))
	refuse(t, j, them(`{"iss":"them","exp":1}`), `{"message":"jwt expired","name":"AuthTokenExpiredError","expiry":"1970-01-01T00:00:01.000Z","isBadToken":true}`)
	if len(seen) > 0 {
		t.Errorf("asked about %q", seen)
	}
	refuse(t, j, them(`{"iss":"them"}`), `{"message":"no sub","name":"AnyError"}`)
	accept(t, j, them(`{"iss":"them","sub":"x"}`))
	if want := []string{`theirs HS256 {"iss":"them"}`, `theirs HS256 {"iss":"them","sub":"x"}`}; !slices.Equal(seen, want) {
		t.Errorf("asked about %q", seen)
	}
}

// source is a KeySource of a test.
type source struct {
	auth.KeyRing
	extra   []auth.RingKey
	refresh func(ctx context.Context, kid string) error
}

func (s *source) Verification(kid string) []auth.RingKey {
	return append(s.KeyRing.Verification(kid), s.extra...)
}

func (s *source) Refresh(ctx context.Context, kid string) error { return s.refresh(ctx, kid) }

const unavailable = `{"message":"The key of the token is not available","name":"AuthTokenError","isBadToken":false}`

// A token whose key may exist is not thrown away.
func TestUnknownKid(t *testing.T) {
	signed := sign(t, ringJWT(t, hmacKey("new")), `{}`).Signed()
	var s source
	j := newJWT(t, auth.Options{Keys: &s})

	var asked []string
	s.refresh = func(_ context.Context, kid string) error { asked = append(asked, kid); return errors.New("down") }
	refuse(t, j, signed, unavailable)
	_, err := j.Verify(t.Context(), signed)
	if !errors.Is(err, auth.ErrKeysUnavailable) {
		t.Errorf("got %v", err)
	}
	for _, nothing := range []string{craft(`{"alg":"none","kid":"n"}`, `{}`), craft(`{"alg":"x","kid":"n"}`, `{}`), "a.b.c", signed + "="} {
		if _, err := j.Verify(t.Context(), nothing); err == nil || errors.Is(err, auth.ErrKeysUnavailable) {
			t.Errorf("%q: %v", nothing, err)
		}
	}
	if got := strings.Join(asked, " "); got != "new new" {
		t.Errorf("asked for %s", got)
	}

	s.refresh = func(context.Context, string) error { return nil }
	refuse(t, j, signed, invalid("unknown kid"))
	// The key comes with the refresh, or meanwhile from somewhere else.
	for _, failure := range []error{nil, errors.New("too early")} {
		s.KeyRing = auth.KeyRing{}
		s.refresh = func(context.Context, string) error { return errors.Join(s.Add(hmacKey("new")), failure) }
		accept(t, j, signed)
	}
	s.refresh = func(context.Context, string) error { t.Error("asked for a key that is there"); return nil }
	accept(t, j, signed)
}

// Verify gives up when its context does.
func TestRefreshGetsContext(t *testing.T) {
	s := source{refresh: func(ctx context.Context, _ string) error { <-ctx.Done(); return ctx.Err() }}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := newJWT(t, auth.Options{Keys: &s}).Verify(ctx, sign(t, ringJWT(t, hmacKey("a")), `{}`).Signed())
	if !errors.Is(err, auth.ErrKeysUnavailable) {
		t.Errorf("got %v", err)
	}
}

// A source is not trusted to have checked its keys.
func TestSourceWithBadKeys(t *testing.T) {
	public := publicPEM(&rsaKey().PublicKey)
	s := source{refresh: func(context.Context, string) error { return nil }}
	j := newJWT(t, auth.Options{Keys: &s})
	for name, k := range map[string]auth.RingKey{
		"no key":               {ID: "a", Algorithm: "HS256"},
		"weak":                 {ID: "a", Algorithm: "HS256", Key: auth.HMACKey([]byte("weak"))},
		"PEM text":             {ID: "a", Algorithm: "HS256", Key: auth.HMACKey(public)},
		"HS with an RSA key":   {ID: "a", Algorithm: "HS256", Key: parsePEM(t, public)},
		"an unknown algorithm": {ID: "a", Algorithm: "none", Key: auth.HMACKey([]byte(testKey))},
		"over":                 {ID: "a", Algorithm: "HS256", Key: auth.HMACKey([]byte("over" + testKey)), Until: time.Unix(1, 0)},
	} {
		t.Run(name, func(t *testing.T) {
			for _, secret := range []string{"weak", string(public), "", "over" + testKey, testKey} {
				signed := seal(b64(`{"alg":"HS256","kid":"a"}`)+"."+b64(`{}`), secret)
				s.extra = []auth.RingKey{k}
				if _, err := j.Verify(t.Context(), signed); err == nil {
					t.Errorf("accepted with %q", secret)
				}
				// Nor does it spoil a good key.
				s.extra = []auth.RingKey{k, {ID: "a", Key: auth.HMACKey([]byte(testKey))}}
				if _, err := j.Verify(t.Context(), signed); (err == nil) != (secret == testKey) {
					t.Errorf("with a good key beside it and %q: %v", secret, err)
				}
			}
		})
	}
}

// Several sources: the first that can signs, and all verify.
func TestKeySources(t *testing.T) {
	ec := auth.RingKey{ID: "same", Key: parsePEM(t, ecPEM(256))}
	public := auth.RingKey{ID: "public", Key: parsePEM(t, publicPEM(&ecKey(384).PublicKey))}
	other := auth.RingKey{ID: "same", Key: parsePEM(t, privatePEM(otherEC()))}
	j := newJWT(t, auth.Options{Keys: auth.KeySources{newRing(t, public), newRing(t, hmacKey("a"), ec), newRing(t, other)}})
	if tok := sign(t, j, `{}`); tok.KeyID() != "a" {
		t.Errorf("signed with %q", tok.KeyID())
	}
	for _, k := range []auth.RingKey{hmacKey("a"), ec, other} { // two keys have one kid
		accept(t, j, sign(t, ringJWT(t, k), `{}`).Signed())
	}
	refuse(t, j, sign(t, ringJWT(t, hmacKey("same")), `{}`).Signed(), invalid("invalid algorithm"))
	third := auth.RingKey{ID: "same", Key: parsePEM(t, privatePEM(newEC(ecKey(256).Curve)))}
	refuse(t, j, sign(t, ringJWT(t, third), `{}`).Signed(), invalid("invalid signature"))
	refuse(t, j, sign(t, ringJWT(t, hmacKey("b")), `{}`).Signed(), invalid("unknown kid"))
	refuse(t, newJWT(t, auth.Options{Keys: auth.KeySources{}}), sign(t, j, `{}`).Signed(), invalid("unknown kid"))
	if _, err := newJWT(t, auth.Options{Keys: auth.KeySources{newRing(t, public)}}).Sign(t.Context(), raw(`{}`)); err == nil {
		t.Error("signed without a key")
	}
}

var otherEC = sync.OnceValue(func() any { return newEC(ecKey(256).Curve) })

// One source that hangs does not keep a token from the source that has its key;
// and those who wait receive every failure.
func TestKeySourcesRefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := &source{refresh: func(ctx context.Context, _ string) error { <-ctx.Done(); return ctx.Err() }}
		quick := &source{}
		quick.refresh = func(context.Context, string) error {
			time.Sleep(time.Second)
			return quick.Add(hmacKey("new"))
		}
		start := time.Now()
		accept(t, newJWT(t, auth.Options{Keys: auth.KeySources{slow, quick}}), sign(t, ringJWT(t, hmacKey("new")), `{"exp":4000000000}`).Signed())
		if d := time.Since(start); d != time.Second {
			t.Errorf("took %v", d)
		}
		synctest.Wait() // all goroutines have ended, or the bubble fails

		down, fine := errors.New("down"), &source{refresh: func(context.Context, string) error { return nil }}
		broken := &source{refresh: func(context.Context, string) error { return down }}
		if err := (auth.KeySources{fine, broken}).Refresh(t.Context(), "x"); !errors.Is(err, down) {
			t.Errorf("got %v", err)
		}
		if err := (auth.KeySources{fine, fine}).Refresh(t.Context(), "x"); err != nil {
			t.Errorf("got %v", err)
		}
	})
}

// AUTH-9: the setters of single keys do not pretend to work.
func TestSetKeysWithSource(t *testing.T) {
	j := ringJWT(t, hmacKey("a"))
	wantOption(t, j.SetSignatureKey(hmacKey("b").Key), "SignatureKey", "Keys")
	wantOption(t, j.SetVerificationKey(hmacKey("b").Key), "VerificationKey", "Keys")
	if j.GeneratedKey() != "" {
		t.Error("a key was generated")
	}
	accept(t, j, sign(t, j, `{}`).Signed())
}
