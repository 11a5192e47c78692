// Package filemode reports whether others can read or change a file with
// secrets.
//
// Such a file is reported but not refused: by default, Kubernetes mounts
// secrets so that all users of the container can read them, and a key that
// worked must not keep a server from starting. The group may read it, because a
// secret is mounted that way for a user who is not its owner.
package filemode

import (
	"io/fs"
	"runtime"
)

// exposing are the permissions that let others read a secret, or replace it.
const exposing = 0o026

// Exposed reports whether others than the owner and the group can read a file,
// or others than the owner can change it. On Windows the mode does not show
// this.
func Exposed(mode fs.FileMode) bool {
	return runtime.GOOS != "windows" && mode.Perm()&exposing != 0
}

// Warning is the message that is logged for such a file, with the attributes
// file and mode.
const Warning = "others can read or change a file with secrets: let only its owner change it, and only its owner and group read it"
