// Package attacks checks that a server stays within its memory budget while it
// is attacked. The server is a process of its own over TCP, and the kernel
// reports its resident memory. The tests are for Linux.
package attacks
