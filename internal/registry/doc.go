// Package registry keeps entries that are registered rarely and looked up all
// the time: a list of functions, or handlers by name.
//
// # Ordering
//
// A list has the order of its additions. A reader sees a snapshot: changes in
// the meantime are visible at the next read.
//
// # Blocking
//
// Nothing blocks. A read is one atomic load. A change copies everything, and
// starts again if another change was faster.
//
// # Ownership
//
// The result of All is shared and must not be changed.
//
// # Memory
//
// The zero values are empty, ready to use, and the size of a pointer.
package registry
