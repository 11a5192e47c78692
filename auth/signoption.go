package auth

import "time"

// SignOptions is what an [Engine] gets from the options of a Sign call, through
// [ApplySign]. Empty text means that an option was not given.
type SignOptions struct {
	ExpiresIn      Timespan // added to the time of issue
	NotBefore      Timespan // added to the time of issue
	PreferExpClaim bool     // an exp claim overrides ExpiresIn; otherwise both are an error
	Audience       []string // one entry is signed as text, more as an array
	Issuer         string
	Subject        string
	JWTID          string
	KeyID          string
	NoTimestamp    bool
	AuthTime       *time.Time     // of the login; nil when it was not given
	Header         []HeaderMember // in the order in which they were given
}

// A HeaderMember is an additional member of the token's header.
type HeaderMember struct {
	Name  string
	Value any
}

// A SignOption changes how one token is signed.
type SignOption func(*SignOptions)

// ApplySign collects options; a later one replaces an earlier one of its kind.
func ApplySign(opts ...SignOption) SignOptions {
	var o SignOptions
	for _, opt := range opts {
		opt(&o)
	}
	return o
}

// ExpiresIn sets exp relative to the time of issue, in place of the default
// expiry. Text is read as by [ParseTimespan]; note that "60" is 60 ms.
//
// The time of issue is the iat of the claims, if they have one. So remove iat,
// exp, nbf and jti from the claims before you renew a token.
func ExpiresIn[T ~string | time.Duration](v T) SignOption {
	return func(o *SignOptions) { o.ExpiresIn = timespanOf(v) }
}

// NotBefore sets nbf relative to the time of issue, like [ExpiresIn].
func NotBefore[T ~string | time.Duration](v T) SignOption {
	return func(o *SignOptions) { o.NotBefore = timespanOf(v) }
}

// PreferExpClaim makes an exp claim override [ExpiresIn]. Without it, having
// both is an error. The setAuthToken of a JavaScript socket signs in this way.
func PreferExpClaim() SignOption {
	return func(o *SignOptions) { o.PreferExpClaim = true }
}

// Audience sets aud: to text for one name, to an array for several.
func Audience(names ...string) SignOption {
	return func(o *SignOptions) { o.Audience = names }
}

// Issuer sets iss.
func Issuer(name string) SignOption {
	return func(o *SignOptions) { o.Issuer = name }
}

// Subject sets sub.
func Subject(name string) SignOption {
	return func(o *SignOptions) { o.Subject = name }
}

// JWTID sets jti.
func JWTID(id string) SignOption {
	return func(o *SignOptions) { o.JWTID = id }
}

// KeyID sets kid in the header.
func KeyID(id string) SignOption {
	return func(o *SignOptions) { o.KeyID = id }
}

// NoTimestamp leaves out iat, even if the claims have one.
func NoTimestamp() SignOption {
	return func(o *SignOptions) { o.NoTimestamp = true }
}

// AuthTime sets auth_time (OpenID Connect Core 1.0 section 2), the time of the
// login, in microseconds: the moment before the password is checked, not the
// moment after. Renewals keep it, so it shows how old the login is. A
// revocation of all tokens of a user depends on it, see package auth/revoke.
// The claims must not contain auth_time too.
func AuthTime(t time.Time) SignOption {
	return func(o *SignOptions) { o.AuthTime = &t }
}

// HeaderField adds a member to the header. Sign refuses the member alg, which
// the engine sets, and the members crit and b64, which change what a verifier
// must understand.
func HeaderField(name string, v any) SignOption {
	return func(o *SignOptions) { o.Header = append(o.Header, HeaderMember{name, v}) }
}
