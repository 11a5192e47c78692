package socketcluster

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
)

// panicError is a panic in code of the application. It has been logged.
type panicError struct {
	what  string
	value any
}

func (e *panicError) Error() string { return fmt.Sprintf("panic in %s: %v", e.what, e.value) }

// protect calls fn, which calls the application's code. It returns the error of
// fn, or a *panicError if fn panics: one client's action must not end the
// process. The variables that fn captures do not escape, so a call allocates no
// memory.
func protect(log *slog.Logger, what string, fn func() error, attrs ...slog.Attr) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = recovered(log, what, v, attrs...)
		}
	}()
	return fn()
}

// recovered makes an error from the result of recover, and logs it with the
// stack, which is still that of the panic if a deferred function calls
// recovered.
func recovered(log *slog.Logger, what string, v any, attrs ...slog.Attr) *panicError {
	logged := append([]slog.Attr(nil), attrs...) // a copy, so that those of protect do not escape
	logged = append(logged, slog.Any("panic", v), slog.String("stack", string(debug.Stack())))
	log.LogAttrs(context.Background(), slog.LevelError, "panic in "+what, logged...)
	return &panicError{what, v}
}
