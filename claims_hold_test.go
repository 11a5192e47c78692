package socketcluster_test

import (
	"errors"
	"testing"

	"github.com/socketcluster-go/socketcluster"
)

// Claims that are held are not signed again, until all who hold them have released
// them. Those of others are.
func TestHoldClaims(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		alice, err := w.srv.Auth().Sign(t.Context(), map[string]any{"sub": "alice"})
		if err != nil {
			t.Fatal(err)
		}
		bob, err := w.srv.Auth().Sign(t.Context(), map[string]any{"sub": "bob"})
		if err != nil {
			t.Fatal(err)
		}
		first, second := w.srv.HoldClaims("sub", "alice"), w.srv.HoldClaims("sub", "alice")
		for _, step := range []struct {
			release func()
			held    bool
		}{{func() {}, true}, {first, true}, {first, true}, {second, false}} {
			step.release()
			_, err := w.srv.SignAgain(t.Context(), alice)
			if step.held != errors.Is(err, socketcluster.ErrTokenChanged) || !step.held && err != nil {
				t.Errorf("held is %v: %v", step.held, err)
			}
			if _, err := w.srv.SignAgain(t.Context(), bob); err != nil {
				t.Errorf("the claims of another user: %v", err)
			}
		}
	})
}
