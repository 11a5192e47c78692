// Package outbox provides the bounded queue of complete frames in front of one
// connection. A goroutine writes them that exists only while there is something
// to write. Outboxes of connections that never make a writer wait may share a few
// such goroutines, see Crew.
//
// # Ordering
//
// Frames are written in the order in which Push accepted them; the frame of
// Finish is the last one. Pushes of one goroutine take effect in program order.
// A frame of PushFirst goes in front of all others except the next ones, which
// are at most 64 KiB.
//
// # Blocking
//
// Push, PushFirst, Reserve, Take, Finish, Kill, Bytes and Len do not wait for
// the peer: an outbox lock is a leaf and is not held during a write or a
// callback. Take waits for a write that is under way, which itself never waits.
// Wait is the back pressure for those who answer a peer, WaitFor for those who
// publish to many. Drain is for the end of a connection.
//
// The goroutine that fills the outbox calls OutboxFull, with whatever locks it
// holds. The other callbacks run on the flusher's goroutine, without a lock. At
// most one of them is called, at most once, and none if Kill is called before
// the end of the write in question.
//
// # Corks
//
// Between Cork and Uncork frames collect, so that they leave in one write. Uncork may
// write them on its caller's goroutine. The same is possible from outside: frames of
// PushLater may wait for the next Crew.Flush, which has those of all outboxes written.
//
// # Full
//
// A full outbox still accepts frames. An outbox ends for one of two reasons.
// Either its connection takes nothing for Limits.Stall, or for half of that
// while more than Limits.Bytes waits. Or more than Limits.Bytes waits and does
// not shrink by Limits.Bytes, or to Limits.Bytes, within Limits.Drain. So a
// burst of any size is delivered to a peer that reads at that pace, and an
// outbox ends if it gets more than its connection takes for that long.
//
// # Units and limits
//
// All sizes are bytes of frames, header included. A frame counts from Push
// until all of it has been written; for Wait and Limits, each byte counts until
// it has been written. A frame that many outboxes share counts in each of them.
// In the budget it counts once, plus 112 bytes for each place in a queue. One
// call of WriteFrames gets at most 64 frames and, unless a single frame is
// larger, 64 KiB.
//
// # Ownership
//
// A frame is immutable once it has been pushed, and may be shared. A connection
// has the frames of WriteFrames until that returns. Afterwards Take can remove
// all frames except one of which a part has been written.
//
// # Memory
//
// An idle outbox owns no goroutine and no buffer; its queue comes from a pool
// and goes back once it is empty.
package outbox
