package accounts_test

import (
	"strings"
	"testing"

	"github.com/socketcluster-go/socketcluster/examples/internal/accounts"
)

func TestNoPassword(t *testing.T) {
	if _, err := accounts.New(t.Context(), "", "alice"); err == nil {
		t.Error("alice has an empty password")
	}
}

func TestReadPassword(t *testing.T) {
	for input, want := range map[string]string{"secret\n": "secret", "secret": "secret", "two words\nmore": "two words", "": "", "\nlate": ""} {
		got, err := accounts.ReadPassword(strings.NewReader(input))
		if got != want || (err != nil) != (want == "") {
			t.Errorf("%q: %q, %v", input, got, err)
		}
	}
}
