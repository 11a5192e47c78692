package login

import (
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"

	"github.com/socketcluster-go/socketcluster/wire"
)

// MaxBody is the size of the largest body that [ReadJSON] reads, in bytes. It
// has room for a name and a long passphrase with every character escaped.
const MaxBody = 4 << 10

// ReadJSON reads the body of a request to log in into v, as [json.Unmarshal]
// does. If it returns false, it has written an error response in the form of
// [WriteError], and v must not be used. The status is 415 for another
// Content-Type than application/json, 413 for a body over [MaxBody], and 400
// for a body that is not JSON or does not fit v.
//
// The Content-Type keeps out forms of other sites, which can send any text as a
// body, but not with this type.
func ReadJSON(w http.ResponseWriter, r *http.Request, v any) bool {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		writeMalformed(w, http.StatusUnsupportedMediaType, "The Content-Type must be application/json")
		return false
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxBody))
	if errors.As(err, new(*http.MaxBytesError)) {
		writeMalformed(w, http.StatusRequestEntityTooLarge, "The body is too large")
		return false
	}
	if err != nil || json.Unmarshal(body, v) != nil {
		writeMalformed(w, http.StatusBadRequest, "The body must be a JSON object with the fields of a login")
		return false
	}
	return true
}

func writeMalformed(w http.ResponseWriter, status int, message string) {
	write(w, status, &wire.Error{Name: wire.ErrInvalidArguments.Name, Message: message})
}
