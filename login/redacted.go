package login

import (
	"fmt"

	"github.com/socketcluster-go/socketcluster/internal/redact"
)

func (a Attempt) text() string { return redact.Text(a, "User") }

// Format implements [fmt.Formatter]. It shows nothing of the request, whose
// headers contain cookies and tokens, and not the name, because people
// sometimes type their password there.
func (a Attempt) Format(f fmt.State, _ rune) { redact.Format(f, a.text()) }

// MarshalJSON implements json.Marshaler, as Format does fmt.Formatter.
func (a Attempt) MarshalJSON() ([]byte, error) { return redact.JSON(a.text()) }
