package registry_test

import (
	"slices"
	"sync"
	"testing"

	"github.com/socketcluster-go/socketcluster/internal/registry"
)

func values[T any](l *registry.List[T]) (all []T) {
	for _, p := range l.All() {
		all = append(all, *p)
	}
	return all
}

func TestList(t *testing.T) {
	var l registry.List[string]
	if !l.Empty() || l.All() != nil {
		t.Fatal("the zero value is not empty")
	}
	l.Add("a")
	removeSame := l.Add("a")
	removeTwo := l.Add("b", "c")
	l.Add("d")
	before := l.All()

	removeSame()
	if got := values(&l); !slices.Equal(got, []string{"a", "b", "c", "d"}) {
		t.Errorf("after one of two equal entries was removed: %q", got)
	}
	removeTwo()
	removeTwo()
	if got := values(&l); !slices.Equal(got, []string{"a", "d"}) {
		t.Errorf("after two entries were removed, twice: %q", got)
	}
	if len(before) != 5 || *before[1] != "a" || *before[4] != "d" {
		t.Error("what a reader has got changes behind its back")
	}
	if l.Empty() {
		t.Error("a list with entries is empty")
	}
}

func TestNames(t *testing.T) {
	var n registry.Names[int]
	if _, ok := n.Get("a"); ok {
		t.Fatal("the zero value has an entry")
	}
	n.Set("a", 1)
	n.Set("b", 2)
	n.Set("a", 3)
	for name, want := range map[string]int{"a": 3, "b": 2} {
		if got, ok := n.Get(name); !ok || got != want {
			t.Errorf("%s: %d, %v", name, got, ok)
		}
	}
}

// Changes at the same time are all made.
func TestConcurrentChanges(t *testing.T) {
	var l registry.List[int]
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for range 100 {
				l.Add(i)()
			}
			l.Add(i)
		})
	}
	all.Wait()
	got := values(&l)
	slices.Sort(got)
	if !slices.Equal(got, []int{0, 1, 2, 3, 4, 5, 6, 7}) {
		t.Errorf("left: %d", got)
	}
}

func TestReadingDoesNotAllocate(t *testing.T) {
	var l registry.List[func()]
	var n registry.Names[func()]
	calls := 0
	fn := func() { calls++ }
	l.Add(fn)
	n.Set("a", fn)
	if allocs := testing.AllocsPerRun(100, func() {
		for _, f := range l.All() {
			(*f)()
		}
		f, _ := n.Get("a")
		f()
	}); allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}
