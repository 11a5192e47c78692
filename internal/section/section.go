// Package section reads and writes the parts of a document that a program
// makes. Such a part lies between two comments, which a reader of the rendered
// document does not see:
//
//	<!-- NAME -->
//	…
//	<!-- end -->
//
// NAME is usually the command that makes the part. A document may have several
// parts, each with a name of its own. Two programs must not write one document
// at the same time.
package section

import (
	"errors"
	"fmt"
	"os"
	"strings"
)

const end = "<!-- end -->\n"

// ErrNotMarked is what the error is when a document has no marks of a name.
var ErrNotMarked = errors.New("not marked")

// Read returns the lines of a part of a document, without the empty lines
// around them.
func Read(text, name string) (string, error) {
	_, part, _, err := cut(text, name)
	return strings.Trim(part, "\n") + "\n", err
}

// Write puts lines in the place of those of a part of the document at path.
// lines end with a newline.
func Write(path, name, lines string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	before, _, after, err := cut(string(text), name)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return os.WriteFile(path, []byte(before+"\n"+lines+"\n"+after), 0o644)
}

// cut returns a part of a document, and what is before and after it with the
// marks.
func cut(text, name string) (before, part, after string, err error) {
	begin := "<!-- " + name + " -->\n"
	before, rest, ok := strings.Cut(text, begin)
	part, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 || strings.Contains(part, "<!-- ") {
		return "", "", "", fmt.Errorf("%w by %q and %q", ErrNotMarked, strings.TrimSpace(begin), strings.TrimSpace(end))
	}
	return before + begin, part, end + after, nil
}
