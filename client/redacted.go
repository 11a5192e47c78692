package client

import (
	"fmt"

	"github.com/socketcluster-go/socketcluster/internal/redact"
)

// Values that contain a token, or data that may be a login, are printed without
// it, by every verb and as JSON, because they end up in logs.

func (c *Client) text() string {
	if c == nil {
		return "<nil>"
	}
	return "client.Client{" + c.URL() + "}"
}

// Format implements [fmt.Formatter]. It shows no token, and no state that
// changes.
func (c *Client) Format(f fmt.State, _ rune) { redact.Format(f, c.text()) }

// MarshalJSON implements json.Marshaler, as Format does fmt.Formatter.
func (c *Client) MarshalJSON() ([]byte, error) { return redact.JSON(c.text()) }

func (s *MemoryStore) text() string { return "client.MemoryStore{}" }

// Format implements [fmt.Formatter]. It shows no token.
func (s *MemoryStore) Format(f fmt.State, _ rune) { redact.Format(f, s.text()) }

// MarshalJSON implements json.Marshaler. It shows no token.
func (s *MemoryStore) MarshalJSON() ([]byte, error) { return redact.JSON(s.text()) }

func (o Options) text() string { return redact.Text(o) }

// Format implements [fmt.Formatter]. It shows no header.
func (o Options) Format(f fmt.State, _ rune) { redact.Format(f, o.text()) }

// MarshalJSON implements json.Marshaler. It shows no header.
func (o Options) MarshalJSON() ([]byte, error) { return redact.JSON(o.text()) }

func (e ConnectEvent) text() string { return redact.Text(e, "SignedAuthToken") }

// Format implements [fmt.Formatter]. It shows no token.
func (e ConnectEvent) Format(f fmt.State, _ rune) { redact.Format(f, e.text()) }

// MarshalJSON implements json.Marshaler. It shows no token.
func (e ConnectEvent) MarshalJSON() ([]byte, error) { return redact.JSON(e.text()) }

func (e MessageEvent) text() string { return redact.Text(e, "Data") }

// Format implements [fmt.Formatter]. It shows no data.
func (e MessageEvent) Format(f fmt.State, _ rune) { redact.Format(f, e.text()) }

// MarshalJSON implements json.Marshaler. It shows no data.
func (e MessageEvent) MarshalJSON() ([]byte, error) { return redact.JSON(e.text()) }

func (e RawEvent) text() string { return redact.Text(e, "Data") }

// Format implements [fmt.Formatter]. It shows no data.
func (e RawEvent) Format(f fmt.State, _ rune) { redact.Format(f, e.text()) }

// MarshalJSON implements json.Marshaler. It shows no data.
func (e RawEvent) MarshalJSON() ([]byte, error) { return redact.JSON(e.text()) }

func (e AuthenticateEvent) text() string { return redact.Text(e, "SignedAuthToken") }

// Format implements [fmt.Formatter]. It shows no token.
func (e AuthenticateEvent) Format(f fmt.State, _ rune) { redact.Format(f, e.text()) }

// MarshalJSON implements json.Marshaler. It shows no token.
func (e AuthenticateEvent) MarshalJSON() ([]byte, error) { return redact.JSON(e.text()) }

func (e DeauthenticateEvent) text() string { return redact.Text(e, "OldSignedAuthToken") }

// Format implements [fmt.Formatter]. It shows no token.
func (e DeauthenticateEvent) Format(f fmt.State, _ rune) { redact.Format(f, e.text()) }

// MarshalJSON implements json.Marshaler. It shows no token.
func (e DeauthenticateEvent) MarshalJSON() ([]byte, error) { return redact.JSON(e.text()) }

func (e AuthStateChangeEvent) text() string { return redact.Text(e, "SignedAuthToken") }

// Format implements [fmt.Formatter]. It shows no token.
func (e AuthStateChangeEvent) Format(f fmt.State, _ rune) { redact.Format(f, e.text()) }

// MarshalJSON implements json.Marshaler. It shows no token.
func (e AuthStateChangeEvent) MarshalJSON() ([]byte, error) { return redact.JSON(e.text()) }

func (e RemoveAuthTokenEvent) text() string { return redact.Text(e, "OldSignedAuthToken") }

// Format implements [fmt.Formatter]. It shows no token.
func (e RemoveAuthTokenEvent) Format(f fmt.State, _ rune) { redact.Format(f, e.text()) }

// MarshalJSON implements json.Marshaler. It shows no token.
func (e RemoveAuthTokenEvent) MarshalJSON() ([]byte, error) { return redact.JSON(e.text()) }
