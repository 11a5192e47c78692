package loop_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/socketcluster-go/socketcluster/internal/loop"
)

// A full queue loses its oldest items, by their number and by their bytes. One item
// may be larger than all may be.
func TestLossy(t *testing.T) {
	var released []int
	l := loop.NewLossy(3, 10, func(v int) { released = append(released, v) })
	for i := range 4 {
		l.Write(i, 2)
	}
	if !slices.Equal(released, []int{0}) {
		t.Errorf("lost by number: %d", released)
	}
	l.Write(4, 7)
	if !slices.Equal(released, []int{0, 1, 2}) {
		t.Errorf("lost by bytes: %d", released)
	}
	l.Write(5, 99)
	l.Write(6, 10)
	if !slices.Equal(released, []int{0, 1, 2, 3, 4, 5}) {
		t.Errorf("lost to a large one: %d", released)
	}
	l.End()
	if !slices.Equal(released, []int{0, 1, 2, 3, 4, 5, 6}) {
		t.Errorf("after the end: %d", released)
	}
}

func TestLossyRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var released, got []int
		finished := make(chan struct{})
		l := loop.NewLossy(3, 10, func(v int) { released = append(released, v) })
		over := make(chan struct{})
		go func() {
			defer close(over)
			l.Read(t.Context(), finished, func(v int) bool {
				if len(released) != len(got) {
					t.Errorf("%d was released while it was read", v)
				}
				got = append(got, v)
				return true
			})
		}()
		for i := range 4 {
			l.Write(i, 1)
			synctest.Wait()
		}
		close(finished)
		<-over
		if !slices.Equal(got, count(4)) || !slices.Equal(released, got) {
			t.Errorf("read %d, released %d", got, released)
		}
		l.End()
		l.Read(t.Context(), nil, func(int) bool { return true }) // does not wait
	})
}

func TestLossyContext(t *testing.T) {
	released := 0
	l := loop.NewLossy(3, 10, func(int) { released++ })
	ctx, cancel := context.WithCancel(t.Context())
	l.Write(0, 1)
	l.Write(1, 1)
	l.Read(ctx, nil, func(v int) bool {
		if v != 0 {
			t.Error("the loop goes on after its context")
		}
		cancel()
		return true
	})
	l.Read(ctx, nil, func(int) bool { t.Error("read"); return true })
	l.End()
	if released != 2 {
		t.Errorf("%d released", released)
	}
}

// racing is a context that does something when the loop is about to wait.
type racing struct {
	context.Context
	act func()
}

func (r racing) Done() <-chan struct{} {
	r.act()
	return nil
}

// What was written before the end is read, also if both come when the loop has just found
// its queue empty.
func TestLossyFinishComesAfterItems(t *testing.T) {
	for range 100 {
		finished := make(chan struct{})
		l := loop.NewLossy(3, 10, func(int) {})
		once := sync.OnceFunc(func() {
			l.Write(1, 1)
			close(finished)
		})
		var got []int
		l.Read(racing{t.Context(), once}, finished, func(v int) bool {
			got = append(got, v)
			return true
		})
		if !slices.Equal(got, []int{1}) {
			t.Fatalf("read %d", got)
		}
	}
}
