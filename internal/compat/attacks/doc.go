// Package attacks measures that a server stays within its memory budget while
// it is attacked: a process of its own over TCP, with the resident memory that
// the kernel has seen. The tests are for Linux.
package attacks
