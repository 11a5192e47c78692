package auth_test

import (
	"strconv"
	"testing"
	"time"

	"github.com/socketcluster-go/socketcluster/auth"
)

type benchClaims struct {
	Username string   `json:"username"`
	Channels []string `json:"channels"`
}

var benchUser = benchClaims{"alice", []string{"engineering", "science", "mathematics"}}

func BenchmarkSignHS256(b *testing.B) {
	j := newJWT(b, auth.Options{Key: testKey})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := j.Sign(b.Context(), benchUser); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerifyHS256(b *testing.B) {
	j := newJWT(b, auth.Options{Key: testKey})
	tok, err := j.Sign(b.Context(), benchUser)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := j.Verify(b.Context(), tok.Signed()); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkClaim(b *testing.B) {
	j := newJWT(b, auth.Options{Key: testKey})
	tok, err := j.Sign(b.Context(), benchUser)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := tok.Claim("username"); !ok {
			b.Fatal("no username")
		}
	}
}

// A ring of a hundred keys, in which the token names its own.
func BenchmarkVerifyRingHS256(b *testing.B) {
	ring := newRing(b)
	for i := range 100 {
		if err := ring.Rotate(hmacKey(strconv.Itoa(i)), time.Hour); err != nil {
			b.Fatal(err)
		}
	}
	j := newJWT(b, auth.Options{Keys: ring})
	tok, err := j.Sign(b.Context(), benchUser)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := j.Verify(b.Context(), tok.Signed()); err != nil {
			b.Fatal(err)
		}
	}
}

// Requests of strangers cost no more than a bad signature.
func BenchmarkVerifyUnknownKid(b *testing.B) {
	j := ringJWT(b, hmacKey("known"))
	signed := sign(b, ringJWT(b, hmacKey("unknown")), `{}`).Signed()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := j.Verify(b.Context(), signed); err == nil {
			b.Fatal("accepted")
		}
	}
}

// As many names as a token has room for, which have to be compared before the
// signature is looked at.
func BenchmarkVerifyManyNames(b *testing.B) {
	j := newJWT(b, auth.Options{Key: testKey})
	signed := craft(hs256Header, manyNames(1100, `"last":0`))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := j.Verify(b.Context(), signed); err != nil {
			b.Fatal(err)
		}
	}
}
