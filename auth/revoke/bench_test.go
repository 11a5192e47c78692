package revoke_test

import (
	"fmt"
	"testing"

	"github.com/socketcluster-go/socketcluster/auth/revoke"
)

// BenchmarkCheck is what each handshake with a token costs.
func BenchmarkCheck(b *testing.B) {
	const payload = `{"sub":"user-50000","username":"alice","sid":"session-50000","jti":"%s","iat":1700000000,"exp":1700086400}`
	full := func(b *testing.B, claims ...func(i int) revoke.Revocation) *revoke.Memory {
		var m revoke.Memory
		for i := range 100_000 {
			r := claims[i%len(claims)](i)
			r.Until = second(1e10 + int64(i))
			add(b, &m, r)
		}
		return &m
	}
	byJTI := func(i int) revoke.Revocation { return revoke.Revocation{JTI: fmt.Sprint("token-", i)} }
	byUser := func(i int) revoke.Revocation {
		return revoke.Revocation{Subject: fmt.Sprint("user-", i), Before: second(1600000000)}
	}
	for _, c := range []struct {
		name    string
		store   *revoke.Memory
		jti     string
		revoked bool
	}{
		{"empty", &revoke.Memory{}, "token-x", false},
		{"100k tokens, good", full(b, byJTI), "token-x", false},
		{"100k tokens, revoked", full(b, byJTI), "token-50000", true},
		{"100k tokens and users, good", full(b, byJTI, byUser), "token-x", false},
	} {
		token := tokenOf(b, fmt.Sprintf(payload, c.jti))
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, revoked := c.store.Check(token); revoked != c.revoked {
					b.Fatal("found otherwise")
				}
			}
		})
	}
}

func BenchmarkAdd(b *testing.B) {
	var m revoke.Memory
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		add(b, &m, revoke.Revocation{JTI: fmt.Sprint("token-", i%900_000), Until: second(1e10 + int64(i))})
	}
}
