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

// A file that cannot be used costs the history of earlier sessions, and no more.
func TestHistoryWithoutAFile(t *testing.T) {
	h, err := openHistory(t.TempDir()) // a folder
	if err == nil {
		t.Fatal("a folder is taken for a file")
	}
	defer h.close()
	h.Add("state")
	if h.Len() != 1 || h.At(0) != "state" {
		t.Errorf("the history has %q", h.lines)
	}
}
