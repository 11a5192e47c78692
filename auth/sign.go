package auth

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"math"
	"slices"
	"time"
	"unique"

	"github.com/socketcluster-go/socketcluster/wire"

	"github.com/socketcluster-go/socketcluster/internal/millis"
	"github.com/socketcluster-go/socketcluster/internal/numericdate"
)

var base64url = base64.RawURLEncoding.Strict()

// Sign issues a token for claims: a struct, a map or raw JSON that encodes to
// an object. The order of its names is kept, and generated claims follow in the
// order iat, nbf, exp, aud, iss, sub, jti, auth_time, sid.
//
// An exp claim wins over the default expiry of the engine. The error is a
// *wire.Error without a name, with the text of the npm package.
func (j *JWT) Sign(_ context.Context, claims any, opts ...SignOption) (*Token, error) {
	o := ApplySign(opts...)
	key, alg, err := j.signer()
	if err != nil {
		return nil, err
	}
	payload, err := marshalClaims(claims)
	if err != nil {
		return nil, err
	}
	if j.source != nil {
		if err := key.signAs(&o, payload); err != nil {
			return nil, err
		}
	}
	if j.tokenIDs && o.JWTID == "" && payload.get("jti") == nil {
		o.JWTID = rand.Text()
	}
	if err := j.addClaims(&payload, &o, time.Now()); err != nil {
		return nil, err
	}
	if j.tokenIDs && payload.get("sid") == nil {
		payload.set("sid", wire.AppendString(nil, rand.Text()))
	}
	text, h, err := signHeader(alg.name, &o)
	if err != nil {
		return nil, err
	}
	body := payload.appendTo(nil)

	signing := make([]byte, 0, base64url.EncodedLen(len(body))+256)
	signing = base64url.AppendEncode(signing, text)
	encodedHeader := string(signing)
	signing = append(signing, '.')
	signing = base64url.AppendEncode(signing, body)
	signature, err := alg.method.Sign(string(signing), key.Key.signing())
	if err != nil {
		return nil, signError("signing failed: " + err.Error())
	}
	t := newToken(append(body, signature...), len(body), payload, j.clockTolerance)
	t.header = unique.Make(tokenHeader{encodedHeader, h})
	if t.size() > j.maxTokenSize {
		return nil, signError("the token exceeds the maximum size")
	}

	if j.keyState().random {
		j.warn()
	}
	return t, nil
}

// signer returns the key that signs and its algorithm.
func (j *JWT) signer() (RingKey, *algorithm, error) {
	if j.source == nil {
		ks := j.keyState()
		if ks.signature.IsZero() {
			return RingKey{}, nil, signError(noSigningKey)
		}
		return RingKey{Key: ks.signature}, ks.signWith, nil
	}
	key, ok := j.source.Signing()
	if !ok || !key.Key.CanSign() {
		return RingKey{}, nil, signError(noSigningKey)
	}
	alg, reason := key.usable()
	if reason != "" {
		return RingKey{}, nil, signError(reason)
	}
	return key, alg, nil
}

const noSigningKey = "secretOrPrivateKey must have a value"

// signAs adds the options that a token needs to be verified with k.
func (k *RingKey) signAs(o *SignOptions, claims members) error {
	named := func(m HeaderMember) bool { return m.Name == "kid" }
	if o.KeyID != "" && o.KeyID != k.ID || slices.ContainsFunc(o.Header, named) {
		return signError("the kid must be that of the key that signs")
	}
	o.KeyID = k.ID
	if o.Issuer == "" && claims.get("iss") == nil {
		o.Issuer = k.Issuer
	}
	if len(o.Audience) == 0 && claims.get("aud") == nil {
		o.Audience = k.Audience
	}
	return nil
}

const notAnObject = `Expected "payload" to be a plain object.`

// marshalClaims encodes the claims. Verify must accept the result, so it is
// read back by the same rules.
func marshalClaims(claims any) (members, error) {
	switch claims.(type) {
	case nil:
		return nil, signError("payload is required")
	case []byte:
		// The codec would wrap bytes in an object.
		return nil, signError(notAnObject)
	}
	data, err := wire.Marshal(claims)
	if err != nil {
		return nil, signError("payload cannot be encoded: " + err.Error())
	}
	if data == nil {
		return nil, signError("payload is required")
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, data); err != nil {
		return nil, signError("payload cannot be encoded: " + err.Error())
	}
	payload, ok := parseObject(compact.Bytes())
	switch {
	case compact.Bytes()[0] != '{':
		return nil, signError(notAnObject)
	case !ok:
		return nil, signError(`"payload" repeats a name or is nested too deeply`)
	}
	if payload.misspell(registeredClaims) {
		return nil, signError(`"payload" spells a registered claim in other letters`)
	}
	if payload.ambiguous() {
		return nil, signError(`"payload" has a name in two spellings`)
	}
	for _, m := range payload {
		switch m.name {
		case "iat", "exp", "nbf", claimAuthTime:
			if _, ok := numericdate.Parse(m.value); !ok {
				return nil, signError(`"` + m.name + `" should be a number of seconds`)
			}
		}
	}
	return payload, nil
}

// addClaims applies the options in the order of JWT-2 and JWT-5.
func (j *JWT) addClaims(payload *members, o *SignOptions, now time.Time) error {
	expiresIn := o.ExpiresIn
	if payload.get("exp") != nil {
		if expiresIn.Given() && !o.PreferExpClaim {
			return signError(`Bad "options.expiresIn" option the payload already has an "exp" property.`)
		}
		expiresIn = Timespan{}
	} else if !expiresIn.Given() && j.defaultExpiry > 0 {
		expiresIn = timespanOf(j.defaultExpiry)
	}
	if o.NotBefore.Given() && payload.get("nbf") != nil {
		return signError(`Bad "options.notBefore" option the payload already has an "nbf" property.`)
	}
	if expiresIn.empty() {
		return signError(`"expiresIn" should be a number of seconds or string representing a timespan`)
	}
	if o.NotBefore.empty() {
		return signError(`"notBefore" should be a number of seconds or string representing a timespan`)
	}
	if reason := millis.Reason(expiresIn.duration); reason != "" {
		return signError(`"expiresIn" ` + reason)
	}
	if reason := millis.Reason(o.NotBefore.duration); reason != "" {
		return signError(`"notBefore" ` + reason)
	}

	issued, _ := number(payload.get("iat"))
	if issued == 0 {
		issued = math.Floor(float64(now.UnixMilli()) / 1000)
		payload.set("iat", wire.AppendNumber(nil, issued))
	}
	if o.NoTimestamp {
		payload.remove("iat")
	}
	if err := addDate(payload, "nbf", "notBefore", o.NotBefore, issued); err != nil {
		return err
	}
	if err := addDate(payload, "exp", "expiresIn", expiresIn, issued); err != nil {
		return err
	}
	for _, c := range [...]struct{ claim, option, value string }{
		{"aud", "audience", ""},
		{"iss", "issuer", o.Issuer},
		{"sub", "subject", o.Subject},
		{"jti", "jwtid", o.JWTID},
	} {
		value := wire.AppendString(nil, c.value)
		switch {
		case c.claim == "aud" && len(o.Audience) > 0:
			value = appendAudience(nil, o.Audience)
		case c.value == "":
			continue
		}
		if payload.get(c.claim) != nil {
			return signError(`Bad "options.` + c.option + `" option. The payload already has an "` + c.claim + `" property.`)
		}
		payload.set(c.claim, value)
	}
	return addLogin(payload, o.AuthTime)
}

// addLogin writes the time of the login that [AuthTime] gave.
func addLogin(payload *members, at *time.Time) error {
	switch {
	case at == nil:
		return nil
	case at.IsZero() || !numericdate.Of(*at).InCalendar():
		return signError(`"authTime" should be the time of a login`)
	case payload.get(claimAuthTime) != nil:
		return signError(`Bad "options.authTime" option. The payload already has an "auth_time" property.`)
	}
	payload.set(claimAuthTime, numericdate.Append(nil, *at))
	return nil
}

func addDate(payload *members, claim, option string, span Timespan, issued float64) error {
	if !span.Given() {
		return nil
	}
	date, ok := span.after(issued)
	if !ok {
		return signError(`"` + option + `" should be a number of seconds or string representing a timespan eg: "1d", "20h", 60`)
	}
	payload.set(claim, wire.AppendNumber(nil, date))
	return nil
}

func appendAudience(dst []byte, names []string) []byte {
	if len(names) == 1 {
		return wire.AppendString(dst, names[0])
	}
	dst = append(dst, '[')
	for i, name := range names {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = wire.AppendString(dst, name)
	}
	return append(dst, ']')
}

// signHeader writes alg, typ, kid and what the caller adds (JWT-3). It returns
// the text and what has been read back from it.
func signHeader(alg string, o *SignOptions) ([]byte, header, error) {
	ms := members{
		{"alg", wire.AppendString(nil, alg)},
		{"typ", []byte(`"JWT"`)},
	}
	if o.KeyID != "" {
		ms.set("kid", wire.AppendString(nil, o.KeyID))
	}
	for _, m := range o.Header {
		switch m.Name {
		case "alg", "crit", "b64":
			return nil, header{}, signError(`"` + m.Name + `" is not allowed in "header"`)
		}
		value, err := wire.Marshal(m.Value)
		if err != nil {
			return nil, header{}, signError(`"header" cannot be encoded: ` + err.Error())
		}
		if value == nil {
			return nil, header{}, signError(`"` + m.Name + `" must have a value in "header"`)
		}
		ms.set(m.Name, value)
	}
	text := ms.appendTo(nil)
	h, ok := parseHeader(text)
	if !ok {
		return nil, header{}, signError(`"header" holds a value that cannot be verified`)
	}
	return text, h, nil
}
