package wire_test

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/socketcluster-go/socketcluster/wire"
)

// TestCloseCodes pins the table ERR-4 with HS-24 and ERR-5.
func TestCloseCodes(t *testing.T) {
	tests := []struct {
		code wire.CloseCode
		n    int
		text string
	}{
		{wire.CloseNormal, 1000, "Socket closed normally"},
		{wire.CloseGoingAway, 1001, "Socket was disconnected"},
		{wire.CloseProtocolError, 1002, "A WebSocket protocol error was encountered"},
		{wire.CloseInvalidData, 1003, "Server terminated socket because it received invalid data"},
		{wire.CloseNoStatus, 1005, "Socket closed without status code"},
		{wire.CloseAbnormal, 1006, "Socket hung up"},
		{wire.CloseInvalidText, 1007, "Message format was incorrect"},
		{wire.ClosePolicy, 1008, "Encountered a policy violation"},
		{wire.CloseTooBig, 1009, "Message was too big to process"},
		{wire.CloseMissingExtension, 1010, "Client ended the connection because the server did not comply with extension requirements"},
		{wire.CloseInternal, 1011, "Server encountered an unexpected fatal condition"},
		{wire.ClosePingTimeout, 4000, "Server ping timed out"},
		{wire.ClosePongTimeout, 4001, "Client pong timed out"},
		{wire.CloseSignFailed, 4002, "Server failed to sign auth token"},
		{wire.CloseHandshakeFailed, 4003, "Failed to complete handshake"},
		{wire.CloseTokenSaveFailed, 4004, "Client failed to save auth token"},
		{wire.CloseHandshakeTimeout, 4005, "Did not receive #handshake from client before timeout"},
		{wire.CloseBrokerFailed, 4006, "Failed to bind socket to message broker"},
		{wire.CloseConnectTimeout, 4007, "Client connection establishment timed out"},
		{wire.CloseHandshakeRejected, 4008, "Server rejected handshake from client"},
		{wire.CloseEarlyMessage, 4009, "Server received a message before the client handshake"},
	}
	known := map[int]bool{}
	for _, tt := range tests {
		known[tt.n] = true
		if int(tt.code) != tt.n || tt.code.Text() != tt.text {
			t.Errorf("ERR-4: %d %q, want %d %q", tt.code, tt.code.Text(), tt.n, tt.text)
		}
		if len(tt.text) > wire.MaxReason {
			t.Errorf("ERR-4: the text of %d does not fit a close frame", tt.n)
		}
	}
	for n := -1; n < 6000; n++ {
		c := wire.CloseCode(n)
		if !known[n] && c.Text() != "" {
			t.Errorf("ERR-4: %d has the text %q", n, c.Text())
		}
		if want := n == 1000 || n == 1001; c.Ignored() != want {
			t.Errorf("ERR-5: %d ignored: %v", n, c.Ignored())
		}
		want := n >= 1000 && n <= 1014 && n != 1004 && n != 1005 && n != 1006 || n >= 3000 && n <= 4999
		if c.Sendable() != want {
			t.Errorf("TR-33: %d sendable: %v", n, c.Sendable())
		}
	}
}

func TestSocketProtocolError(t *testing.T) {
	tests := []struct {
		name    string
		code    wire.CloseCode
		reason  string
		message string
	}{
		{"CL-10: known code", 4001, "", "Client pong timed out"},
		{"CL-10: known code with another reason", 1006, "read: reset", "Socket hung up"},
		{"CL-10: unknown code", 4444, "because", "Socket connection closed with status code 4444 and reason: because"},
		{"CL-10: unknown code without reason", 4500, "", "Socket connection closed with status code 4500"},
		{"CL-10: 1000 has no error text", 1000, "bye", "Socket connection closed with status code 1000 and reason: bye"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := wire.NewSocketProtocolError(tt.code, tt.reason)
			if e.Message != tt.message || !errors.Is(e, wire.ErrSocketProtocol) {
				t.Errorf("%v, want %q", e, tt.message)
			}
			if code, ok := e.Field("code"); !ok || code != int(tt.code) {
				t.Errorf("field code is %v, %v", code, ok)
			}
		})
	}
}

// TestTruncateReason pins QK-18: 123 bytes at a rune boundary.
func TestTruncateReason(t *testing.T) {
	tests := []struct{ name, s, want string }{
		{"empty", "", ""},
		{"fits", strings.Repeat("a", 123), strings.Repeat("a", 123)},
		{"one too long", strings.Repeat("a", 124), strings.Repeat("a", 123)},
		{"huge", strings.Repeat("a", 1<<20), strings.Repeat("a", 123)},
		{"two bytes across the limit", strings.Repeat("a", 122) + "é", strings.Repeat("a", 122)},
		{"two bytes up to the limit", strings.Repeat("a", 121) + "éb", strings.Repeat("a", 121) + "é"},
		{"four bytes across the limit", strings.Repeat("a", 120) + "😀😀", strings.Repeat("a", 120)},
		{"four bytes up to the limit", strings.Repeat("a", 119) + "😀😀", strings.Repeat("a", 119) + "😀"},
		{"not UTF-8", "a\xffb", "a\ufffdb"},
		{"a run that is not UTF-8", "\xff\xff" + strings.Repeat("b", 123), "\ufffd\ufffd" + strings.Repeat("b", 117)},
		{"not UTF-8 and growing", strings.Repeat("a\xff", 60), strings.Repeat("a\ufffd", 30) + "a"},
	}
	for _, tt := range tests {
		t.Run("QK-18: "+tt.name, func(t *testing.T) {
			if got := wire.TruncateReason(tt.s); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.String().Draw(t, "s")
		got := wire.TruncateReason(s)
		if len(got) > 123 || !utf8.ValidString(got) {
			t.Fatalf("%q", got)
		}
		if !strings.HasPrefix(s, got) || len(got) < len(s) && len(got) < 120 {
			t.Fatalf("%q is not the greatest prefix of %q", got, s)
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		got := wire.TruncateReason(string(rapid.SliceOf(rapid.Byte()).Draw(t, "bytes")))
		if len(got) > 123 || !utf8.ValidString(got) {
			t.Fatalf("%q", got)
		}
	})
}
