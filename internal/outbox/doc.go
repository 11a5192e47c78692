// Package outbox provides the bounded queue of complete frames in front of one
// connection, written by a goroutine that exists only while there is something
// to write.
//
// # Ordering
//
// Frames are written in the order in which Push took them; the frame of Finish
// is the last one. Pushes of one goroutine take effect in program order. A frame
// of PushFirst goes in front of the others, but for the 64 KiB at most that are
// next.
//
// # Blocking
//
// Push, PushFirst, Reserve, Take, Finish, Kill, Bytes and Len do not wait for the peer: an
// outbox lock is a leaf and is not held during a write or a callback. Take waits
// for a write that cannot wait itself. Wait is the push-back for whoever answers a
// peer, WaitFor that for whoever publishes to many, and Drain is for the end of a
// connection.
//
// OutboxFull is called by the goroutine that has filled the outbox, with whatever
// locks it holds. The other callbacks run on the flusher's goroutine, without a
// lock. At most one of them is called, at most once, and none when Kill came
// before the end of the write in question.
//
// # Full
//
// Being full is no reason to refuse a frame. An outbox ends for one of two
// reasons: its connection takes nothing for Limits.Stall, half of which must do
// while more than Limits.Bytes waits; or more than Limits.Bytes waits and does not get less by Limits.Bytes, or down to it, within Limits.Drain.
// So a burst is delivered, however large, to whoever reads at that pace, and an
// outbox that gets more than its connection takes, for as long as that, ends.
//
// # Units and limits
//
// All sizes are bytes of frames, header included. A frame counts from Push
// until all of it has been written; for Wait and Limits, until each byte has. A
// frame shared by many outboxes counts in each. In the budget it counts once, and
// there each place in a queue counts for what it takes (112 bytes). One call of
// WriteFrames gets at most 64 frames and, unless a single frame is larger, 64 KiB.
//
// # Ownership
//
// A pushed frame is immutable from then on and may be shared. A connection has
// the frames of WriteFrames until that returns. Only a frame of which it has
// written a part is out of reach for Take afterwards.
//
// # Memory
//
// An idle outbox owns no goroutine and no buffer; its queue comes from a pool
// and goes back when it has drained.
package outbox
