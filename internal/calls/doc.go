// Package calls keeps the calls to the peer of a connection that wait for an
// answer.
//
// # Ordering
//
// The IDs of a table ascend in the order of Begin. Begin must be in the
// same critical section as the sending of the call, so that the IDs on the wire
// ascend. A call ends once: the first of an answer, its deadline and Abort
// counts.
//
// # Blocking
//
// Only Call.Wait waits. The other methods take the lock of the table, and below
// it those of the timing wheel and those that busy takes.
//
// # Ownership
//
// Answer copies the data out of the packet. Wait or Cancel must be called once for each
// Begin: it removes the call from the table and the timer from the wheel.
//
// # Memory
//
// A table exists from the first call on. All methods that read calls may be
// called on a nil *Table, which has none.
package calls
