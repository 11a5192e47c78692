package cluster

// wake makes whoever receives from a channel, which has room for one, do so once more.
func wake(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default: // it will
	}
}

// watchers are those who want to know that something has changed. They are not safe for
// concurrent use.
type watchers []chan struct{}

// add returns a channel that gets something when there is a change.
func (w *watchers) add() <-chan struct{} {
	c := make(chan struct{}, 1)
	*w = append(*w, c)
	return c
}

// wake tells all of a change.
func (w watchers) wake() {
	for _, c := range w {
		wake(c)
	}
}
