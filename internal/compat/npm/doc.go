// Package npm installs the stock JavaScript packages that the compatibility
// tests and the benchmark run against.
//
// The versions are pinned by package.json and package-lock.json beside this
// file, those of Redux DevTools in the folder devtools, and those of a cluster of
// socketcluster-server in the folder scc. The lock files name no download host:
// whatever registry the machine's npm is set up for serves the packages, and the
// integrity hashes in the lock files decide whether what it served is accepted. After a change of versions, run "npm install
// --package-lock-only --omit-lockfile-registry-resolved" there.
//
// An installation is keyed by a hash of these two files, made once and shared by
// all processes of a user. Callers must not write into it.
package npm
