// Package memnet is an in-memory network for tests: a net.Listener and the
// net.Conn pairs that it makes.
//
// Each direction of a connection is a FIFO of at most BufferSize bytes
// (64 KiB, like a small kernel buffer, unless set otherwise): writing blocks
// while it is full, reading while it is empty. Closing one end lets the other
// read what is left and then io.EOF; its writes fail with syscall.EPIPE.
// Deadlines behave as those of a TCP connection and fail with
// os.ErrDeadlineExceeded.
//
// Nothing but sync.Cond, channels and timers is used, so blocked goroutines
// are durably blocked in a bubble of testing/synctest and deadlines follow the
// bubble's clock. A pair belongs to the bubble in which it was made. Byte
// slices are copied; none is kept.
package memnet
