package hub

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// A set is a map, whether it has few subscriptions or many.
func TestSet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := New()
		var set Set
		want := make(map[string]*Subscription)
		channel := rapid.Custom(func(t *rapid.T) string {
			return fmt.Sprint(rapid.IntRange(0, 2*fewSubscriptions).Draw(t, "channel"))
		})
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				for range rapid.IntRange(1, fewSubscriptions).Draw(t, "n") {
					if c := channel.Draw(t, "name"); want[c] == nil {
						want[c] = h.Subscribe(c, nil)
						set.Add(want[c])
					}
				}
			},
			"remove": func(t *rapid.T) {
				c := channel.Draw(t, "name")
				set.Remove(c)
				delete(want, c)
			},
			"": func(t *rapid.T) {
				if set.Len() != len(want) {
					t.Fatalf("%d subscriptions, want %d", set.Len(), len(want))
				}
				for c := range 2*fewSubscriptions + 1 {
					if name := fmt.Sprint(c); set.Get(name) != want[name] {
						t.Fatalf("another subscription to %s", name)
					}
				}
				var all []string
				for sub := range set.All() {
					all = append(all, sub.Channel())
				}
				names := set.Names()
				slices.Sort(all)
				slices.Sort(names)
				if len(all) != len(want) || !slices.Equal(slices.Compact(all), names) {
					t.Fatalf("all: %v, names: %v, want %d", all, names, len(want))
				}
			},
		})
	})
}
