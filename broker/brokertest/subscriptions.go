package brokertest

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"sync"
)

// unsubscribe checks that a channel can be left and joined again, and that the other
// nodes and channels do not notice.
func (k *kit) unsubscribe() {
	k.subscribe("left", k.nodes...)
	k.subscribe("kept", k.nodes...)
	for round := range 3 {
		k.leave("left", k.last())
		if others := k.nodes[:len(k.nodes)-1]; len(others) > 0 {
			k.publish(k.last(), "left", []byte("1")) // a node need not be subscribed
			for _, n := range others {
				if got := n.await("left", func(got []string) bool { return len(got) > 0 }); len(got) == 0 {
					k.Fatal("a node receives nothing on a channel that another node has left")
				}
			}
		}
		k.publish(k.first(), "kept", []byte("2"))
		k.receives(k.first(), "kept", []string{"2"}, k.nodes...)
		k.subscribe("left", k.last())
		for _, n := range k.nodes {
			n.forget()
		}
		data := strconv.Itoa(round)
		k.publish(k.first(), "left", []byte(data))
		k.receives(k.first(), "left", []string{data}, k.nodes...)
		for _, n := range k.nodes {
			n.forget()
		}
	}
}

// races checks that Subscribe returns when publications are being delivered, also right
// after Unsubscribe, while others publish on the channel.
func (k *kit) races() {
	const users, rounds = 6, 40
	var all sync.WaitGroup
	for user := range users {
		n := k.nodes[user%len(k.nodes)]
		from := k.nodes[(user+1)%len(k.nodes)]
		channel := "race" + strconv.Itoa(user)
		all.Go(func() {
			for round := range rounds {
				var others sync.WaitGroup
				others.Go(func() {
					for range 10 {
						if err := k.call("Publish", func(ctx context.Context) error { return from.Publish(ctx, channel, []byte(noise)) }); err != nil {
							k.Errorf("Publish: %v", err)
						}
					}
				})
				good := k.race(n, from, channel, strconv.Itoa(round))
				others.Wait()
				if !good {
					return
				}
			}
		})
	}
	all.Wait()
}

// race subscribes, sees to it that a publication arrives, and unsubscribes.
func (k *kit) race(n, from *node, channel, data string) bool {
	count := 0
	for _, step := range []struct {
		what string
		do   func(ctx context.Context) error
	}{
		{"Subscribe", func(ctx context.Context) error { return n.Subscribe(ctx, channel) }},
		{"Publish", func(ctx context.Context) error { return from.Publish(ctx, channel, []byte(data)) }},
		{"waiting for the publication", func(context.Context) error {
			n.await(channel, func(got []string) bool {
				count = 0
				for _, text := range got {
					if text == data {
						count++
					}
				}
				return count > 0
			})
			if count != 1 {
				return fmt.Errorf("a publication after Subscribe was received %d times", count)
			}
			return nil
		}},
		{"Unsubscribe", func(ctx context.Context) error { return n.Unsubscribe(ctx, channel) }},
	} {
		if err := k.call(step.what, step.do); err != nil {
			k.Errorf("%s: %s: %v", channel, step.what, err)
			return false
		}
	}
	return true
}

// maxGoroutines is how many goroutines numChannels may cost together.
const maxGoroutines = 1000

// manyChannels checks that a node can be subscribed to very many channels, and that
// these have no goroutines of their own.
func (k *kit) manyChannels() {
	n, before := k.first(), runtime.NumGoroutine()
	name := func(i int) string { return fmt.Sprintf("channel/%d", i) }
	k.side(numChannels, func(ctx context.Context, i int) error { return n.Subscribe(ctx, name(i)) })
	if cost := runtime.NumGoroutine() - before; cost > maxGoroutines {
		k.Errorf("%d channels cost %d goroutines", numChannels, cost)
	}
	for i := 0; i < numChannels; i += numChannels / 50 {
		k.publish(k.last(), name(i), []byte("1"))
	}
	for i := 0; i < numChannels; i += numChannels / 50 {
		k.receives(k.last(), name(i), []string{"1"}, n)
	}
	k.side(numChannels, func(ctx context.Context, i int) error { return n.Unsubscribe(ctx, name(i)) })
}

// side makes many calls, some of them side by side.
func (k *kit) side(n int, fn func(ctx context.Context, i int) error) {
	k.Helper()
	const callers = 64
	var all sync.WaitGroup
	errs := make([]error, callers)
	for caller := range callers {
		all.Go(func() {
			for i := caller; i < n && errs[caller] == nil; i += callers {
				ctx, cancel := context.WithTimeout(context.WithoutCancel(k.Context()), limit)
				errs[caller] = fn(ctx, i)
				cancel()
			}
		})
	}
	all.Wait()
	for _, err := range errs {
		if err != nil {
			k.Fatal(err)
		}
	}
}

// context checks calls with a context that has ended: they may do what they are asked
// for or fail, and change nothing for others.
func (k *kit) context() {
	ended, cancel := context.WithCancel(context.WithoutCancel(k.Context()))
	cancel()
	k.subscribe("other", k.nodes...)
	err := k.call("Subscribe", func(context.Context) error { return k.first().Subscribe(ended, "ctx") })
	if err != nil { // then nothing has happened, and Subscribe may be called again
		k.subscribe("ctx", k.first())
	}
	k.publish(k.last(), "ctx", []byte("1"))
	k.receives(k.last(), "ctx", []string{"1"}, k.first())

	// One that fails may have been published nevertheless.
	_ = k.call("Publish", func(context.Context) error { return k.first().Publish(ended, "other", []byte(noise)) })
	k.publish(k.first(), "other", []byte("2"))
	k.receives(k.first(), "other", []string{"2"}, k.nodes...)
}

// panics checks that a panic of a sink ends neither the broker nor the sink's turn.
func (k *kit) panics() {
	const cause = `"panic"`
	k.subscribe("loud", k.nodes...)
	k.subscribe("quiet", k.nodes...)
	n := k.last()
	n.mu.Lock()
	n.panicsAt = cause
	n.mu.Unlock()
	for _, from := range k.nodes {
		_ = k.call("Publish", func(ctx context.Context) error { // may fail, or panic
			defer func() { _ = recover() }()
			return from.Publish(ctx, "loud", []byte(cause))
		})
	}
	n.mu.Lock()
	n.panicsAt = ""
	n.mu.Unlock()
	for _, channel := range []string{"loud", "quiet"} {
		k.publish(k.first(), channel, []byte("1"))
		// A publication of another node that was to panic may come after that.
		got := n.await(channel, func(got []string) bool { return slices.Contains(got, "1") })
		if !slices.Contains(got, "1") {
			k.Errorf("a node receives nothing on %s after its sink has panicked", channel)
		}
	}
}

// close checks that Close returns while calls are under way, and these too.
func (k *kit) close() {
	k.subscribe("closing", k.nodes...)
	var users sync.WaitGroup
	begun := make(chan struct{}, 1)
	for i := range 8 {
		users.Go(func() {
			// Which of them come before Close is not known, nor what becomes of
			// them.
			for range 50 {
				_ = k.call("Publish", func(ctx context.Context) error { return k.first().Publish(ctx, "closing", []byte(strconv.Itoa(i))) })
				select {
				case begun <- struct{}{}:
				default:
				}
			}
		})
	}
	<-begun
	for _, n := range k.nodes {
		k.end(n)
	}
	users.Wait()
}
