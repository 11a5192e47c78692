package jwks

import (
	"fmt"
	"net/url"

	"github.com/socketcluster-go/socketcluster/internal/redact"
)

func (o Options) text() string {
	names := make([]string, len(o.URLs))
	for i, address := range o.URLs {
		names[i] = "not a URL"
		if u, err := url.Parse(address); err == nil {
			names[i] = nameOf(u)
		}
	}
	o.URLs = names
	return redact.Text(o)
}

// nameOf returns an address without the parts that may be secret.
func nameOf(u *url.URL) string { return u.Scheme + "://" + u.Host + u.Path }

// Format implements [fmt.Formatter]. It shows addresses without user information and
// query.
func (o Options) Format(f fmt.State, _ rune) { redact.Format(f, o.text()) }

// MarshalJSON implements json.Marshaler, as Format does fmt.Formatter.
func (o Options) MarshalJSON() ([]byte, error) { return redact.JSON(o.text()) }
