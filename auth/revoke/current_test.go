package revoke_test

import (
	"errors"
	"testing"

	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/auth/revoke"
	"github.com/socketcluster-go/socketcluster/wire"
)

// cutOff is a store that may lack revocations of others.
type cutOff struct {
	revoke.Memory
	why error
}

func (c *cutOff) Current() error { return c.why }

// While a store is not current, no token is accepted: one that is known to be revoked
// as bad, all others as unknown.
func TestRefusal(t *testing.T) {
	jwt, err := auth.NewJWT(auth.Options{Key: "an example's key of 32 characters"})
	if err != nil {
		t.Fatal(err)
	}
	store := new(cutOff)
	engine := revoke.Engine{Engine: jwt, Store: store}
	add(t, &store.Memory, revoke.Revocation{Subject: "alice"})
	verify := func(user string) error {
		token, err := engine.Sign(t.Context(), map[string]string{"sub": user})
		if err != nil {
			t.Fatal(err)
		}
		_, err = engine.Verify(t.Context(), token.Signed())
		return err
	}
	for _, why := range []error{nil, errors.New("cut off"), nil} {
		store.why = why
		if err := verify("alice"); !errors.Is(err, wire.ErrAuthTokenInvalid) {
			t.Errorf("%v: alice is revoked: %v", why, err)
		}
		err := verify("bob")
		if why == nil && err != nil || why != nil && err != revoke.ErrNotCurrent {
			t.Errorf("%v: bob is good: %v", why, err)
		}
	}
}
