package main

import "syscall"

// storeSize is the size of the file system of a node.
const storeSize = "size=512m"

// mount makes a directory a file system in memory. It reports whether it may.
func mount(dir string) bool { return syscall.Mount("tmpfs", dir, "tmpfs", 0, storeSize) == nil }

func unmount(dir string) { _ = syscall.Unmount(dir, syscall.MNT_DETACH) } // it is in use, if that fails
