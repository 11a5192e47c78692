package users

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"runtime"
	"strings"

	"golang.org/x/crypto/argon2"
)

// Parameters of new hashes; doc.go names their sources.
const (
	memoryKiB = 19 * 1024
	passes    = 2
	threads   = 1
	saltSize  = 16
	keySize   = 32
)

// Bounds of what is read from the database: beyond them, one row could take
// the memory of the whole process, or make argon2 panic.
const (
	maxMemoryKiB = 1 << 20
	maxPasses    = 64
	maxPartSize  = 128
)

var errDigest = errors.New("users: a stored password hash is not an argon2id PHC string")

var phcBase64 = base64.RawStdEncoding.Strict()

// digest is a hashed password with all that it takes to hash another one in
// the same way.
type digest struct {
	memory, passes uint32
	threads        uint8
	salt, key      []byte
}

// newDigest makes a digest that lacks only its key.
func newDigest() digest {
	d := digest{memory: memoryKiB, passes: passes, threads: threads, salt: make([]byte, saltSize)}
	rand.Read(d.salt) // never fails, see its documentation
	return d
}

// String writes the digest as a PHC string.
func (d digest) String() string {
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, d.memory, d.passes, d.threads,
		phcBase64.EncodeToString(d.salt), phcBase64.EncodeToString(d.key))
}

// parseDigest reads a PHC string.
func parseDigest(text string) (digest, error) {
	parts := strings.Split(text, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" || parts[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return digest{}, errDigest
	}
	var d digest
	var err error
	if _, err = fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &d.memory, &d.passes, &d.threads); err != nil {
		return digest{}, errDigest
	}
	if d.salt, err = phcBase64.DecodeString(parts[4]); err != nil {
		return digest{}, errDigest
	}
	if d.key, err = phcBase64.DecodeString(parts[5]); err != nil {
		return digest{}, errDigest
	}
	inBounds := d.memory <= maxMemoryKiB && 1 <= d.passes && d.passes <= maxPasses && 1 <= d.threads &&
		len(d.salt) <= maxPartSize && 1 <= len(d.key) && len(d.key) <= maxPartSize
	// Comparing with the canonical text also refuses what Sscanf ignores.
	if !inBounds || d.String() != text {
		return digest{}, errDigest
	}
	return d, nil
}

// deriveFunc is the signature of [argon2.IDKey].
type deriveFunc func(password, salt []byte, passes, memory uint32, threads uint8, keyLen uint32) []byte

// hasher hashes passwords, a few at a time.
type hasher struct {
	derive deriveFunc
	slots  chan struct{}
	dummy  digest // no password has it
}

func newHasher() *hasher {
	h := &hasher{derive: argon2.IDKey, slots: make(chan struct{}, runtime.GOMAXPROCS(0)), dummy: newDigest()}
	h.dummy.key = make([]byte, keySize)
	rand.Read(h.dummy.key)
	return h
}

// hash makes a digest of a new password.
func (h *hasher) hash(ctx context.Context, password string) (digest, error) {
	d := newDigest()
	var err error
	d.key, err = h.key(ctx, d, password, keySize)
	return d, err
}

// verify tells whether a digest is that of a password.
func (h *hasher) verify(ctx context.Context, d digest, password string) (bool, error) {
	key, err := h.key(ctx, d, password, len(d.key))
	return err == nil && subtle.ConstantTimeCompare(key, d.key) == 1, err
}

// key waits for a slot and hashes.
func (h *hasher) key(ctx context.Context, d digest, password string, size int) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	select {
	case h.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-h.slots }()
	return h.derive([]byte(password), d.salt, d.passes, d.memory, d.threads, uint32(size)), nil
}
