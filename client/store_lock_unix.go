//go:build unix

package client

import (
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// lockFile waits for the exclusive lock on a file. The kernel releases it when
// the process dies. The file stays: without it, two processes could hold locks on
// two files.
func lockFile(path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
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

// readable reports whether others than the owner can read or change a file.
func readable(mode fs.FileMode) bool { return mode.Perm()&0o077 != 0 }
