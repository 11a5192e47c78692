package authtest_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/auth/authtest"
	"github.com/socketcluster-go/socketcluster/wire"
)

const secret = "0123456789abcdef0123456789abcdef"

func newJWT(t *testing.T) auth.Engine {
	j, err := auth.NewJWT(auth.Options{Key: secret})
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// AUTH-10: the engine of the project keeps the promises itself.
func TestJWT(t *testing.T) {
	authtest.TestEngine(t, newJWT)
}

func TestJWTWithRing(t *testing.T) {
	authtest.TestEngine(t, func(t *testing.T) auth.Engine {
		ring, err := auth.NewKeyRing(auth.RingKey{ID: "a", Key: auth.HMACKey([]byte(secret))})
		if err != nil {
			t.Fatal(err)
		}
		j, err := auth.NewJWT(auth.Options{Keys: ring})
		if err != nil {
			t.Fatal(err)
		}
		return j
	})
}

// broken is an engine with one defect.
type broken struct {
	auth.Engine
	sign   func(ctx context.Context, claims any, opts ...auth.SignOption) (*auth.Token, error)
	verify func(ctx context.Context, signed string, opts ...auth.VerifyOption) (*auth.Token, error)
}

func (b *broken) Sign(ctx context.Context, claims any, opts ...auth.SignOption) (*auth.Token, error) {
	if b.sign != nil {
		return b.sign(ctx, claims, opts...)
	}
	return b.Engine.Sign(ctx, claims, opts...)
}

func (b *broken) Verify(ctx context.Context, signed string, opts ...auth.VerifyOption) (*auth.Token, error) {
	if b.verify != nil {
		return b.verify(ctx, signed, opts...)
	}
	return b.Engine.Verify(ctx, signed, opts...)
}

// defects maps a defect to the check that must find it.
var defects = map[string]struct {
	check string
	plant func(*broken)
}{
	"neither token nor error": {"foreign text", func(b *broken) {
		b.verify = func(ctx context.Context, signed string, opts ...auth.VerifyOption) (*auth.Token, error) {
			token, _ := b.Engine.Verify(ctx, signed, opts...)
			return token, nil
		}
	}},
	"error of another kind": {"foreign text", func(b *broken) {
		b.verify = func(ctx context.Context, signed string, opts ...auth.VerifyOption) (*auth.Token, error) {
			token, err := b.Engine.Verify(ctx, signed, opts...)
			if err != nil {
				err = errors.New("refused")
			}
			return token, err
		}
	}},
	"spaces are cut off": {"tampering", func(b *broken) {
		b.verify = func(ctx context.Context, signed string, opts ...auth.VerifyOption) (*auth.Token, error) {
			return b.Engine.Verify(ctx, strings.TrimSpace(signed), opts...)
		}
	}},
	"options are not looked at": {"expiry", func(b *broken) {
		b.verify = func(ctx context.Context, signed string, _ ...auth.VerifyOption) (*auth.Token, error) {
			return b.Engine.Verify(ctx, signed)
		}
	}},
	"tokens live on for a second": {"expiry", func(b *broken) {
		b.verify = func(ctx context.Context, signed string, opts ...auth.VerifyOption) (*auth.Token, error) {
			o := auth.ApplyVerify(opts...)
			return b.Engine.Verify(ctx, signed, append(opts, auth.ClockTolerance(o.ClockTolerance+time.Second))...)
		}
	}},
	"the clock is cut to the second": {"fraction of a second", func(b *broken) {
		b.verify = func(ctx context.Context, signed string, opts ...auth.VerifyOption) (*auth.Token, error) {
			if o := auth.ApplyVerify(opts...); !o.At.IsZero() {
				opts = append(opts, auth.At(o.At.Truncate(time.Second)))
			}
			return b.Engine.Verify(ctx, signed, opts...)
		}
	}},
	"the login is at its signature": {"time of the login", func(b *broken) {
		b.sign = func(ctx context.Context, claims any, opts ...auth.SignOption) (*auth.Token, error) {
			if auth.ApplySign(opts...).AuthTime != nil {
				opts = append(opts, auth.AuthTime(time.Now()))
			}
			return b.Engine.Sign(ctx, claims, opts...)
		}
	}},
	"an early token is thrown away": {"not before", func(b *broken) {
		b.verify = func(ctx context.Context, signed string, opts ...auth.VerifyOption) (*auth.Token, error) {
			token, err := b.Engine.Verify(ctx, signed, opts...)
			if e, ok := errors.AsType[*wire.Error](err); ok {
				return nil, e.With("isBadToken", true)
			}
			return token, err
		}
	}},
	"sign options are not looked at": {"registered claims", func(b *broken) {
		b.sign = func(ctx context.Context, claims any, _ ...auth.SignOption) (*auth.Token, error) {
			return b.Engine.Sign(ctx, claims)
		}
	}},
	"anything can be signed": {"claims that cannot be signed", func(b *broken) {
		b.sign = func(ctx context.Context, claims any, opts ...auth.SignOption) (*auth.Token, error) {
			if token, err := b.Engine.Sign(ctx, claims, opts...); err == nil {
				return token, nil
			}
			return b.Engine.Sign(ctx, map[string]any{}, opts...)
		}
	}},
	"claims are shared": {"concurrency", func(b *broken) {
		var mu sync.Mutex
		var first *auth.Token
		b.sign = func(ctx context.Context, claims any, opts ...auth.SignOption) (_ *auth.Token, err error) {
			mu.Lock()
			defer mu.Unlock()
			if first == nil {
				first, err = b.Engine.Sign(ctx, claims, opts...)
			}
			return first, err
		}
	}},
}

const defectEnv = "AUTHTEST_DEFECT"

// The kit finds defects. A failing test cannot be looked at from inside, so each
// runs in a process of its own.
func TestDefectsAreFound(t *testing.T) {
	for name, d := range defects {
		t.Run(name, func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestDefect$", "-test.v")
			cmd.Env = append(os.Environ(), defectEnv+"="+name)
			out, err := cmd.CombinedOutput()
			found := "--- FAIL: TestDefect/" + strings.ReplaceAll(d.check, " ", "_") + " "
			if err == nil || !strings.Contains(string(out), found) {
				t.Errorf("%q is not in the output (%v):\n%s", found, err, out)
			}
		})
	}
}

// TestDefect does nothing unless TestDefectsAreFound has started it.
func TestDefect(t *testing.T) {
	name := os.Getenv(defectEnv)
	if name == "" {
		return
	}
	authtest.TestEngine(t, func(t *testing.T) auth.Engine {
		b := &broken{Engine: newJWT(t)}
		defects[name].plant(b)
		return b
	})
}
