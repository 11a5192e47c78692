package password

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/argon2"
)

// ErrHash is the error for a stored hash that is not an argon2id PHC string, or
// whose parameters are out of bounds.
var ErrHash = errors.New("password: the stored hash is not an argon2id PHC string within the bounds")

// Bounds of stored hashes. Without them, one row of a database could exhaust
// the memory of the process, or make argon2 panic.
const (
	maxMemory   = 256 << 10 // KiB, see the package comment
	maxPasses   = 64
	maxPartSize = 128 // bytes
)

var phcBase64 = base64.RawStdEncoding.Strict()

// digest is a hashed password with all parameters for hashing another one in
// the same way.
type digest struct {
	Params
	salt, key []byte
}

// String writes the digest as a PHC string.
func (d digest) String() string {
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, d.Memory, d.Passes, d.Threads,
		phcBase64.EncodeToString(d.salt), phcBase64.EncodeToString(d.key))
}

// parse reads a PHC string that needs at most memory KiB.
func parse(text string, memory uint32) (digest, error) {
	parts := strings.Split(text, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" || parts[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return digest{}, ErrHash
	}
	var d digest
	var err error
	if _, err = fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &d.Memory, &d.Passes, &d.Threads); err != nil {
		return digest{}, ErrHash
	}
	if d.salt, err = phcBase64.DecodeString(parts[4]); err != nil {
		return digest{}, ErrHash
	}
	if d.key, err = phcBase64.DecodeString(parts[5]); err != nil {
		return digest{}, ErrHash
	}
	inBounds := d.Memory <= memory && 1 <= d.Passes && d.Passes <= maxPasses && 1 <= d.Threads &&
		len(d.salt) <= maxPartSize && 1 <= len(d.key) && len(d.key) <= maxPartSize
	// Comparing with the canonical text also refuses what Sscanf ignores.
	if !inBounds || d.String() != text {
		return digest{}, ErrHash
	}
	return d, nil
}
