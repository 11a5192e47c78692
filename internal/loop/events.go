package loop

import (
	"context"
	"iter"
)

// Events returns a sequence of the events that on passes to a function from now
// on, until off is called. It ends with ctx, and when finished is closed, after
// the events before. It can be looped over once.
func Events[E any](ctx context.Context, finished <-chan struct{}, on func(fn func(E)) (off func())) iter.Seq[E] {
	l := New[E](ctx, finished)
	off := on(l.Write)
	end := func() {
		off()
		l.End()
	}
	stop := context.AfterFunc(ctx, end) // the loop may never begin
	return func(yield func(E) bool) {
		defer stop()
		defer end()
		l.Read(yield)
	}
}
