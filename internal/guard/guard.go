// Package guard calls code of an application, whose panics must not end the
// process, and keeps its errors from the peer.
package guard

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"runtime/debug"

	"github.com/socketcluster-go/socketcluster/wire"
)

// PanicError is a panic in code of the application. It has been logged.
type PanicError struct {
	what  string
	value any
}

// Error implements error.
func (e *PanicError) Error() string { return fmt.Sprintf("panic in %s: %v", e.what, e.value) }

// Call calls fn, which calls the application's code. It returns the error of
// fn, or a *PanicError if fn panics: one peer's action must not end the
// process. The variables that fn captures do not escape, so a call allocates no
// memory.
func Call(log *slog.Logger, what string, fn func() error, attrs ...slog.Attr) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = Recovered(log, what, v, attrs...)
		}
	}()
	return fn()
}

// Recovered makes an error from the result of recover, and logs it with the
// stack, which is still that of the panic if a deferred function calls
// Recovered.
func Recovered(log *slog.Logger, what string, v any, attrs ...slog.Attr) *PanicError {
	logged := append([]slog.Attr(nil), attrs...) // a copy, so that those of Call do not escape
	logged = append(logged, slog.Any("panic", v), slog.String("stack", string(debug.Stack())))
	log.LogAttrs(context.Background(), slog.LevelError, "panic in "+what, logged...)
	return &PanicError{what, v}
}

// Mask returns the error that a peer may see: a *wire.Error, even a wrapped one,
// as it is, and an InternalError in place of all others. masked reports whether
// nobody sees the error unless it is logged.
func Mask(err error) (public *wire.Error, masked bool) {
	if errors.As(err, &public) && public != nil {
		return public, false
	}
	return wire.InternalError(), !errors.As(err, new(*PanicError))
}

// IsNil reports whether f is nil, or a nil function: nobody can call it.
func IsNil(f any) bool {
	v := reflect.ValueOf(f)
	return !v.IsValid() || v.Kind() == reflect.Func && v.IsNil()
}

// Emit calls the handlers of an event. A panic in one of them is logged, and the
// others are still called.
func Emit[E any](log *slog.Logger, handlers []*func(E), event E) {
	for _, fn := range handlers {
		_ = Call(log, "an event handler", func() error {
			(*fn)(event)
			return nil
		}, slog.String("event", reflect.TypeOf(event).String()))
	}
}
