package revoke_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/socketcluster-go/socketcluster/auth/revoke"
)

// anyRevocation draws a revocation in its normal form, of few targets and times.
func anyRevocation(t *rapid.T) revoke.Revocation {
	moment := func(name string) time.Time {
		if n := rapid.IntRange(0, 4).Draw(t, name); n > 0 {
			return second(1e10 + int64(n))
		}
		return time.Time{}
	}
	r := revoke.Revocation{
		Until: moment("until"), Disconnect: rapid.Bool().Draw(t, "disconnect"),
		Reason: rapid.SampledFrom([]string{"", "x", "y"}).Draw(t, "reason"),
	}
	value := rapid.SampledFrom([]string{"a", "b"}).Draw(t, "value")
	switch rapid.IntRange(0, 2).Draw(t, "kind") {
	case 0:
		r.JTI = value
	case 1:
		r.Session, r.Before = value, moment("before")
	default:
		r.Subject, r.Claim, r.Before = value, rapid.SampledFrom([]string{"", "sub", "id"}).Draw(t, "claim"), second(1e10+int64(rapid.IntRange(1, 4).Draw(t, "before")))
	}
	return r
}

// sameTarget makes a revocation of the token, session or user of another one.
func sameTarget(r, other revoke.Revocation) revoke.Revocation {
	r.JTI, r.Session, r.Subject, r.Claim = other.JTI, other.Session, other.Subject, other.Claim
	switch {
	case r.JTI != "":
		r.Before = time.Time{}
	case r.Subject != "" && r.Before.IsZero():
		r.Before = other.Before
	}
	return r
}

// What two revocations merge to covers both, is what a store holds of them, and depends on
// neither their order nor how often they are merged, but for the reason.
func TestMergeCovers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := anyRevocation(t)
		b := sameTarget(anyRevocation(t), a)
		merged := a.Merge(b)
		if !merged.Covers(a) || !merged.Covers(b) {
			t.Fatalf("%+v does not cover %+v and %+v", merged, a, b)
		}
		if normal, err := merged.Normalize(second(1)); err != nil || normal != merged {
			t.Fatalf("%+v has no normal form: %v", merged, err)
		}
		if again := merged.Merge(b); again != merged {
			t.Fatalf("merged again: %+v, want %+v", again, merged)
		}
		other := b.Merge(a)
		if !merged.Covers(other) || !other.Covers(merged) {
			t.Fatalf("in the other order: %+v, want %+v", other, merged)
		}
		adds := merged
		adds.Reason = a.Reason
		if nothing := adds == a.Merge(a); a.Covers(b) != nothing {
			t.Fatalf("%+v covers %+v: %v, but both are %+v", a, b, !nothing, merged)
		}
		var m revoke.Memory
		for _, r := range []revoke.Revocation{a, b} {
			if err := m.Add(t.Context(), r); err != nil {
				t.Fatal(err)
			}
		}
		if held, ok := m.Held(b); !ok || held != merged {
			t.Fatalf("a store holds %+v, want %+v", held, merged)
		}
	})
}

// Those of different tokens, sessions or users do not cover each other.
func TestCoversItsTarget(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := anyRevocation(t), anyRevocation(t)
		claim, value := a.Target()
		claimB, valueB := b.Target()
		if same := claim == claimB && value == valueB; !same && a.Covers(b) {
			t.Fatalf("%+v covers %+v", a, b)
		}
	})
	for want, r := range map[[2]string]revoke.Revocation{
		{"jti", "a"}: {JTI: "a"},
		{"sid", "a"}: {Session: "a"},
		{"sub", "a"}: {Subject: "a", Claim: "sub"},
		{"id", "a"}:  {Subject: "a", Claim: "id"},
	} {
		if claim, value := r.Target(); claim != want[0] || value != want[1] {
			t.Errorf("%+v is of %q in %q", r, value, claim)
		}
	}
}
