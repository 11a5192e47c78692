package socketcluster

import (
	"crypto/rand"
	"encoding/base64"
)

// socketID is the ID of a socket: random bytes, which take less memory than their
// text.
type socketID [15]byte

// socketIDLen is the length of the text of an ID.
const socketIDLen = 20

func newSocketID() (id socketID) {
	rand.Read(id[:])
	return id
}

// String returns the text, which the client knows.
func (id socketID) String() string {
	var text [socketIDLen]byte
	base64.RawURLEncoding.Encode(text[:], id[:])
	return string(text[:])
}

// parseSocketID reads the text of an ID.
func parseSocketID(text string) (id socketID, ok bool) {
	if len(text) != socketIDLen {
		return id, false
	}
	n, err := base64.RawURLEncoding.Decode(id[:], []byte(text))
	return id, err == nil && n == len(id)
}
