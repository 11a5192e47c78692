package login

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/socketcluster-go/socketcluster/wire"
)

// ErrInvalidCredentials is the error that a check returns, wrapped or not, for
// an unknown name and for a wrong password.
var ErrInvalidCredentials = errors.New("login: invalid credentials")

// ErrLogin is the error that clients receive for [ErrInvalidCredentials]. It
// must not be changed.
var ErrLogin = &wire.Error{Name: "LoginError", Message: "Invalid user credentials"}

// ErrRate is a target for errors.Is. It matches the error of an attempt that
// was not checked because there were too many. That error has a field
// retryAfter, the number of seconds to wait.
var ErrRate = &wire.Error{Name: "LoginRateError"}

const retryAfter = "retryAfter"

// rateError does not reveal which limit was reached.
func rateError(wait time.Duration) *wire.Error {
	seconds := int((wait + time.Second - 1) / time.Second)
	return &wire.Error{
		Name:    ErrRate.Name,
		Message: "Too many login attempts",
		Fields:  []wire.Field{{Key: retryAfter, Value: seconds}},
	}
}

// WriteError writes an error of [Do] as the response to a request, as a JSON
// object with the member error. The status is 401 for [ErrLogin], 429 with
// Retry-After for [ErrRate], 503 for a ResourceLimitError such as that of
// auth/password, and 403 for every other *[wire.Error]. For all other errors it
// is 500, and the text of the error is not sent; log it.
func WriteError(w http.ResponseWriter, err error) {
	var public *wire.Error
	status := http.StatusForbidden
	switch {
	case !errors.As(err, &public):
		status = http.StatusInternalServerError
		public = wire.InternalError()
	case errors.Is(err, ErrLogin):
		status = http.StatusUnauthorized
	case errors.Is(err, ErrRate):
		status = http.StatusTooManyRequests
		if seconds, ok := public.Field(retryAfter); ok {
			if n, ok := seconds.(int); ok {
				w.Header().Set("Retry-After", strconv.Itoa(n))
			}
		}
	case errors.Is(err, wire.ErrResourceLimit):
		status = http.StatusServiceUnavailable
	}
	write(w, status, public)
}

func write(w http.ResponseWriter, status int, err *wire.Error) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]*wire.Error{"error": err}) // the client may be gone
}
