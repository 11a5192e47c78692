// Package users keeps the users of the demo server and checks their passwords.
// They are in a file of bbolt, or in memory.
//
// # Passwords
//
// Passwords are stored as the argon2id hashes of package auth/password. A login
// with an unknown name costs as much as one with a wrong password and fails with
// the same error, so that nobody can find out who has an account.
//
// # Names
//
// Users are stored under their login.NormalName: Alice and alice are one user,
// here and for the limits of package login.
//
// # Processes
//
// A file is open in one process at a time. Another one that opens it waits for
// a second, and fails then.
//
// # Blocking
//
// A hash takes some tens of milliseconds, and only a few are computed at once;
// see package auth/password. Adding a user to a file waits for the disk. A
// [Store] may be used by many goroutines.
package users
