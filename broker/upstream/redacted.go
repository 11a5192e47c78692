package upstream

import (
	"fmt"

	"github.com/socketcluster-go/socketcluster/internal/redact"
)

// Values that contain a password or a token are printed without it, by every verb
// and as JSON, because they end up in logs.

func (o Options) text() string { return redact.Text(o, "URL") }

// Format implements [fmt.Formatter]. It shows no URL, which may have a password,
// and no header.
func (o Options) Format(f fmt.State, _ rune) { redact.Format(f, o.text()) }

// MarshalJSON implements json.Marshaler, as Format does fmt.Formatter.
func (o Options) MarshalJSON() ([]byte, error) { return redact.JSON(o.text()) }

func (b *Broker) text() string {
	if b == nil {
		return "<nil>"
	}
	return "upstream.Broker{" + b.c.URL() + "}"
}

// Format implements [fmt.Formatter]. It shows no token, and no state that
// changes.
func (b *Broker) Format(f fmt.State, _ rune) { redact.Format(f, b.text()) }

// MarshalJSON implements json.Marshaler, as Format does fmt.Formatter.
func (b *Broker) MarshalJSON() ([]byte, error) { return redact.JSON(b.text()) }
