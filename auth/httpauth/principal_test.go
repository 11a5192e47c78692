package httpauth_test

import (
	"context"
	"testing"

	"github.com/socketcluster-go/socketcluster/auth/httpauth"
)

type user struct {
	Username string `json:"username"`
}

func TestPrincipal(t *testing.T) {
	none := context.Background()
	if httpauth.FromContext(none) != nil || httpauth.AmbienceOf(none) != httpauth.NotAmbient {
		t.Error("a context has a principal that nobody has set")
	}
	if u, ok := httpauth.Claims[user](none); ok || u != (user{}) {
		t.Errorf("claims %v without a principal", u)
	}

	principal := token(t, "", `{"username":"alice"}`)
	ctx := httpauth.NewContext(none, principal)
	if httpauth.FromContext(ctx) != principal || httpauth.AmbienceOf(ctx) != httpauth.AmbientByHost {
		t.Error("the principal is not the one that was set")
	}
	if u, ok := httpauth.Claims[user](ctx); !ok || u.Username != "alice" {
		t.Errorf("claims %v, %t", u, ok)
	}
	if u, ok := httpauth.Claims[struct{ Username int }](ctx); ok || u.Username != 0 {
		t.Errorf("claims of another type: %v, %t", u, ok)
	}

	near := httpauth.NewContextByAddress(none, principal)
	if httpauth.FromContext(near) != principal || httpauth.AmbienceOf(near) != httpauth.AmbientByAddress {
		t.Error("the principal does not go by address")
	}

	gone := httpauth.NewContext(ctx, nil)
	if httpauth.FromContext(gone) != nil || httpauth.AmbienceOf(gone) != httpauth.NotAmbient {
		t.Error("the principal was not taken away")
	}
}
