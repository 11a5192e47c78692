package socketcluster

import (
	"fmt"
	"log/slog"
	"runtime/debug"
)

// panicError is a panic in code of the application's. It has been logged.
type panicError struct{ value any }

func (e *panicError) Error() string { return fmt.Sprintf("panic: %v", e.value) }

// recovered makes an error of what recover has returned, and logs it with the
// stack, which is still that of the panic when a deferred function calls it.
func recovered(log *slog.Logger, what string, v any, attrs ...any) *panicError {
	attrs = append(attrs, slog.Any("panic", v), slog.String("stack", string(debug.Stack())))
	log.Error("panic in "+what, attrs...)
	return &panicError{v}
}
