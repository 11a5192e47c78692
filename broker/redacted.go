package broker

import (
	"fmt"

	"github.com/socketcluster-go/socketcluster/internal/redact"
)

func (p Publication) text() string { return redact.Text(p, "Data") }

// Format implements [fmt.Formatter]. It shows no data.
func (p Publication) Format(f fmt.State, _ rune) { redact.Format(f, p.text()) }

// MarshalJSON implements json.Marshaler, as Format does fmt.Formatter.
func (p Publication) MarshalJSON() ([]byte, error) { return redact.JSON(p.text()) }
