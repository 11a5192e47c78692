package cluster

import (
	"fmt"
	"strings"
)

// plain reports for each byte whether it stands for itself in a token of a
// subject. The others are special to NATS, white space, control characters,
// beyond ASCII, or the escape itself.
var plain = func() (t [256]bool) {
	for c := '!'; c <= '~'; c++ {
		t[c] = !strings.ContainsRune(`.*>$=`, c)
	}
	return t
}()

const hexDigits = "0123456789ABCDEF"

// appendToken appends a name as one token of a subject: a byte that is special
// becomes = and two hexadecimal digits, and the empty name a lone =. Every name
// has one token, and no two names share one, so that no name can reach another
// subject.
func appendToken(dst []byte, name string) []byte {
	if name == "" {
		return append(dst, '=')
	}
	begin := 0
	for i := range len(name) {
		if c := name[i]; !plain[c] {
			dst = append(append(dst, name[begin:i]...), '=', hexDigits[c>>4], hexDigits[c&15])
			begin = i + 1
		}
	}
	return append(dst, name[begin:]...)
}

// maxToken is the length of the longest token, in bytes: that of any name of 1024 bytes. NATS
// ends a connection for good when a line of its protocol has more than 4096, in which are
// the token, a prefix, and on the way back an inbox.
const maxToken = 3072

// checkName refuses a channel whose token is too long.
func checkName(channel string) error {
	token := len(channel)
	for i := range len(channel) {
		if !plain[channel[i]] {
			token += 2
		}
	}
	if token > maxToken {
		return fmt.Errorf("cluster: the name of the channel takes %d bytes in NATS; it may take %d, where special characters and those beyond ASCII take 3 a byte", token, maxToken)
	}
	return nil
}

// parseToken returns the name of a token. It refuses what appendToken does not
// make.
func parseToken(token string) (name string, ok bool) {
	if token == "=" {
		return "", true
	}
	var b []byte // nil while the name is the beginning of the token
	begin := 0
	for i := 0; i < len(token); i++ {
		switch c := token[i]; {
		case plain[c]:
		case c == '=' && i+2 < len(token):
			high, low := strings.IndexByte(hexDigits, token[i+1]), strings.IndexByte(hexDigits, token[i+2])
			if high < 0 || low < 0 || plain[high<<4|low] {
				return "", false
			}
			b = append(append(b, token[begin:i]...), byte(high<<4|low))
			i += 2
			begin = i + 1
		default:
			return "", false
		}
	}
	if b == nil {
		return token, token != ""
	}
	return string(append(b, token[begin:]...)), true
}
