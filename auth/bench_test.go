package auth_test

import (
	"testing"

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
