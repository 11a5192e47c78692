// Package registry keeps what is registered seldom and looked up all the time: a
// list of functions, or handlers by name.
//
// # Ordering
//
// A list has the order of its additions. Whoever reads sees one moment: what is
// added or removed meanwhile is seen the next time.
//
// # Blocking
//
// Nothing blocks. Reading is one atomic load. A change copies everything, and
// begins again if another one was faster.
//
// # Ownership
//
// What All returns is shared and must not be written to.
//
// # Memory
//
// The zero values are empty, ready to use, and the size of a pointer.
package registry
