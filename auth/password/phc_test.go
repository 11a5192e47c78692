package password

import (
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestParse(t *testing.T) {
	d, err := parse("$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc", maxMemory)
	if err != nil {
		t.Fatal(err)
	}
	if want := "09316115d5cf24ed5a15a31a3ba326e5cf32edc24702987c02b6566f61913cf7"; hex.EncodeToString(d.key) != want || string(d.salt) != "somesalt" {
		t.Errorf("key is %x, want %s; salt is %q", d.key, want, d.salt)
	}
}

func TestParseRefuses(t *testing.T) {
	const salt, key = "c29tZXNhbHQ", "CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
	for _, text := range []string{
		"",
		"password",
		"$argon2i$v=19$m=8,t=1,p=1$" + salt + "$" + key,
		"$argon2id$v=16$m=8,t=1,p=1$" + salt + "$" + key,
		"$argon2id$v=19$m=8,t=0,p=1$" + salt + "$" + key,
		"$argon2id$v=19$m=8,t=1,p=0$" + salt + "$" + key,
		"$argon2id$v=19$m=8,t=1,p=256$" + salt + "$" + key,
		"$argon2id$v=19$m=262145,t=1,p=1$" + salt + "$" + key,
		"$argon2id$v=19$m=-8,t=1,p=1$" + salt + "$" + key,
		"$argon2id$v=19$m=8,t=65,p=1$" + salt + "$" + key,
		"$argon2id$v=19$m=8,t=1,p=1,x=1$" + salt + "$" + key,
		"$argon2id$v=19$m=8,t=1,p=1$" + salt + "$",
		"$argon2id$v=19$m=8,t=1,p=1$" + salt + "$" + key + "=",
		"$argon2id$v=19$m=8,t=1,p=1$" + salt + "$" + strings.Repeat("A", 1000),
		"$argon2id$v=19$m=8,t=1,p=1$" + salt + "$" + key + "$",
	} {
		if d, err := parse(text, maxMemory); !errors.Is(err, ErrHash) {
			t.Errorf("parse(%q) = %v, %v; want ErrHash", text, d, err)
		}
	}
}

func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := digest{
			Params: Params{
				Memory:  rapid.Uint32Range(0, maxMemory).Draw(t, "memory"),
				Passes:  rapid.Uint32Range(1, maxPasses).Draw(t, "passes"),
				Threads: rapid.Uint8Range(1, 255).Draw(t, "threads"),
			},
			salt: rapid.SliceOfN(rapid.Byte(), 1, maxPartSize).Draw(t, "salt"),
			key:  rapid.SliceOfN(rapid.Byte(), 1, maxPartSize).Draw(t, "key"),
		}
		got, err := parse(want.String(), maxMemory)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(digest{})); diff != "" {
			t.Fatal(diff)
		}
	})
}

func FuzzParse(f *testing.F) {
	f.Add("$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc")
	f.Add("$argon2id$v=19$m=0,t=0,p=0$$")
	f.Add("$$$$$")
	f.Fuzz(func(t *testing.T, text string) {
		d, err := parse(text, maxMemory)
		if err != nil {
			return
		}
		if d.String() != text {
			t.Fatalf("%q was read as %q", text, d)
		}
		if d.Memory > maxMemory || d.Passes == 0 || d.Passes > maxPasses || d.Threads == 0 || len(d.key) == 0 || len(d.key) > maxPartSize {
			t.Fatalf("%q is out of bounds", text)
		}
	})
}
