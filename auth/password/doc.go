// Package password hashes and verifies passwords with argon2id (RFC 9106). It
// bounds the number of hashes that are computed at a time, and takes as long
// for an unknown name as for a wrong password.
//
//	var passwords password.Hasher
//
//	stored, err := find(name) // "" if there is no such user
//	good, err := passwords.Verify(ctx, stored, given)
//
// Hashes are PHC strings, such as $argon2id$v=19$m=19456,t=2,p=1$…$…, which
// contain their parameters. These can be raised at any time, and
// [Hasher.NeedsRehash] reports at a login whether to hash again.
//
// # Constants
//
// The default parameters (19 MiB, two passes, one thread) are the first
// recommendation of the OWASP Password Storage Cheat Sheet. Salts of 16 and
// keys of 32 bytes are those of RFC 9106 section 3.1. [MaxPassword] is far more
// than the 64 characters that NIST SP 800-63B section 3.1.1 demands to allow. A
// stored hash may need at most 256 MiB, the MODERATE setting of libsodium,
// unless [Params] need more.
//
// # Blocking and memory
//
// One hash with the default parameters takes some tens of milliseconds and 19
// MiB. At most [Hasher].Concurrent run at once, which bounds the memory. The
// others wait for their turn, in order, or for the end of their context. Beyond
// [Hasher].Waiting they are refused at once with [ErrBusy]. A hash that has
// begun is finished even if its context ends.
//
// # Equal time
//
// Verify computes one hash for each password, even if there is nothing to
// compare it with. The time is equal as long as the stored hashes have the
// parameters of the Hasher. So rehash passwords with old parameters when their
// users log in. Keys are compared in constant time.
package password
