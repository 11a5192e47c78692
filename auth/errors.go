package auth

import (
	"time"

	"github.com/socketcluster-go/socketcluster/wire"

	"github.com/socketcluster-go/socketcluster/internal/numericdate"
)

// ErrTokenNotString is the answer to a token that is present in a message but
// is not a JSON string. An [Engine] never sees such a token, because the
// decoder of the message refuses it with this error.
var ErrTokenNotString = &wire.Error{
	Name:    wire.NameAuthToken,
	Message: "Invalid token format - Token must be a string",
	Fields:  []wire.Field{{Key: "isBadToken", Value: true}},
}

// signError is the error for a token that cannot be signed. JavaScript throws a
// plain Error there, so the name is empty (JWT-2).
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

// notBeforeError and ErrKeysUnavailable are the only failures after which a
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

// dateField returns a date as a time.Time, which is encoded like a JavaScript
// Date (HS-13), in milliseconds. It returns nil if no JavaScript date can hold
// the value.
func dateField(d numericdate.Date) any {
	if !d.InCalendar() {
		return nil
	}
	return time.UnixMilli(d.Milli()).UTC()
}
