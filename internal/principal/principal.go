// Package principal checks principals. The application vouches for these
// tokens, so no engine has checked their expiry.
package principal

import (
	"time"

	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/wire"
)

// Expiry returns the error of a principal that has expired, or nil.
func Expiry(token *auth.Token) error {
	if end, ok := token.ValidUntil(); !ok || time.Now().Before(end) {
		return nil
	}
	end, _ := token.ExpiresAt()
	return &wire.Error{
		Name:    wire.NameAuthTokenExpired,
		Message: "The principal has expired",
		Fields:  []wire.Field{{Key: "expiry", Value: end}, {Key: "isBadToken", Value: true}},
	}
}
