package printable_test

import (
	"testing"

	"github.com/socketcluster-go/socketcluster/cmd/socketcluster/printable"
)

func TestText(t *testing.T) {
	for text, want := range map[string]string{
		"":                            "",
		"Grüße\tan\nalle 👋":           "Grüße\tan\nalle 👋",
		"\x1b[2J\x1b]0;owned\a\r\x7f": `\u001b[2J\u001b]0;owned\u0007\u000d\u007f`,
		"\u009b31m \u202etxt.exe":     `\u009b31m \u202etxt.exe`,
	} {
		if got := printable.Text(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}
