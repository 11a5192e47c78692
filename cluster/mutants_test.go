package cluster_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The patches with which make chaos-mutants breaks this package fit it. To write one
// anew: make the change, and git diff -U1 -- cluster. The test is in this module, as
// Go runs it again only when a file that it opens in its own module has changed.
func TestMutantsFit(t *testing.T) {
	patches, err := filepath.Glob("../internal/compat/chaos/testdata/*.patch")
	if err != nil || len(patches) == 0 {
		t.Fatalf("there are no patches: %v", err)
	}
	for _, path := range patches {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		files := strings.Split(string(text), "diff --git ")[1:]
		if len(files) == 0 {
			t.Errorf("%s changes no file", path)
		}
		for _, file := range files {
			hunks := strings.Split(file, "\n@@ ")
			name, _, _ := strings.Cut(strings.TrimPrefix(file, "a/"), " ")
			source, err := os.ReadFile(filepath.Join("..", name))
			if err != nil {
				t.Errorf("%s: %v", path, err)
			}
			for _, hunk := range hunks[1:] {
				if old := before(hunk); !strings.Contains(string(source), old) {
					t.Errorf("%s: %s does not have\n%s", path, name, old)
				}
			}
		}
	}
}

// before returns the lines that a hunk of a patch expects.
func before(hunk string) string {
	var old strings.Builder
	for line := range strings.Lines(hunk[strings.Index(hunk, "\n")+1:]) {
		if line[0] == ' ' || line[0] == '-' {
			old.WriteString(line[1:])
		}
	}
	return old.String()
}
