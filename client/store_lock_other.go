//go:build !unix

package client

import "io/fs"

// lockFile does nothing here: changes of several processes at once may be lost.
func lockFile(string) (unlock func(), err error) { return func() {}, nil }

// readable returns false, because the mode does not show it here.
func readable(fs.FileMode) bool { return false }
