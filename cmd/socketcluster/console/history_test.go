package console

import (
	"path/filepath"
	"slices"
	"testing"
)

// Lines with a secret are not kept, however they are written.
func TestHistoryKeepsNoSecrets(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history")
	h, err := openHistory(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		"login signIn {}", "  login   signIn {}", `"login" signIn {}`, "token set abc", "token  set abc", `token "set" abc`,
		"connect ws://alice:pw@localhost", `invoke signIn {"Password":"x"}`, `invoke signIn {"secret":"x"}`,
		"token show", "state",
	} {
		h.Add(line)
	}
	h.close()
	again, err := openHistory(path)
	if err != nil {
		t.Fatal(err)
	}
	defer again.close()
	if want := []string{"token show", "state"}; !slices.Equal(again.lines, want) {
		t.Errorf("the history has %q, want %q", again.lines, want)
	}
}
