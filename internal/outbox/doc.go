// Package outbox provides the bounded queue of complete frames in front of one
// connection, written by a goroutine that exists only while there is something
// to write.
//
// # Ordering
//
// Frames are written in the order in which Push took them; the frame of Finish
// is the last one. Pushes of one goroutine take effect in program order.
//
// # Blocking
//
// Push, Take, Finish, Kill, Bytes and Len never block: an outbox lock is a leaf and
// is not held during a write or a callback. Wait and Drain block: Wait is the
// push-back for whoever answers a peer, Drain is for the end of a connection. Owner callbacks run on the flusher's goroutine,
// without the lock. At most one of the two is called, at most once, and none
// when Kill came before the end of the write in question.
//
// # Units and limits
//
// All sizes are bytes of frames, header included. A frame counts from Push
// until its write has returned. A frame shared by many outboxes counts in each.
// In the budget it counts once, and there each place in a queue counts for
// what it takes (96 bytes). One call of WriteFrames gets at most 64 frames and, unless a single
// frame is larger, 64 KiB; both figures are chosen here, so that the stall
// limit of one write means "no progress" rather than "much to send".
//
// # Ownership
//
// A pushed frame is immutable from then on and may be shared. The outer slice
// given to WriteFrames belongs to the connection until it returns and may be
// modified (net.Buffers does); the frames in it may not.
//
// # Memory
//
// An idle outbox owns no goroutine and no buffer; its queue comes from a pool
// and goes back when it has drained.
package outbox
