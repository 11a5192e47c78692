package socketcluster_test

import (
	"testing"

	"github.com/socketcluster-go/socketcluster"
)

// Each key has its own value on each socket.
func TestKey(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		w.client()
		one := w.only()
		var name, nick socketcluster.Key[string]
		var size socketcluster.Key[int]
		if v, ok := name.Get(one); v != "" || ok {
			t.Errorf("got %q, %t before anything was set", v, ok)
		}
		name.Set(one, "alice")
		size.Set(one, 7)
		if v, ok := nick.Get(one); v != "" || ok {
			t.Errorf("another key has %q, %t", v, ok)
		}
		name.Set(one, "bob")
		if v, ok := name.Get(one); v != "bob" || !ok {
			t.Errorf("got %q, %t", v, ok)
		}
		if v, ok := size.Get(one); v != 7 || !ok {
			t.Errorf("got %d, %t", v, ok)
		}
		w.client()
		for s := range w.srv.Clients() {
			if v, ok := name.Get(s); s != one && (v != "" || ok) {
				t.Errorf("another socket has %q, %t", v, ok)
			}
		}
	})
}
