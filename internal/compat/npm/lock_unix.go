//go:build unix

package npm

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// lockFile waits for the exclusive lock on path. The kernel releases it when
// the process dies, so a killed test run never blocks the next one. The file
// itself stays: removing it would let two processes hold locks on two inodes.
func lockFile(path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
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
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return func() { f.Close() }, nil
}
