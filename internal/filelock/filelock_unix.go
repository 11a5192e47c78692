//go:build unix

// Package filelock locks files between processes.
package filelock

import (
	"os"

	"golang.org/x/sys/unix"
)

// Lock waits for the exclusive lock on a file. The kernel releases it when
// the process dies. The file stays: without it, two processes could hold locks on
// two files.
func Lock(path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600) // it may lie beside secrets
	if err != nil {
		return nil, err
	}
	for {
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX)
		if err != unix.EINTR {
			break
		}
	}
	if err != nil {
		_ = f.Close()
		return nil, &os.PathError{Op: "lock", Path: path, Err: err}
	}
	return func() { _ = f.Close() }, nil
}
