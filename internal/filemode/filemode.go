// Package filemode reports whether a file with secrets is open to others.
//
// Such a file is reported and not refused: Kubernetes mounts secrets readable for all
// users of the container by default, and a key that worked must not keep a server
// from starting. The group may read: that is how a secret is mounted for a user who
// is not its owner.
package filemode

import (
	"io/fs"
	"runtime"
)

// exposing are the permissions with which others can learn a secret, or put another
// in its place.
const exposing = 0o026

// Exposed reports whether others than the owner and the group can read a file, or
// others than the owner can change it. On Windows the mode does not tell that.
func Exposed(mode fs.FileMode) bool {
	return runtime.GOOS != "windows" && mode.Perm()&exposing != 0
}

// Warning is what is logged about it, with the attributes file and mode.
const Warning = "a file with secrets is open to others: let only its owner change it, and only its group read it"
