// Package cachedir names the directory in which the compatibility tests keep
// what is costly to make again: the installed npm packages and built server
// binaries. Nothing in it is precious; it may be deleted at any time that no
// test runs.
package cachedir

import (
	"fmt"
	"os"
	"path/filepath"
)

// EnvVar overrides the place of the cache, for machines whose user cache
// directory is missing or read-only.
const EnvVar = "SOCKETCLUSTER_COMPAT_CACHE"

// Make creates the directory named by elem below the cache and returns its
// absolute path.
func Make(elem ...string) (string, error) {
	root, err := root()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(append([]string{root}, elem...)...)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("make cache directory: %w", err)
	}
	return dir, nil
}

func root() (string, error) {
	if dir := os.Getenv(EnvVar); dir != "" {
		return filepath.Abs(dir)
	}
	base, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("no user cache directory (set %s to name another): %w", EnvVar, err)
	}
	return filepath.Join(base, "socketcluster-compat"), nil
}
