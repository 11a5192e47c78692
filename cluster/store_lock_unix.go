//go:build unix

package cluster

import (
	"os"

	"golang.org/x/sys/unix"
)

// lockStore takes the exclusive lock on a file, or reports that another process or
// node has it. The kernel releases it when the process dies. The file stays.
func lockStore(path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err != unix.EINTR {
			break
		}
	}
	if err == unix.EWOULDBLOCK {
		err = errStoreUsed
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return func() { _ = f.Close() }, nil
}
