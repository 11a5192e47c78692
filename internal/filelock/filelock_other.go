//go:build !unix

// Package filelock locks files between processes.
package filelock

// Lock does nothing here: changes of several processes at once may be lost.
func Lock(string) (unlock func(), err error) { return func() {}, nil }
