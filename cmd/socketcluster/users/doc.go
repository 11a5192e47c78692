// Package users keeps the users of the demo server in SQLite and checks their
// passwords.
//
// # Passwords
//
// Passwords are hashed with argon2id and stored as PHC strings, which name
// their own parameters, so that these can be raised later. The parameters (19
// MiB, two passes, one thread) are the first recommendation of the OWASP
// Password Storage Cheat Sheet; the sizes of salt and key (16 and 32 bytes) are
// those that RFC 9106 section 3.1 recommends.
//
// A login with an unknown name costs as much as one with a wrong password and
// fails with the same error, so that nobody can find out who has an account.
//
// # Blocking
//
// One hash takes some tens of milliseconds and 19 MiB. As many run at once as
// there are processors; the others wait for their turn or for the end of their
// context. A [Store] may be used by many goroutines.
package users
