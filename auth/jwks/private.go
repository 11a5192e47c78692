package jwks

import (
	"bytes"
	"encoding/json"
	"slices"

	"github.com/socketcluster-go/socketcluster/auth"
)

var (
	privateMembers = []string{"d", "p", "q", "dp", "dq", "qi", "oth"}
	publicMembers  = []string{"kty", "n", "e", "crv", "x", "y"}
)

// privateParts returns the thumbprints of the keys whose private part is in a
// body, with any kid, for any purpose, in any place. The body need not be a JWK
// Set and may even be truncated: a key that everybody can read has leaked
// nevertheless.
func privateParts(body []byte) map[string]bool {
	published := map[string]bool{}
	d := json.NewDecoder(bytes.NewReader(body))
	var open []container
	end := func() {
		last := len(open) - 1
		if thumbprint, ok := open[last].leaks(); ok {
			published[thumbprint] = true
		}
		open = open[:last]
	}
	for {
		token, err := d.Token()
		if err != nil {
			for len(open) > 0 {
				end()
			}
			return published
		}
		switch token {
		case json.Delim('}'), json.Delim(']'):
			end()
			continue
		}
		if len(open) > 0 {
			open[len(open)-1].next(token)
		}
		switch token {
		case json.Delim('{'), json.Delim('['):
			open = append(open, container{object: token == json.Delim('{')})
		}
	}
}

// container is an object or an array whose end has not been read yet.
type container struct {
	object  bool
	named   bool   // the next token is the value of name
	name    string // of the last member of the object
	private bool
	public  map[string]string
}

// next records the name of a member, or the first token of its value.
func (c *container) next(token json.Token) {
	if !c.object {
		return
	}
	text, isText := token.(string)
	if c.named = !c.named; c.named {
		c.name = text
		c.private = c.private || slices.Contains(privateMembers, text)
		return
	}
	if isText && slices.Contains(publicMembers, c.name) {
		if c.public == nil {
			c.public = map[string]string{}
		}
		c.public[c.name] = text
	}
}

// leaks returns the thumbprint of the key in the container if it has its
// private part.
func (c *container) leaks() (thumbprint string, ok bool) {
	if !c.private {
		return "", false
	}
	text, err := json.Marshal(c.public)
	if err != nil {
		return "", false
	}
	k, err := auth.ParseJWK(text)
	if err != nil {
		return "", false
	}
	return k.Key.Thumbprint(), true
}
