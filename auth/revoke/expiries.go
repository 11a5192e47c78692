package revoke

import "container/heap"

// expiries is a heap of the entries that are not kept forever; the one that
// expires next comes first.
type expiries []*entry

// update puts an entry in its place after it was made or changed.
func (x *expiries) update(e *entry) {
	switch {
	case e.place >= 0 && e.until == forever:
		heap.Remove(x, e.place)
	case e.place >= 0:
		heap.Fix(x, e.place)
	case e.until != forever:
		heap.Push(x, e)
	}
}

// popBefore removes and returns an entry that is no longer needed, or returns
// nil if there is none.
func (x *expiries) popBefore(now int64) *entry {
	if len(*x) == 0 || (*x)[0].until >= now {
		return nil
	}
	return heap.Pop(x).(*entry)
}

// Len implements [heap.Interface].
func (x expiries) Len() int { return len(x) }

// Less implements [heap.Interface].
func (x expiries) Less(i, j int) bool { return x[i].until < x[j].until }

// Swap implements [heap.Interface].
func (x expiries) Swap(i, j int) {
	x[i], x[j] = x[j], x[i]
	x[i].place, x[j].place = i, j
}

// Push implements [heap.Interface].
func (x *expiries) Push(e any) {
	e.(*entry).place = len(*x)
	*x = append(*x, e.(*entry))
}

// Pop implements [heap.Interface].
func (x *expiries) Pop() any {
	last := len(*x) - 1
	e := (*x)[last]
	(*x)[last] = nil
	*x = (*x)[:last]
	e.place = -1
	return e
}
