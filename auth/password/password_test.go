package password

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/argon2"

	"github.com/socketcluster-go/socketcluster/wire"
)

// work is what a hash costs.
type work struct {
	passes, memory uint32
	threads        uint8
	salt, key      int
}

// usual is the work of a hash with the default parameters.
var usual = work{passes: 2, memory: 19456, threads: 1, salt: 16, key: 32}

// recording makes a hasher that records the parameters, and hashes cheaply.
func recording(done *[]work) *Hasher {
	return &Hasher{derive: func(password, salt []byte, passes, memory uint32, threads uint8, size uint32) []byte {
		*done = append(*done, work{passes, memory, threads, len(salt), int(size)})
		return argon2.IDKey(password, salt, 1, 8, 1, size)
	}}
}

func hash(t *testing.T, h *Hasher, password string) string {
	t.Helper()
	text, err := h.Hash(t.Context(), password)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestHashAndVerify(t *testing.T) {
	var h Hasher
	stored := hash(t, &h, "correct horse")
	if want := "$argon2id$v=19$m=19456,t=2,p=1$"; !strings.HasPrefix(stored, want) {
		t.Errorf("hash is %s, want the prefix %s", stored, want)
	}
	for password, want := range map[string]bool{"correct horse": true, "Correct horse": false, "": false, "correct horse\x00": false} {
		if good, err := h.Verify(t.Context(), stored, password); good != want || err != nil {
			t.Errorf("Verify(%q) = %v, %v; want %v", password, good, err, want)
		}
	}
	if hash(t, &h, "correct horse") == stored {
		t.Error("two hashes of one password are equal: the salt is not random")
	}
}

// The vector was made with the reference implementation (the argon2 command).
func TestVerifyForeignHash(t *testing.T) {
	const stored = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
	var h Hasher
	if good, err := h.Verify(t.Context(), stored, "password"); !good || err != nil {
		t.Errorf("Verify = %v, %v; want true", good, err)
	}
	if !h.NeedsRehash(stored) {
		t.Error("a hash with other parameters is to stay")
	}
}

// A name that nobody has costs the same hash as a wrong password.
func TestEqualWork(t *testing.T) {
	var done []work
	h := recording(&done)
	stored := hash(t, h, "secret")
	for name, c := range map[string]struct{ stored, password string }{
		"wrong password":              {stored, "Secret"},
		"no password":                 {stored, ""},
		"nobody":                      {"", "secret"},
		"nobody, without a password":  {"", ""},
		"the right password, at last": {stored, "secret"},
		"the longest password":        {stored, strings.Repeat("x", MaxPassword)},
		"the longest one, for nobody": {"", strings.Repeat("x", MaxPassword)},
	} {
		done = nil
		good, err := h.Verify(t.Context(), c.stored, c.password)
		if want := c.password == "secret" && c.stored != ""; good != want || err != nil {
			t.Errorf("%s: %v, %v; want %v", name, good, err, want)
		}
		if diff := cmp.Diff([]work{usual}, done, cmp.AllowUnexported(work{})); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// The digest of nobody is nobody's even for who knows a password of it.
func TestNobody(t *testing.T) {
	h := &Hasher{derive: func(_, _ []byte, _, _ uint32, _ uint8, size uint32) []byte { return make([]byte, size) }}
	h.init()
	clear(h.nobody.key)
	if good, err := h.Verify(t.Context(), "", "whatever"); good || err != nil {
		t.Errorf("Verify = %v, %v; want false", good, err)
	}
}

func TestTooLong(t *testing.T) {
	var done []work
	h := recording(&done)
	stored := hash(t, h, strings.Repeat("x", MaxPassword))
	done = nil
	long := strings.Repeat("x", MaxPassword+1)
	if _, err := h.Hash(t.Context(), long); !errors.Is(err, ErrTooLong) {
		t.Errorf("Hash: %v", err)
	}
	for _, s := range []string{stored, ""} {
		if good, err := h.Verify(t.Context(), s, long); good || err != nil {
			t.Errorf("Verify(%q) = %v, %v", s, good, err)
		}
	}
	if done != nil {
		t.Errorf("a password that is too long was hashed: %v", done)
	}
}

func TestNeedsRehash(t *testing.T) {
	var done []work
	h := recording(&done)
	stored := hash(t, h, "secret")
	if h.NeedsRehash(stored) {
		t.Errorf("%s, a new hash, needs another one", stored)
	}
	raised := &Hasher{Params: Params{Memory: 46 << 10, Passes: 1}}
	for _, old := range []string{stored, "", "$2b$10$abcdefghijklmnopqrstuv", strings.Replace(stored, "p=1", "p=2", 1)} {
		if !raised.NeedsRehash(old) {
			t.Errorf("%q needs no other hash", old)
		}
	}
}

// The cost of a stored hash is bounded, and broken hashes log nobody in.
func TestVerifyRefusesHashes(t *testing.T) {
	var done []work
	h := recording(&done)
	const tail = "$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
	for _, stored := range []string{"secret", "$argon2id$v=19$m=262145,t=1,p=1" + tail, "$argon2id$v=19$m=8,t=65,p=1" + tail, "$argon2i$v=19$m=8,t=1,p=1" + tail} {
		if good, err := h.Verify(t.Context(), stored, "password"); good || !errors.Is(err, ErrHash) {
			t.Errorf("Verify(%s) = %v, %v; want ErrHash", stored, good, err)
		}
	}
	if done != nil {
		t.Errorf("hashed: %v", done)
	}
	large := recording(&done)
	large.Params.Memory = 512 << 10
	if _, err := large.Verify(t.Context(), "$argon2id$v=19$m=524288,t=1,p=1"+tail, "password"); err != nil {
		t.Errorf("with Params of 512 MiB: %v", err)
	}
}

// As many hashes run at once as there are slots, never more; as many wait as
// may, and the rest are refused.
func TestBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		running, most := 0, 0
		proceed := make(chan struct{})
		h := &Hasher{Concurrent: 3, Waiting: 5, derive: func(_, _ []byte, _, _ uint32, _ uint8, size uint32) []byte {
			mu.Lock()
			running++
			most = max(most, running)
			mu.Unlock()
			<-proceed
			mu.Lock()
			running--
			mu.Unlock()
			return make([]byte, size)
		}}
		start := func(ctx context.Context) chan error {
			ended := make(chan error, 1)
			go func() {
				_, err := h.Verify(ctx, "", "x")
				ended <- err
			}()
			synctest.Wait()
			return ended
		}
		var all []chan error
		for range 7 {
			all = append(all, start(t.Context()))
		}
		mu.Lock()
		if running != 3 {
			t.Errorf("%d hashes run, want 3", running)
		}
		mu.Unlock()

		ctx, cancel := context.WithCancel(t.Context())
		gaveUp := start(ctx)
		busy := <-start(t.Context())
		if !errors.Is(busy, ErrBusy) || !errors.Is(busy, wire.ErrResourceLimit) {
			t.Errorf("beyond Waiting: %v, want ErrBusy", busy)
		}
		// A waiter that gives up makes room for another.
		cancel()
		if err := <-gaveUp; !errors.Is(err, context.Canceled) {
			t.Errorf("a cancelled context: %v", err)
		}
		all = append(all, start(t.Context()))

		close(proceed)
		for _, ended := range all {
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
		if most != 3 || len(h.slots) != 0 || h.waiting.Load() != 0 {
			t.Errorf("%d hashes ran at once, %d slots are taken, %d wait; want 3, 0, 0", most, len(h.slots), h.waiting.Load())
		}
		if err := <-start(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("with a context that has ended: %v", err)
		}
	})
}

func TestDefaults(t *testing.T) {
	var h Hasher
	h.init()
	if want := max(1, runtime.GOMAXPROCS(0)/2); h.Concurrent != want || h.Waiting != 64*want {
		t.Errorf("Concurrent %d, Waiting %d; want %d, %d", h.Concurrent, h.Waiting, want, 64*want)
	}
}

func BenchmarkVerify(b *testing.B) {
	b.ReportAllocs()
	var h Hasher
	for b.Loop() {
		if good, err := h.Verify(b.Context(), "", "password"); good || err != nil {
			b.Fatal(good, err)
		}
	}
}
