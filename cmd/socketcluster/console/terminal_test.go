package console

import (
	"slices"
	"strings"
	"testing"

	"github.com/socketcluster-go/socketcluster/client"
)

// What the Tab key makes of a line. The cursor is at |.
func TestComplete(t *testing.T) {
	c := newConsole(t.Context(), Options{}, new(strings.Builder))
	defer c.close()
	const nothing = "" // the key does nothing
	check := func(tests [][2]string) {
		t.Helper()
		for _, test := range tests {
			line := strings.Replace(test[0], "|", "", 1)
			pos := strings.Index(test[0], "|")
			got := nothing
			if text, to, ok := complete(line, pos, c.candidates(line[:pos])); ok {
				got = text[:to] + "|" + text[to:]
			}
			if got != test[1] {
				t.Errorf("%s becomes %s, want %s", test[0], got, test[1])
			}
		}
	}
	check([][2]string{
		{"inv|", "invoke |"},
		{"invoke|", "invoke |"},
		{"pub|", "publish |"},
		{"|", "|"}, // commands have nothing in common
		{"s|", "s|"},
		{"su|", "subscribe |"},
		{"log|", "log|"}, // login, logout
		{"logi| {}", "login |{}"},
		{"trans|", "transmit|"}, // transmit, transmit-publish
		{"transmit-|", "transmit-publish |"},
		{"frobnicate|", nothing},
		{"  inv|", "  invoke |"},
		{"help lo|", "help log|"},
		{"help|", "help |"},
		{"help log|", "help log|"},
		{"help logi|", "help login |"},
		{"token s|", "token s|"},
		{"token sh|", "token show |"},
		{"token show |", nothing},
		{"expect pub|", "expect publish |"},
		{"expect no pub|", nothing},
		{"publish ne|", nothing}, // there is no connection
		{"invoke ec|", nothing},  // the server's procedures are not known
	})

	cl, err := client.New("ws://server.test", client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	c.client = cl
	for _, channel := range []string{"news", "newer", "chat"} {
		if _, err := cl.Subscribe(t.Context(), channel, client.PendingOK(), client.WaitForAuth()); err != nil {
			t.Fatal(err)
		}
	}
	check([][2]string{
		{"publish ne|", "publish new|"},
		{"publish new|", "publish new|"},
		{"transmit-publish news|", "transmit-publish news |"},
		{"unsubscribe |", "unsubscribe |"},
		{"unsubscribe c|", "unsubscribe chat |"},
		{"publish c| 1", "publish chat |1"},
		{"subscribe ne|", nothing},
		{"publish news |", nothing}, // data follows
	})
	if got := c.candidates("publish "); !slices.Equal(got, []string{"chat", "newer", "news"}) {
		t.Errorf("the channels are %q", got)
	}
}
