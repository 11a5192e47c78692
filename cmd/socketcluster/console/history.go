package console

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
)

// historyLength is the number of lines that a history keeps.
const historyLength = 1000

// history has the lines of earlier commands, in a file that only its owner can
// read. It implements term.History.
type history struct {
	file  *os.File // nil: none
	lines []string // the oldest first
}

// openHistory reads the file of a history, and makes it if there is none. If it
// fails, the history has no file, and can be used all the same.
func openHistory(path string) (*history, error) {
	h := new(history)
	if path == "" {
		return h, nil
	}
	text, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return h, fmt.Errorf("history: %w", err)
	}
	h.lines = strings.FieldsFunc(string(text), func(r rune) bool { return r == '\n' })
	if len(h.lines) > historyLength {
		h.lines = h.lines[len(h.lines)-historyLength:]
		if err := os.WriteFile(path, []byte(strings.Join(h.lines, "\n")+"\n"), 0o600); err != nil {
			return h, fmt.Errorf("history: %w", err)
		}
	}
	if h.file, err = os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600); err != nil {
		h.file = nil
		return h, fmt.Errorf("history: %w", err)
	}
	return h, nil
}

func (h *history) close() {
	if h.file != nil {
		_ = h.file.Close()
	}
}

// Add implements term.History. It keeps no line that may contain a password or a
// token.
func (h *history) Add(line string) {
	line = strings.TrimSpace(line)
	if line == "" || len(h.lines) > 0 && h.lines[len(h.lines)-1] == line || secret(line) {
		return
	}
	h.lines = append(h.lines, line)
	if h.file != nil {
		_, _ = h.file.WriteString(line + "\n") // a line that is lost is not worth a word
	}
}

// secret reports whether a line may contain a password or a token.
func secret(line string) bool {
	name, rest, _ := word(line) // a name that cannot be read is none of these
	what, _, _ := word(rest)
	lower := strings.ToLower(line)
	return name == "login" || name == "token" && what == "set" || name == "connect" && strings.Contains(rest, "@") ||
		strings.Contains(lower, "password") || strings.Contains(lower, "secret")
}

// Len implements term.History.
func (h *history) Len() int { return len(h.lines) }

// At implements term.History: 0 is the newest line.
func (h *history) At(i int) string { return h.lines[len(h.lines)-1-i] }
