package web

import (
	"encoding/json"
	"errors"
	"mime"
	"net/http"
)

// maxBody is the largest body of a login, in bytes.
const maxBody = 4096

// ReadJSON reads the body of a request into v. It reports false, and has
// answered, if the body is not JSON of that form, too large, or of another type: a
// form of another site can send any text, but not as application/json.
func ReadJSON(w http.ResponseWriter, r *http.Request, v any) bool {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		http.Error(w, "The Content-Type must be application/json", http.StatusUnsupportedMediaType)
		return false
	}
	err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody)).Decode(v)
	switch {
	case errors.As(err, new(*http.MaxBytesError)):
		http.Error(w, "The body is too large", http.StatusRequestEntityTooLarge)
	case err != nil:
		http.Error(w, "The body must be JSON with a username and a password", http.StatusBadRequest)
	}
	return err == nil
}
