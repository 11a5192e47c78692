package rules

import (
	"github.com/socketcluster-go/socketcluster/auth"

	"github.com/socketcluster-go/socketcluster/internal/claimscan"
)

// inlineClaims is the number of claims that a decision can read without an
// allocation. Most sets use one or two.
const inlineClaims = 6

// claims has the values of the claims that a set uses. The token is read when
// the first one is needed.
type claims struct {
	names  []string
	token  *auth.Token
	read   bool
	inline [inlineClaims][]byte
	more   [][]byte
}

// get returns the value of a claim, or nil if the token has no such claim.
func (c *claims) get(slot int) []byte {
	if !c.read {
		c.readAll()
	}
	if slot < inlineClaims {
		return c.inline[slot]
	}
	return c.more[slot-inlineClaims]
}

func (c *claims) readAll() {
	c.read = true
	if n := len(c.names) - inlineClaims; n > 0 {
		c.more = make([][]byte, n)
	}
	s := claimscan.Scan(c.token.Payload())
	for name, value := range s.Members() {
		c.set(name, value)
	}
}

func (c *claims) set(name, value []byte) {
	for slot, n := range c.names {
		if n != string(name) {
			continue
		}
		if slot < inlineClaims {
			c.inline[slot] = value
		} else {
			c.more[slot-inlineClaims] = value
		}
		return
	}
}
