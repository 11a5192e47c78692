package auth

import (
	"crypto/hmac"
	"hash"
	"sync"

	"github.com/golang-jwt/jwt/v5"
)

// macs has the states in which a symmetric key verifies. A state has hashed the key
// once, and begins each verification from there. The zero value is ready to use.
type macs struct {
	pool sync.Pool // of *mac
}

type mac struct {
	method *jwt.SigningMethodHMAC
	hash   hash.Hash
	text   []byte // as sum, only for its memory
	sum    []byte
}

// verify reports whether a signature is that of a text under the secret.
func (m *macs) verify(method *jwt.SigningMethodHMAC, secret []byte, text string, signature []byte) bool {
	s, _ := m.pool.Get().(*mac)
	if s == nil || s.method != method { // a key is hardly ever used with several
		s = &mac{method: method, hash: hmac.New(method.Hash.New, secret)}
	}
	defer m.pool.Put(s)
	s.hash.Reset()
	s.text = append(s.text[:0], text...)
	s.hash.Write(s.text) // never fails
	s.sum = s.hash.Sum(s.sum[:0])
	return hmac.Equal(s.sum, signature)
}
