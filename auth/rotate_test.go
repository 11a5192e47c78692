package auth_test

import (
	"sync"
	"testing"

	"github.com/socketcluster-go/socketcluster/auth"
)

// AUTH-9: keys are replaced on a live server.
func TestSetKeys(t *testing.T) {
	old, fresh := []byte(testKey), []byte("a fresh key of more than 32 bytes")
	j := newJWT(t, auth.Options{Key: string(old)})
	sign := func() string {
		t.Helper()
		tok, err := j.Sign(t.Context(), raw(`{}`))
		if err != nil {
			t.Fatal(err)
		}
		return tok.Signed()
	}
	set := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}

	before := sign()
	set(j.SetVerificationKey(auth.HMACKey(fresh)))
	refuse(t, j, before, invalid("invalid signature"))
	refuse(t, j, sign(), invalid("invalid signature"))
	set(j.SetSignatureKey(auth.HMACKey(fresh)))
	accept(t, j, sign())
	refuse(t, j, before, invalid("invalid signature"))

	t.Run("AUTH-9 bad keys change nothing", func(t *testing.T) {
		public := parsePEM(t, publicPEM(&rsaKey().PublicKey))
		wantOption(t, j.SetSignatureKey(auth.Key{}), "SignatureKey", "is the zero Key")
		wantOption(t, j.SetVerificationKey(auth.Key{}), "VerificationKey", "is the zero Key")
		wantOption(t, j.SetSignatureKey(auth.HMACKey([]byte("weak"))), "SignatureKey", "has 4 bytes")
		wantOption(t, j.SetVerificationKey(auth.HMACKey([]byte("weak"))), "VerificationKey", "has 4 bytes")
		wantOption(t, j.SetSignatureKey(public), "SignatureKey", "cannot sign")
		accept(t, j, sign())
	})
	t.Run("AUTH-9 another kind of key", func(t *testing.T) {
		private := parsePEM(t, ecPEM(256))
		set(j.SetSignatureKey(private))
		set(j.SetVerificationKey(private))
		if tok := accept(t, j, sign()); tok.Algorithm() != "ES256" {
			t.Errorf("signed with %s", tok.Algorithm())
		}
		refuse(t, j, before, invalid("invalid algorithm"))
	})
	t.Run("AUTH-9 a fixed algorithm pins the kind", func(t *testing.T) {
		j := newJWT(t, auth.Options{Key: testKey, Algorithm: "HS256"})
		private := parsePEM(t, rsaPEM())
		wantOption(t, j.SetSignatureKey(private), "Algorithm", `"HS256" does not fit SignatureKey`)
		wantOption(t, j.SetVerificationKey(private), "Algorithm", `"HS256" does not fit VerificationKey`)
	})
	t.Run("QK-20 weak keys are allowed for good", func(t *testing.T) {
		j := newJWT(t, auth.Options{Key: "a", AllowWeakKey: true})
		set(j.SetSignatureKey(auth.HMACKey([]byte("b"))))
		set(j.SetVerificationKey(auth.HMACKey([]byte("b"))))
	})
}

// AUTH-9: each call sees one key with its algorithm, never parts of two.
func TestRotationIsAtomic(t *testing.T) {
	keys := []auth.Key{auth.HMACKey([]byte(testKey)), parsePEM(t, ecPEM(256)), auth.HMACKey([]byte("a fresh key of more than 32 bytes"))}
	readers := make([]*auth.JWT, len(keys))
	for i, k := range keys {
		readers[i] = newJWT(t, auth.Options{VerificationKey: k})
	}
	j := newJWT(t, auth.Options{SignatureKey: keys[0]})

	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 50 {
				tok, err := j.Sign(t.Context(), raw(`{}`))
				if err != nil {
					t.Error(err)
					return
				}
				good := 0
				for _, r := range readers {
					if _, err := r.Verify(t.Context(), tok.Signed()); err == nil {
						good++
					}
				}
				if good != 1 {
					t.Errorf("%d of the keys verify %s", good, tok.Signed())
				}
				// Either answer is right while keys change; it must not race.
				_, _ = j.Verify(t.Context(), tok.Signed())
			}
		})
	}
	wg.Go(func() {
		for i := range 100 {
			if err := j.SetSignatureKey(keys[i%len(keys)]); err != nil {
				t.Error(err)
			}
			if err := j.SetVerificationKey(keys[i%len(keys)]); err != nil {
				t.Error(err)
			}
		}
	})
	wg.Wait()
	// The setters do not undo each other.
	tok, err := j.Sign(t.Context(), raw(`{}`))
	if err != nil {
		t.Fatal(err)
	}
	accept(t, j, tok.Signed())
}
