package calls

import (
	"context"
	"fmt"

	"github.com/socketcluster-go/socketcluster/wire"
)

// Timeout returns the error of a call that has not been answered in time
// (RPC-12): a TimeoutError that is also a [context.DeadlineExceeded].
func Timeout(event string) error {
	return &timeoutError{wire.Error{Name: wire.NameTimeout, Message: fmt.Sprintf("Event response for %s event timed out", event)}}
}

// Ended returns the error of a call whose ctx has ended, or nil.
func Ended(ctx context.Context, event string) error {
	if ctx.Err() == context.DeadlineExceeded {
		return Timeout(event)
	}
	return ctx.Err()
}

// timeoutError is told from the TimeoutError in an answer, which is that of the
// peer, by its cause.
type timeoutError struct{ public wire.Error }

// Error implements error.
func (e *timeoutError) Error() string { return e.public.Error() }

// Unwrap returns the error by its name, and its cause.
func (e *timeoutError) Unwrap() []error { return []error{&e.public, context.DeadlineExceeded} }

// Timeout is for callers that ask any error whether it is a timeout, as that of
// package net.
func (*timeoutError) Timeout() bool { return true }
