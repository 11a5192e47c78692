package auth

import (
	"time"

	"github.com/socketcluster-go/socketcluster/wire"

	"github.com/socketcluster-go/socketcluster/internal/numericdate"
)

// ErrTokenNotString is the answer to a token that is present in a message but
// is not a JSON string. An [Engine] never sees such a token; whoever decodes the
// message refuses it with this error.
var ErrTokenNotString = &wire.Error{
	Name:    wire.NameAuthToken,
	Message: "Invalid token format - Token must be a string",
	Fields:  []wire.Field{{Key: "isBadToken", Value: true}},
}

// signError reports why a token cannot be signed. JavaScript throws a plain
// Error there, so the name stays empty (JWT-2).
func signError(message string) error {
	return &wire.Error{Message: message}
}

// invalidError is the JsonWebTokenError of JWT-21 as AUTH-20 renames it.
func invalidError(message string) error {
	return &wire.Error{
		Name:    wire.NameAuthTokenInvalid,
		Message: message,
		Fields:  []wire.Field{{Key: "isBadToken", Value: true}},
	}
}

// expiredError carries the limit that has passed.
func expiredError(message string, limit numericdate.Date) error {
	return &wire.Error{
		Name:    wire.NameAuthTokenExpired,
		Message: message,
		Fields: []wire.Field{
			{Key: "expiry", Value: dateField(limit)},
			{Key: "isBadToken", Value: true},
		},
	}
}

// notBeforeError is, beside ErrKeysUnavailable, the only failure after which a
// client keeps its token.
func notBeforeError(limit numericdate.Date) error {
	return &wire.Error{
		Name:    wire.NameAuthTokenNotBefore,
		Message: "jwt not active",
		Fields: []wire.Field{
			{Key: "date", Value: dateField(limit)},
			{Key: "isBadToken", Value: false},
		},
	}
}

// dateField answers a date as a time.Time, which is encoded like a JavaScript
// Date (HS-13), in milliseconds, or nil when no JavaScript date can hold it.
func dateField(d numericdate.Date) any {
	if !d.InCalendar() {
		return nil
	}
	return time.UnixMilli(d.Milli()).UTC()
}
