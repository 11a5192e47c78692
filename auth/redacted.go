package auth

import (
	"fmt"
	"strconv"

	"github.com/socketcluster-go/socketcluster/internal/redact"
)

// Values that contain a token or a key are printed without it, by every verb
// and as JSON, because they end up in logs.

func (t Token) text() string {
	text := "auth.Token{"
	if alg := t.Algorithm(); alg != "" {
		text += alg + " "
	}
	return text + strconv.Itoa(t.size()) + " bytes}"
}

// Format implements [fmt.Formatter]. It shows neither the text nor the claims.
func (t Token) Format(f fmt.State, _ rune) { redact.Format(f, t.text()) }

// MarshalJSON implements json.Marshaler, as Format does fmt.Formatter.
func (t Token) MarshalJSON() ([]byte, error) { return redact.JSON(t.text()) }

func (o Options) text() string { return redact.Text(o, "Key", "PrivateKey") }

// Format implements [fmt.Formatter]. It shows no key.
func (o Options) Format(f fmt.State, _ rune) { redact.Format(f, o.text()) }

// MarshalJSON implements json.Marshaler. It shows no key.
func (o Options) MarshalJSON() ([]byte, error) { return redact.JSON(o.text()) }

// Format implements [fmt.Formatter]. It shows no key.
func (j *JWT) Format(f fmt.State, _ rune) { redact.Format(f, "auth.JWT") }

// MarshalJSON implements json.Marshaler, as Format does fmt.Formatter.
func (j *JWT) MarshalJSON() ([]byte, error) { return redact.JSON("auth.JWT") }
