package auth

import (
	"math"
	"time"

	"github.com/socketcluster-go/socketcluster/wire"
)

// ErrTokenNotString is the answer to a token that is present in a message but
// is not a JSON string (AUTH-11, row 8 of HS-11). An [Engine] never sees such a
// token; whoever decodes the message refuses it with this error.
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

// expiredError carries the limit that has passed, in seconds since the epoch.
func expiredError(message string, limit float64) error {
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
func notBeforeError(limit float64) error {
	return &wire.Error{
		Name:    wire.NameAuthTokenNotBefore,
		Message: "jwt not active",
		Fields: []wire.Field{
			{Key: "date", Value: dateField(limit)},
			{Key: "isBadToken", Value: false},
		},
	}
}

// maxDate is the largest distance from the epoch, in milliseconds, that a
// JavaScript date can hold (ECMA-262, time values).
const maxDate = 8.64e15

// dateField answers a numeric date as a time.Time, which is encoded like a
// JavaScript Date (HS-13), or nil when no JavaScript date can hold it.
func dateField(seconds float64) any {
	ms := math.Trunc(seconds * 1000)
	if math.IsNaN(ms) || math.Abs(ms) > maxDate {
		return nil
	}
	return time.UnixMilli(int64(ms)).UTC()
}
