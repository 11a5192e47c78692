// Package memnet is an in-memory network for tests: a net.Listener and the
// net.Conn pairs that it makes.
//
// Each direction of a connection is a FIFO of at most BufferSize bytes (64 KiB,
// like a small kernel buffer, unless set otherwise): writing blocks while it is
// full, and reading while it is empty. When one end is closed, the other can
// read the remaining bytes and then gets io.EOF; its writes fail with
// syscall.EPIPE. Deadlines behave like those of a TCP connection, and fail with
// os.ErrDeadlineExceeded.
//
// The package uses only sync.Cond, channels and timers, so blocked goroutines
// are durably blocked in a bubble of testing/synctest, and deadlines follow the
// bubble's clock. A pair belongs to the bubble in which it was made. Byte
// slices are copied; none is kept.
package memnet
