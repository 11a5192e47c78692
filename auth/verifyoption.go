package auth

import "time"

// VerifyOptions is what an [Engine] gets from the options of a Verify call,
// through [ApplyVerify].
//
// An option with an empty value still demands its check: the lists and pointers
// are nil only if the option was not given.
type VerifyOptions struct {
	Audience         []string // aud must name one of these
	Issuer           []string // iss must be one of these
	Subject          *string
	JWTID            *string
	ClockTolerance   time.Duration
	MaxAge           Timespan  // added to iat
	At               time.Time // the zero time means now
	IgnoreExpiration bool
	IgnoreNotBefore  bool
	OwnKeys          bool // refuse tokens of others
}

// A VerifyOption changes how one token is verified.
type VerifyOption func(*VerifyOptions)

// ApplyVerify collects options; a later one replaces an earlier one of its kind.
func ApplyVerify(opts ...VerifyOption) VerifyOptions {
	var o VerifyOptions
	o.apply(opts)
	return o
}

func (o *VerifyOptions) apply(opts []VerifyOption) {
	for _, opt := range opts {
		opt(o)
	}
}

// WithAudience demands that the token's audience names one of these.
// Without any name no token passes.
func WithAudience(names ...string) VerifyOption {
	return func(o *VerifyOptions) { o.Audience = append([]string{}, names...) }
}

// WithIssuer demands that the token's issuer is one of these. Without any
// name no token passes.
func WithIssuer(names ...string) VerifyOption {
	return func(o *VerifyOptions) { o.Issuer = append([]string{}, names...) }
}

// WithSubject demands that sub is name.
func WithSubject(name string) VerifyOption {
	return func(o *VerifyOptions) { o.Subject = &name }
}

// WithJWTID demands that jti is id.
func WithJWTID(id string) VerifyOption {
	return func(o *VerifyOptions) { o.JWTID = &id }
}

// ClockTolerance extends all limits by d, for clocks that differ, in place of
// [Options].ClockTolerance. The token also ends that much later, see
// [Token.ValidUntil].
func ClockTolerance(d time.Duration) VerifyOption {
	return func(o *VerifyOptions) { o.ClockTolerance = d }
}

// MaxAge refuses tokens that were issued longer ago than v, whatever their
// exp says. The token must have an iat. Text is read as by [ParseTimespan].
func MaxAge[T ~string | time.Duration](v T) VerifyOption {
	return func(o *VerifyOptions) { o.MaxAge = timespanOf(v) }
}

// At verifies the token as of the time t.
func At(t time.Time) VerifyOption {
	return func(o *VerifyOptions) { o.At = t }
}

// IgnoreExpiration accepts expired tokens.
func IgnoreExpiration() VerifyOption {
	return func(o *VerifyOptions) { o.IgnoreExpiration = true }
}

// IgnoreNotBefore accepts tokens that are not active yet.
func IgnoreNotBefore() VerifyOption {
	return func(o *VerifyOptions) { o.IgnoreNotBefore = true }
}
