package revoketest_test

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/auth/revoke"
	"github.com/socketcluster-go/socketcluster/auth/revoke/revoketest"
)

// The store of the project keeps the promises itself.
func TestMemory(t *testing.T) {
	revoketest.TestStore(t, func(*testing.T) revoke.Store { return new(revoke.Memory) })
}

func TestMemoryInBubble(t *testing.T) {
	revoketest.InBubble(t, func(*testing.T) revoke.Store { return new(revoke.Memory) })
}

// broken is a store with one defect.
type broken struct {
	revoke.Memory
	add   func(ctx context.Context, r revoke.Revocation) error
	check func(token *auth.Token) (revoke.Revocation, bool)
	watch func(fn func(revoke.Revocation)) (stop func())
}

func (b *broken) Add(ctx context.Context, r revoke.Revocation) error {
	if b.add != nil {
		return b.add(ctx, r)
	}
	return b.Memory.Add(ctx, r)
}

func (b *broken) Check(token *auth.Token) (revoke.Revocation, bool) {
	if b.check != nil {
		return b.check(token)
	}
	return b.Memory.Check(token)
}

func (b *broken) Watch(fn func(revoke.Revocation)) (stop func()) {
	if b.watch != nil {
		return b.watch(fn)
	}
	return b.Memory.Watch(fn)
}

// adds makes a store whose Add changes what it is given.
func adds(change func(r *revoke.Revocation)) func(*broken) {
	return func(b *broken) {
		b.add = func(ctx context.Context, r revoke.Revocation) error {
			change(&r)
			return b.Memory.Add(ctx, r)
		}
	}
}

// tells makes a store that changes what watchers are given.
func tells(change func(r *revoke.Revocation)) func(*broken) {
	return func(b *broken) {
		b.watch = func(fn func(revoke.Revocation)) (stop func()) {
			return b.Memory.Watch(func(r revoke.Revocation) {
				change(&r)
				fn(r)
			})
		}
	}
}

// defects are of stores that are built in other ways than Memory, or that send
// what they hold to others. The check is the one that must find them.
var defects = map[string]struct {
	check string
	plant func(*broken)
}{
	"sessions are forgotten": {"which tokens are revoked", func(b *broken) {
		b.add = func(ctx context.Context, r revoke.Revocation) error {
			if r.Session != "" {
				return nil
			}
			return b.Memory.Add(ctx, r)
		}
	}},
	"the claim is not looked at": {"which tokens are revoked", adds(func(r *revoke.Revocation) { r.Claim = "" })},
	"numbers are no names": {"which tokens are revoked", func(b *broken) {
		b.check = func(token *auth.Token) (revoke.Revocation, bool) {
			r, ok := b.Memory.Check(token)
			if r.Subject == "42" && !strings.Contains(string(token.Payload()), `"42"`) {
				return revoke.Revocation{}, false
			}
			return r, ok
		}
	}},
	"a session ends as a whole": {"session", adds(func(r *revoke.Revocation) {
		if r.Session != "" {
			r.Before = time.Time{}
		}
	})},
	"a session goes by the login": {"session", func(b *broken) {
		b.check = func(token *auth.Token) (revoke.Revocation, bool) {
			r, ok := b.Memory.Check(token)
			if login, has := token.AuthTime(); r.Session != "" && has && login.After(r.Before) {
				return revoke.Revocation{}, false
			}
			return r, ok
		}
	}},
	"the moment itself is not revoked": {"time of login", adds(func(r *revoke.Revocation) {
		if !r.Before.IsZero() {
			r.Before = r.Before.Add(-time.Second)
		}
	})},
	"moments are rounded up": {"time of login", adds(func(r *revoke.Revocation) {
		if r.Before.Nanosecond() > 0 {
			r.Before = r.Before.Truncate(time.Second).Add(time.Second)
		}
	})},
	"moments are cut to the second": {"time of login", adds(func(r *revoke.Revocation) {
		if !r.Before.IsZero() {
			r.Before = r.Before.Truncate(time.Second)
		}
	})},
	"the time of issue counts": {"time of login", func(b *broken) {
		b.check = func(token *auth.Token) (revoke.Revocation, bool) {
			r, ok := b.Memory.Check(token)
			if issued, _ := token.IssuedAt(); r.Subject != "" && issued.After(r.Before) && time.Until(issued) < time.Minute {
				return revoke.Revocation{}, false
			}
			return r, ok
		}
	}},
	"a date in the future is believed": {"time of login", func(b *broken) {
		b.check = func(token *auth.Token) (revoke.Revocation, bool) {
			r, ok := b.Memory.Check(token)
			if issued, _ := token.IssuedAt(); r.Subject != "" && issued.After(time.Now()) {
				return revoke.Revocation{}, false
			}
			return r, ok
		}
	}},
	"a user is revoked for good": {"time of login", adds(func(r *revoke.Revocation) {
		if r.Subject != "" {
			r.Before = time.Unix(9e9, 0)
		}
	})},
	"anything can be revoked": {"invalid revocations", func(b *broken) {
		b.add = func(ctx context.Context, r revoke.Revocation) error {
			if _, err := r.Normalize(time.Now()); err != nil {
				return nil
			}
			return b.Memory.Add(ctx, r)
		}
	}},
	"watchers are told of what is refused": {"invalid revocations", func(b *broken) {
		w := watchersOf(b)
		b.add = func(ctx context.Context, r revoke.Revocation) error {
			w.tell(r)
			return b.Memory.Add(ctx, r)
		}
	}},
	"the last moment counts": {"several revocations", func(b *broken) {
		last := map[string]time.Time{}
		b.add = func(ctx context.Context, r revoke.Revocation) error {
			last[r.Subject] = r.Before
			return b.Memory.Add(ctx, r)
		}
		b.check = func(token *auth.Token) (revoke.Revocation, bool) {
			r, ok := b.Memory.Check(token)
			if issued, _ := token.IssuedAt(); r.Subject != "" && issued.After(last[r.Subject]) {
				return revoke.Revocation{}, false
			}
			return r, ok
		}
	}},
	"what is known is refused": {"several revocations", func(b *broken) {
		known := map[revoke.Revocation]bool{}
		b.add = func(ctx context.Context, r revoke.Revocation) error {
			key := r
			if key.Until = (time.Time{}); known[key] {
				return revoke.ErrFull
			}
			known[key] = true
			return b.Memory.Add(ctx, r)
		}
	}},
	"disconnect is lost": {"disconnect", adds(func(r *revoke.Revocation) { r.Disconnect = false })},
	"disconnect spreads": {"disconnect", func(b *broken) {
		b.check = func(token *auth.Token) (revoke.Revocation, bool) {
			r, ok := b.Memory.Check(token)
			r.Disconnect = ok
			return r, ok
		}
	}},
	"forgotten a second early": {"until", adds(func(r *revoke.Revocation) {
		if !r.Until.IsZero() {
			r.Until = r.Until.Add(-time.Second)
		}
	})},
	"the last end counts": {"until", func(b *broken) {
		ends := map[string]time.Time{}
		b.add = func(ctx context.Context, r revoke.Revocation) error {
			ends[r.JTI+r.Session] = r.Until
			return b.Memory.Add(ctx, r)
		}
		b.check = func(token *auth.Token) (revoke.Revocation, bool) {
			r, ok := b.Memory.Check(token)
			if end := ends[r.JTI+r.Session]; !end.IsZero() && time.Now().After(end.Add(time.Second)) {
				return revoke.Revocation{}, false
			}
			return r, ok
		}
	}},
	"what has passed is kept": {"passed already", adds(func(r *revoke.Revocation) {
		if r.Until.Before(time.Now()) {
			r.Until = time.Time{}
		}
	})},
	"what has passed is told": {"passed already", func(b *broken) {
		w := watchersOf(b)
		b.add = func(ctx context.Context, r revoke.Revocation) error {
			w.tell(r)
			return b.Memory.Add(ctx, r)
		}
	}},
	"watchers are told later": {"watchers", func(b *broken) {
		w := watchersOf(b)
		b.add = func(ctx context.Context, r revoke.Revocation) error {
			err := b.Memory.Add(ctx, r)
			time.AfterFunc(time.Second, func() { w.tell(r) })
			return err
		}
	}},
	"watchers are told first": {"watchers", func(b *broken) {
		w := watchersOf(b)
		b.add = func(ctx context.Context, r revoke.Revocation) error {
			w.tell(r)
			return b.Memory.Add(ctx, r)
		}
	}},
	"one watcher is told": {"watchers", func(b *broken) {
		w := watchersOf(b)
		b.add = func(ctx context.Context, r revoke.Revocation) error {
			err := b.Memory.Add(ctx, r)
			w.all = w.all[:min(1, len(w.all))]
			w.tell(r)
			return err
		}
	}},
	"news of a session comes once": {"watchers", func(b *broken) {
		w := watchersOf(b)
		known := map[string]bool{}
		b.add = func(ctx context.Context, r revoke.Revocation) error {
			err := b.Memory.Add(ctx, r)
			if r.Session == "" || !known[r.Session] {
				w.tell(r)
			}
			known[r.Session] = true
			return err
		}
	}},
	"watchers are told as it came": {"normal form", func(b *broken) {
		w := watchersOf(b)
		b.add = func(ctx context.Context, r revoke.Revocation) error {
			err := b.Memory.Add(ctx, r)
			w.tell(r)
			return err
		}
	}},
	"the reason is lost": {"normal form", tells(func(r *revoke.Revocation) { r.Reason = "" })},
	"the end is lost":    {"normal form", tells(func(r *revoke.Revocation) { r.Until = time.Time{} })},
	"the moment is that of the telling": {"normal form", tells(func(r *revoke.Revocation) {
		if !r.Before.IsZero() {
			r.Before = time.Now().Truncate(time.Second).UTC()
		}
	})},
	"the reason is not kept": {"normal form", func(b *broken) {
		b.check = func(token *auth.Token) (revoke.Revocation, bool) {
			r, ok := b.Memory.Check(token)
			r.Reason = ""
			return r, ok
		}
	}},
	"stop does nothing": {"stop", func(b *broken) {
		b.watch = func(fn func(revoke.Revocation)) (stop func()) {
			b.Memory.Watch(fn)
			return func() {}
		}
	}},
	"stop stops all": {"stop", func(b *broken) {
		w := watchersOf(b)
		b.watch = func(fn func(revoke.Revocation)) (stop func()) {
			w.all = append(w.all, fn)
			return func() { w.all = nil }
		}
		b.add = func(ctx context.Context, r revoke.Revocation) error {
			err := b.Memory.Add(ctx, r)
			w.tell(r)
			return err
		}
	}},
	"a context that is done is success": {"context", func(b *broken) {
		b.add = func(ctx context.Context, r revoke.Revocation) error {
			if ctx.Err() != nil {
				return nil
			}
			return b.Memory.Add(ctx, r)
		}
	}},
	"a context that is done ends it": {"context", func(b *broken) {
		b.add = func(ctx context.Context, r revoke.Revocation) error {
			if err := ctx.Err(); err != nil {
				b.add = func(context.Context, revoke.Revocation) error { return err }
				return err
			}
			return b.Memory.Add(ctx, r)
		}
	}},
	"the last of several at once wins": {"concurrency", func(b *broken) {
		var last atomic.Value
		b.add = func(ctx context.Context, r revoke.Revocation) error {
			last.Store(r.JTI)
			return b.Memory.Add(ctx, r)
		}
		b.check = func(token *auth.Token) (revoke.Revocation, bool) {
			r, ok := b.Memory.Check(token)
			return r, ok && r.JTI == last.Load()
		}
	}},
}

// watchers are those of a store that tells them itself.
type watchers struct{ all []func(revoke.Revocation) }

func watchersOf(b *broken) *watchers {
	w := new(watchers)
	b.watch = func(fn func(revoke.Revocation)) (stop func()) {
		w.all = append(w.all, fn)
		return func() {}
	}
	return w
}

func (w *watchers) tell(r revoke.Revocation) {
	for _, fn := range w.all {
		fn(r)
	}
}

const defectEnv = "REVOKETEST_DEFECT"

// The kit finds defects, by the check that is for them. A failing test cannot be
// looked at from inside, so each runs in a process of its own.
func TestDefectsAreFound(t *testing.T) {
	planted := map[string]bool{}
	for name, d := range defects {
		planted[d.check] = true
		t.Run(name, func(t *testing.T) {
			check := strings.ReplaceAll(d.check, " ", "_")
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestDefect$/^"+check+"$", "-test.v")
			cmd.Env = append(os.Environ(), defectEnv+"="+name)
			out, err := cmd.CombinedOutput()
			found := "--- FAIL: TestDefect/" + check + " "
			if err == nil || !strings.Contains(string(out), found) {
				t.Errorf("%q is not in the output (%v):\n%s", found, err, out)
			}
		})
	}
	for _, name := range revoketest.Names() {
		if !planted[name] {
			t.Errorf("no defect shows that the check %q can fail", name)
		}
	}
}

// TestDefect does nothing unless TestDefectsAreFound has started it.
func TestDefect(t *testing.T) {
	name := os.Getenv(defectEnv)
	if name == "" {
		return
	}
	revoketest.InBubble(t, func(*testing.T) revoke.Store {
		b := new(broken)
		defects[name].plant(b)
		return b
	})
}
