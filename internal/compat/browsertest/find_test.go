package browsertest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestFind(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("PATH", dir)
	t.Setenv("CHROMIUM", "")
	if path, err := find(); err == nil || !strings.Contains(err.Error(), "apt-get install chromium") {
		t.Errorf("nothing installed: got %q, %v", path, err)
	}
	// Each is preferred to the one before it.
	for _, name := range []string{"google-chrome", "chromium-browser", "chromium", "chromium-headless-shell"} {
		want := filepath.Join(dir, name)
		if err := os.WriteFile(want, nil, 0o755); err != nil {
			t.Fatal(err)
		}
		if path, err := find(); err != nil || path != want {
			t.Errorf("got %q, %v, want %s", path, err, want)
		}
	}
	chosen := filepath.Join(dir, "google-chrome")
	t.Setenv("CHROMIUM", chosen)
	if path, err := find(); err != nil || path != chosen {
		t.Errorf("CHROMIUM=%s: got %q, %v", chosen, path, err)
	}
	t.Setenv("CHROMIUM", filepath.Join(dir, "missing"))
	if path, err := find(); err == nil || !strings.Contains(err.Error(), "CHROMIUM") {
		t.Errorf("wrong CHROMIUM: got %q, %v", path, err)
	}
}
