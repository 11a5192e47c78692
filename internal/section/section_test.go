package section

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const document = `a
<!-- one -->
| old |
<!-- end -->
b
<!-- two -->

| x |
| y |

<!-- end -->
c
`

func TestRead(t *testing.T) {
	for name, want := range map[string]string{"one": "| old |\n", "two": "| x |\n| y |\n"} {
		if got, err := Read(document, name); err != nil || got != want {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	for _, text := range []string{"", "<!-- three -->\n| x |\n", "<!-- three -->\n| x |\n" + document} {
		if _, err := Read(text, "three"); !errors.Is(err, ErrNotMarked) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestWrite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "DOCUMENT.md")
	if err := Write(path, "one", "| x |\n"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("without a file: %v", err)
	}
	if err := os.WriteFile(path, []byte(document), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Write(path, "three", "| x |\n"); !errors.Is(err, ErrNotMarked) {
		t.Errorf("without marks: %v", err)
	}
	for range 2 { // the second time nothing changes
		for _, part := range []string{"two", "one"} {
			if err := Write(path, part, "| "+part+" |\n"); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		const want = "a\n<!-- one -->\n\n| one |\n\n<!-- end -->\nb\n<!-- two -->\n\n| two |\n\n<!-- end -->\nc\n"
		if diff := cmp.Diff(want, string(got)); diff != "" {
			t.Error(diff)
		}
	}
}
