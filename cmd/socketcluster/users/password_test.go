package users

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/argon2"
	"pgregory.net/rapid"
)

// cheap stands in for argon2 where the cost is not what is tested.
func cheap(password, salt []byte, _, _ uint32, _ uint8, size uint32) []byte {
	return argon2.IDKey(password, salt, 1, 8, 1, size)
}

func TestHashAndVerify(t *testing.T) {
	ctx := t.Context()
	h := newHasher()
	d, err := h.hash(ctx, "correct horse")
	if err != nil {
		t.Fatal(err)
	}
	if want := "$argon2id$v=19$m=19456,t=2,p=1$"; !strings.HasPrefix(d.String(), want) {
		t.Errorf("hash is %s, want the prefix %s", d, want)
	}
	if len(d.salt) != saltSize || len(d.key) != keySize {
		t.Errorf("salt of %d and key of %d bytes, want %d and %d", len(d.salt), len(d.key), saltSize, keySize)
	}
	for password, want := range map[string]bool{"correct horse": true, "Correct horse": false, "": false, "correct horse\x00": false} {
		if good, err := h.verify(ctx, d, password); good != want || err != nil {
			t.Errorf("verify(%q) = %v, %v; want %v", password, good, err, want)
		}
	}
	again, err := h.hash(ctx, "correct horse")
	if err != nil {
		t.Fatal(err)
	}
	if again.String() == d.String() {
		t.Error("two hashes of one password are equal: the salt is not random")
	}
}

// The vector was made with the reference implementation (the argon2 command).
func TestVerifyForeignHash(t *testing.T) {
	d, err := parseDigest("$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc")
	if err != nil {
		t.Fatal(err)
	}
	if want := "09316115d5cf24ed5a15a31a3ba326e5cf32edc24702987c02b6566f61913cf7"; hex.EncodeToString(d.key) != want {
		t.Errorf("key is %x, want %s", d.key, want)
	}
	if good, err := newHasher().verify(t.Context(), d, "password"); !good || err != nil {
		t.Errorf("verify = %v, %v; want true", good, err)
	}
}

func TestParseDigestRefuses(t *testing.T) {
	const salt, key = "c29tZXNhbHQ", "CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
	for _, text := range []string{
		"",
		"password",
		"$argon2i$v=19$m=8,t=1,p=1$" + salt + "$" + key,
		"$argon2id$v=16$m=8,t=1,p=1$" + salt + "$" + key,
		"$argon2id$v=19$m=8,t=0,p=1$" + salt + "$" + key,
		"$argon2id$v=19$m=8,t=1,p=0$" + salt + "$" + key,
		"$argon2id$v=19$m=8,t=1,p=256$" + salt + "$" + key,
		"$argon2id$v=19$m=1048577,t=1,p=1$" + salt + "$" + key,
		"$argon2id$v=19$m=8,t=65,p=1$" + salt + "$" + key,
		"$argon2id$v=19$m=8,t=1,p=1,x=1$" + salt + "$" + key,
		"$argon2id$v=19$m=8,t=1,p=1$" + salt + "$",
		"$argon2id$v=19$m=8,t=1,p=1$" + salt + "$" + key + "=",
		"$argon2id$v=19$m=8,t=1,p=1$" + salt + "$" + strings.Repeat("A", 1000),
		"$argon2id$v=19$m=8,t=1,p=1$" + salt + "$" + key + "$",
	} {
		if d, err := parseDigest(text); !errors.Is(err, errDigest) {
			t.Errorf("parseDigest(%q) = %v, %v; want errDigest", text, d, err)
		}
	}
}

func TestDigestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := digest{
			memory:  rapid.Uint32Range(0, maxMemoryKiB).Draw(t, "memory"),
			passes:  rapid.Uint32Range(1, maxPasses).Draw(t, "passes"),
			threads: rapid.Uint8Range(1, 255).Draw(t, "threads"),
			salt:    rapid.SliceOfN(rapid.Byte(), 1, maxPartSize).Draw(t, "salt"),
			key:     rapid.SliceOfN(rapid.Byte(), 1, maxPartSize).Draw(t, "key"),
		}
		got, err := parseDigest(want.String())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(digest{})); diff != "" {
			t.Fatal(diff)
		}
	})
}

func FuzzParseDigest(f *testing.F) {
	f.Add("$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc")
	f.Add("$argon2id$v=19$m=0,t=0,p=0$$")
	f.Add("$$$$$")
	f.Fuzz(func(t *testing.T, text string) {
		d, err := parseDigest(text)
		if err != nil {
			return
		}
		if d.String() != text {
			t.Fatalf("%q was read as %q", text, d)
		}
		if d.memory > maxMemoryKiB || d.passes == 0 || d.threads == 0 || len(d.key) == 0 {
			t.Fatalf("%q is out of bounds", text)
		}
	})
}

// As many hashes run at once as there are slots, never more; the rest wait.
func TestHasherIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHasher()
		var mu sync.Mutex
		running, most := 0, 0
		proceed := make(chan struct{})
		h.derive = func(_, _ []byte, _, _ uint32, _ uint8, size uint32) []byte {
			mu.Lock()
			running++
			most = max(most, running)
			mu.Unlock()
			<-proceed
			mu.Lock()
			running--
			mu.Unlock()
			return make([]byte, size)
		}
		slots := runtime.GOMAXPROCS(0)
		var wg sync.WaitGroup
		for range 3 * slots {
			wg.Go(func() {
				if _, err := h.hash(t.Context(), "x"); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		mu.Lock()
		if running != slots {
			t.Errorf("%d hashes run, want %d", running, slots)
		}
		mu.Unlock()

		// Who gives up while waiting takes no slot.
		ctx, cancel := context.WithCancel(t.Context())
		gaveUp := make(chan error, 1)
		go func() {
			_, err := h.hash(ctx, "x")
			gaveUp <- err
		}()
		synctest.Wait()
		cancel()
		if err := <-gaveUp; !errors.Is(err, context.Canceled) {
			t.Errorf("hash of a cancelled context: %v", err)
		}

		close(proceed)
		wg.Wait()
		if most != slots {
			t.Errorf("%d hashes ran at once, want %d", most, slots)
		}
		if len(h.slots) != 0 {
			t.Errorf("%d slots are still taken", len(h.slots))
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	b.ReportAllocs()
	h := newHasher()
	for b.Loop() {
		if good, err := h.verify(b.Context(), h.dummy, "password"); good || err != nil {
			b.Fatal(fmt.Sprint(good, err))
		}
	}
}
