package password

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"

	"golang.org/x/crypto/argon2"

	"github.com/socketcluster-go/socketcluster/wire"
)

// MaxPassword is the longest password, in bytes.
const MaxPassword = 1024

const (
	saltSize = 16 // bytes
	keySize  = 32
)

// ErrTooLong is returned by [Hasher.Hash] for passwords over [MaxPassword].
var ErrTooLong = errors.New("password: longer than 1024 bytes")

// ErrBusy is returned when [Hasher].Waiting is reached. Clients may see it.
var ErrBusy error = &wire.Error{Name: wire.NameResourceLimit, Message: "Too many logins at once"}

// Params are the cost of a hash. Zero means the default, see the package
// comment.
type Params struct {
	Memory  uint32 // KiB; default 19456
	Passes  uint32 // default 2
	Threads uint8  // default 1
}

func (p Params) withDefaults() Params {
	return Params{cmp.Or(p.Memory, 19*1024), cmp.Or(p.Passes, 2), cmp.Or(p.Threads, 1)}
}

// A Hasher hashes passwords and verifies them. Its zero value is ready for use.
// Many goroutines may use it. Its fields must not change after the first use,
// and it must not be copied.
type Hasher struct {
	// Params are the parameters of new hashes. Raise them as hardware gets
	// faster.
	Params Params

	// Concurrent is the number of hashes that run at once. Default: half of
	// GOMAXPROCS, at least 1, so that logins leave processors to the
	// connections.
	Concurrent int

	// Waiting is the number of further hashes that may wait for their turn.
	// Default: 64 for each of Concurrent, which is a wait of some seconds.
	Waiting int

	once    sync.Once
	derive  deriveFunc
	slots   chan struct{}
	waiting atomic.Int64
	nobody  digest // of no password
}

// deriveFunc is the signature of [argon2.IDKey].
type deriveFunc func(password, salt []byte, passes, memory uint32, threads uint8, keySize uint32) []byte

func (h *Hasher) init() {
	h.once.Do(func() {
		h.Params = h.Params.withDefaults()
		if h.Concurrent <= 0 {
			h.Concurrent = max(1, runtime.GOMAXPROCS(0)/2)
		}
		if h.Waiting <= 0 {
			h.Waiting = 64 * h.Concurrent
		}
		if h.derive == nil {
			h.derive = argon2.IDKey
		}
		h.slots = make(chan struct{}, h.Concurrent)
		h.nobody = h.newDigest()
		h.nobody.key = make([]byte, keySize)
		rand.Read(h.nobody.key)
	})
}

// newDigest makes a digest that lacks only its key.
func (h *Hasher) newDigest() digest {
	d := digest{Params: h.Params, salt: make([]byte, saltSize)}
	rand.Read(d.salt) // never fails, see its documentation
	return d
}

// Hash returns the PHC string of a new password, for the caller to store.
func (h *Hasher) Hash(ctx context.Context, password string) (string, error) {
	h.init()
	if len(password) > MaxPassword {
		return "", ErrTooLong
	}
	d := h.newDigest()
	var err error
	if d.key, err = h.key(ctx, d, password, keySize); err != nil {
		return "", err
	}
	return d.String(), nil
}

// Verify reports whether a stored hash is that of a password. It returns false
// for an empty hash: pass one for an unknown name, or for a user without a
// password, so that the time does not distinguish them from a wrong password.
//
// The error is [ErrHash], [ErrBusy], or that of ctx.
func (h *Hasher) Verify(ctx context.Context, hash, password string) (bool, error) {
	h.init()
	d := h.nobody
	if hash != "" {
		var err error
		if d, err = h.parse(hash); err != nil {
			return false, err
		}
	}
	if len(password) > MaxPassword {
		return false, nil // no hash has such a password: Hash refuses it
	}
	key, err := h.key(ctx, d, password, len(d.key))
	if err != nil {
		return false, err
	}
	return subtle.ConstantTimeCompare(key, d.key) == 1 && hash != "", nil
}

// NeedsRehash reports whether a stored hash has other parameters than new ones,
// or cannot be read. Call it after a successful login, when the password is
// available to be hashed again.
func (h *Hasher) NeedsRehash(hash string) bool {
	h.init()
	d, err := h.parse(hash)
	return err != nil || d.Params != h.Params || len(d.salt) != saltSize || len(d.key) != keySize
}

func (h *Hasher) parse(hash string) (digest, error) {
	return parse(hash, max(maxMemory, h.Params.Memory))
}

// key waits for a slot and hashes.
func (h *Hasher) key(ctx context.Context, d digest, password string, size int) ([]byte, error) {
	if err := h.acquire(ctx); err != nil {
		return nil, err
	}
	defer func() { <-h.slots }()
	return h.derive([]byte(password), d.salt, d.Passes, d.Memory, d.Threads, uint32(size)), nil
}

func (h *Hasher) acquire(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case h.slots <- struct{}{}:
		return nil
	default:
	}
	defer h.waiting.Add(-1)
	if h.waiting.Add(1) > int64(h.Waiting) {
		return ErrBusy
	}
	select {
	case h.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
