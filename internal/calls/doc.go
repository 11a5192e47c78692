// Package calls keeps the calls to the peer of a connection that wait for an
// answer.
//
// # Ordering
//
// The ids of a table count from 1 in the order of Begin. Begin belongs into the
// same critical section as the sending of the call, so that the ids on the wire
// ascend. A call ends once: the first of an answer, its deadline and Abort counts.
//
// # Blocking
//
// Only Call.Wait waits. The other methods take the lock of the table, and below it
// those of the timing wheel and of what busy calls.
//
// # Ownership
//
// Answer copies the data out of the packet. Wait must be called once for each
// Begin: it takes the call out of the table and the timer off the wheel.
//
// # Memory
//
// A table exists from the first call on. All methods that look at calls may be
// called on a nil *Table, which has none.
package calls
