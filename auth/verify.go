package auth

import (
	"context"
	"slices"
	"strings"
	"time"
	"unique"

	"github.com/golang-jwt/jwt/v5"

	"github.com/socketcluster-go/socketcluster/internal/numericdate"
)

// Verify checks a token; the package documentation lists the checks and their
// order. The error is a *wire.Error that may be sent to the client, with the
// name, fields and text of the JavaScript server.
//
// With a [KeySource], if no key has the kid of the token, it waits for
// [KeySource].Refresh until ctx is done, and may then return
// [ErrKeysUnavailable].
func (j *JWT) Verify(ctx context.Context, signed string, opts ...VerifyOption) (*Token, error) {
	o := VerifyOptions{ClockTolerance: j.clockTolerance}
	o.apply(opts)
	if o.At.IsZero() {
		o.At = time.Now()
	}
	p, err := j.decode(signed)
	if err != nil {
		return nil, err
	}
	if p.unsigned {
		return nil, invalidError("jwt signature is required")
	}
	var key RingKey
	if j.source == nil {
		err = j.checkSignature(&p)
	} else {
		key, err = j.checkWithSource(ctx, &p, o.At)
	}
	if err != nil {
		return nil, err
	}
	if o.OwnKeys && !j.owns(key) {
		return nil, ErrForeignToken
	}
	if err := checkClaims(p.claims, &o); err != nil {
		return nil, err
	}
	if err := key.checkClaims(p.claims); err != nil {
		return nil, err
	}

	j.know(&p)
	t := p.token(o.ClockTolerance)
	if key.Check != nil {
		if err := key.Check(t); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// checkSignature verifies with the engine's own key.
func (j *JWT) checkSignature(p *parts) error {
	ks := j.keyState()
	if ks.verification.IsZero() {
		return invalidError("secret or public key must be provided")
	}
	i := slices.IndexFunc(ks.accepted, func(a *algorithm) bool { return a.name == p.header.alg })
	if i < 0 {
		return invalidError("invalid algorithm")
	}
	if !p.signedBy(ks.accepted[i], ks.verification) {
		return invalidError("invalid signature")
	}
	return nil
}

// parts has the parts of a token, none of which can be trusted yet.
type parts struct {
	header        header
	known         *knownHeader // of the header, or nil
	encodedHeader string
	bytes         []byte // the payload, and the signature if it is canonical base64url
	payload       int    // the length of the payload
	claims        members
	signing       string // what the signature covers
	unsigned      bool   // there is no signature
}

func (p *parts) signedBy(a *algorithm, k Key) bool {
	signature := p.bytes[p.payload:]
	if len(signature) == 0 {
		return false
	}
	if m, ok := a.method.(*jwt.SigningMethodHMAC); ok && k.family() == familyHMAC {
		return k.material().macs.verify(m, k.material().secret, p.signing, signature)
	}
	return a.method.Verify(p.signing, signature, k.verifying()) == nil
}

// token returns the token that has these parts, which must have been verified.
func (p *parts) token(tolerance time.Duration) *Token {
	t := newToken(p.bytes, p.payload, p.claims, tolerance)
	t.header = p.known.handle
	return t
}

// knownHeader is the header of a token that was verified. Most tokens that a server
// gets have the same one, which is then decoded once.
type knownHeader struct {
	tokenHeader
	handle unique.Handle[tokenHeader]
}

// know keeps the header of a token that has been verified.
func (j *JWT) know(p *parts) {
	if p.known == nil {
		h := tokenHeader{strings.Clone(p.encodedHeader), p.header}
		p.known = &knownHeader{h, unique.Make(h)}
		j.known.Store(p.known)
	}
}

// decode reads the compact form. Its cost is a few times the length of the
// token, which is checked first.
func (j *JWT) decode(signed string) (parts, error) {
	switch {
	case len(signed) > j.sizeLimit():
		return parts{}, invalidError("jwt too large")
	case signed == "":
		return parts{}, invalidError("jwt must be provided")
	case strings.Count(signed, ".") != 2:
		return parts{}, invalidError("jwt malformed")
	}
	head, rest, _ := strings.Cut(signed, ".")
	body, tail, _ := strings.Cut(rest, ".")

	h, known, ok1 := j.header(head)
	b := make([]byte, 0, base64url.DecodedLen(len(body))+base64url.DecodedLen(len(tail)))
	b, ok2 := appendPart(b, body)
	if !ok1 || !ok2 || !isBase64url(tail) {
		return parts{}, invalidError("invalid token")
	}
	payload := len(b)
	claims, ok := parseObject(b)
	if !ok || claims.misspell(registeredClaims) || claims.ambiguous() {
		return parts{}, invalidError("invalid token")
	}
	b, _ = appendPart(b, tail)
	return parts{
		header:        h,
		known:         known,
		encodedHeader: head,
		bytes:         b,
		payload:       payload,
		claims:        claims,
		signing:       signed[:len(head)+1+len(body)],
		unsigned:      tail == "",
	}, nil
}

// header returns the header with this text, and what is known of it.
func (j *JWT) header(encoded string) (h header, known *knownHeader, ok bool) {
	if known = j.known.Load(); known != nil && known.encoded == encoded {
		return known.header, known, true
	}
	text, ok := decodePart(encoded)
	if ok {
		h, ok = parseHeader(text)
	}
	return h, nil, ok
}

// sizeLimit lets the zero JWT report its missing key instead of the size.
func (j *JWT) sizeLimit() int {
	if j.maxTokenSize == 0 {
		return defaultMaxTokenSize
	}
	return j.maxTokenSize
}

// decodePart reads canonical base64url: no padding, no stray bits, and none of
// the line breaks that the standard library skips. Otherwise one signature
// would have many spellings (JWT-23).
func decodePart(s string) ([]byte, bool) {
	return appendPart(make([]byte, 0, base64url.DecodedLen(len(s))), s)
}

// appendPart is decodePart into the capacity behind b, which must be enough. It
// returns b itself if s is not canonical.
func appendPart(b []byte, s string) ([]byte, bool) {
	if !isBase64url(s) {
		return b, false
	}
	n, err := base64url.Decode(b[len(b):cap(b)], []byte(s))
	if err != nil {
		return b, false
	}
	return b[:len(b)+n], true
}

func isBase64url(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case 'A' <= c && c <= 'Z', 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '-', c == '_':
		default:
			return false
		}
	}
	return true
}

// header has the members of a token's header that are used. Others, such as a
// key or the address of one (jwk, jku, x5u, x5c), are ignored: only configured
// keys verify.
type header struct {
	alg string // "" when it is missing or not a string
	kid string

	namesNoKey bool // the kid is neither text nor a whole number
}

func parseHeader(raw []byte) (header, bool) {
	ms, ok := parseObject(raw)
	// No extension is supported, so a critical one must be refused (RFC 7515
	// section 4.1.11).
	if !ok || ms.get("crit") != nil || ms.misspell(registeredHeader) {
		return header{}, false
	}
	var h header
	h.alg, _ = text(ms.get("alg"))
	if kid := ms.get("kid"); kid != nil && string(kid) != "null" {
		h.kid, ok = keyID(kid)
		h.namesNoKey = !ok
	}
	return h, true
}

// The names whose meaning is fixed for every token (RFC 7519 section 4.1) or by
// which it is revoked (sid, of OpenID Connect Front-Channel Logout 1.0, and
// auth_time, of OpenID Connect Core 1.0), and those of the header that are used
// here (RFC 7515 section 4.1).
var (
	registeredClaims = []string{"exp", "nbf", "iat", "iss", "sub", "aud", "jti", "sid", claimAuthTime}
	registeredHeader = []string{"alg", "kid", "crit"}
)

// checkClaims applies rows 15 to 20 of JWT-21. Only MaxAge compares iat with
// the clock, but others, such as revocations, depend on it.
func checkClaims(claims members, o *VerifyOptions) error {
	latest, earliest := numericdate.Of(o.At).Add(o.ClockTolerance), numericdate.Of(o.At).Add(-o.ClockTolerance) // by clocks that differ

	if raw := claims.get("nbf"); raw != nil && !o.IgnoreNotBefore {
		nbf, ok := numericdate.Parse(raw)
		if !ok {
			return invalidError("invalid nbf value")
		}
		if nbf.After(latest) {
			return notBeforeError(nbf)
		}
	}
	if raw := claims.get("exp"); raw != nil && !o.IgnoreExpiration {
		exp, ok := numericdate.Parse(raw)
		if !ok {
			return invalidError("invalid exp value")
		}
		if !exp.After(earliest) {
			return expiredError("jwt expired", exp)
		}
	}
	if raw := claims.get("iat"); raw != nil {
		if _, ok := numericdate.Parse(raw); !ok {
			return invalidError("invalid iat value")
		}
	}
	if err := checkNames(claims, o); err != nil {
		return err
	}
	return checkAge(claims, o, earliest)
}

func checkNames(claims members, o *VerifyOptions) error {
	if o.Audience != nil {
		named := func(name string) bool { return slices.Contains(o.Audience, name) }
		if !slices.ContainsFunc(texts(claims.get("aud")), named) {
			return invalidError("jwt audience invalid. expected: " + strings.Join(o.Audience, " or "))
		}
	}
	if o.Issuer != nil {
		iss, ok := text(claims.get("iss"))
		if !ok || !slices.Contains(o.Issuer, iss) {
			return invalidError("jwt issuer invalid. expected: " + strings.Join(o.Issuer, ","))
		}
	}
	if o.Subject != nil {
		if sub, ok := text(claims.get("sub")); !ok || sub != *o.Subject {
			return invalidError("jwt subject invalid. expected: " + *o.Subject)
		}
	}
	if o.JWTID != nil {
		if jti, ok := text(claims.get("jti")); !ok || jti != *o.JWTID {
			return invalidError("jwt jwtid invalid. expected: " + *o.JWTID)
		}
	}
	return nil
}

func checkAge(claims members, o *VerifyOptions, now numericdate.Date) error {
	if !o.MaxAge.Given() {
		return nil
	}
	iat, ok := numericdate.Parse(claims.get("iat"))
	if !ok {
		return invalidError("iat required when maxAge is specified")
	}
	limit, ok := o.MaxAge.afterDate(iat)
	if !ok {
		return invalidError(`"maxAge" should be a number of seconds or string representing a timespan eg: "1d", "20h", 60`)
	}
	if !limit.After(now) {
		return expiredError("maxAge exceeded", limit)
	}
	return nil
}
