// Package password keeps passwords as argon2id hashes (RFC 9106), a bounded
// number at a time, and without telling names that nobody has from wrong
// passwords.
//
//	var passwords password.Hasher
//
//	stored, err := find(name) // "" if there is no such user
//	good, err := passwords.Verify(ctx, stored, given)
//
// Hashes are PHC strings, such as $argon2id$v=19$m=19456,t=2,p=1$…$…, which
// name their own parameters: these can be raised at any time, and
// [Hasher.NeedsRehash] tells at a login whether to hash anew.
//
// # Constants
//
// The default parameters (19 MiB, two passes, one thread) are the first
// recommendation of the OWASP Password Storage Cheat Sheet. Salts of 16 and keys of
// 32 bytes are those of RFC 9106 section 3.1. [MaxPassword] is far beyond the 64
// characters that NIST SP 800-63B section 3.1.1 wants to be possible. A stored
// hash may ask for 256 MiB at most, the MODERATE setting of libsodium, unless
// [Params] ask for more.
//
// # Blocking and memory
//
// One hash with the default parameters takes some tens of milliseconds and 19
// MiB. At most [Hasher].Concurrent run at once, so that the memory is bounded by as
// many times that of one hash. The others wait for their turn, in order, or for
// the end of their context; beyond [Hasher].Waiting they are refused at once with
// [ErrBusy]. A hash that has begun is finished even if its context ends.
//
// # Equal time
//
// Verify computes one hash for each password, also when there is nothing to
// compare it with. The time is equal as long as the stored hashes have the
// parameters of the Hasher, so raise those of old hashes as their users log in.
// Keys are compared in constant time.
package password
