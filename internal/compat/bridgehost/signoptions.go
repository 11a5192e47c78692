package main

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/socketcluster-go/socketcluster/auth"
)

// signOptionsKey is the key of the options of setAuthToken in a context.
type signOptionsKey struct{}

// signOptions reads the options of setAuthToken. The algorithm cannot be chosen
// there, and unknown options are ignored.
func signOptions(raw json.RawMessage) ([]auth.SignOption, error) {
	var o struct {
		ExpiresIn   *timespan       `json:"expiresIn"`
		NotBefore   *timespan       `json:"notBefore"`
		Audience    json.RawMessage `json:"audience"` // a name, or several
		Issuer      *string         `json:"issuer"`
		Subject     *string         `json:"subject"`
		JWTID       *string         `json:"jwtid"`
		KeyID       *string         `json:"keyid"`
		NoTimestamp bool            `json:"noTimestamp"`
	}
	if raw != nil {
		if err := json.Unmarshal(raw, &o); err != nil {
			return nil, fmt.Errorf("options of the token: %w", err)
		}
	}
	var opts []auth.SignOption
	if o.ExpiresIn != nil {
		opts = append(opts, auth.ExpiresIn(time.Duration(*o.ExpiresIn)))
	}
	if o.NotBefore != nil {
		opts = append(opts, auth.NotBefore(time.Duration(*o.NotBefore)))
	}
	if o.Audience != nil {
		var names []string
		if json.Unmarshal(o.Audience, &names) != nil {
			var name string
			if err := json.Unmarshal(o.Audience, &name); err != nil {
				return nil, fmt.Errorf("the audience of the token: %w", err)
			}
			names = []string{name}
		}
		opts = append(opts, auth.Audience(names...))
	}
	for _, text := range []struct {
		value  *string
		option func(string) auth.SignOption
	}{{o.Issuer, auth.Issuer}, {o.Subject, auth.Subject}, {o.JWTID, auth.JWTID}, {o.KeyID, auth.KeyID}} {
		if text.value != nil {
			opts = append(opts, text.option(*text.value))
		}
	}
	if o.NoTimestamp {
		opts = append(opts, auth.NoTimestamp())
	}
	return opts, nil
}

// timespan is a length of time in the options of tokens: a number of seconds,
// or text.
type timespan time.Duration

// UnmarshalJSON implements [json.Unmarshaler].
func (s *timespan) UnmarshalJSON(raw []byte) error {
	var seconds float64
	if json.Unmarshal(raw, &seconds) == nil {
		*s = timespan(seconds * float64(time.Second))
		return nil
	}
	var text string
	if err := json.Unmarshal(raw, &text); err != nil {
		return err
	}
	d, err := auth.ParseTimespan(text)
	*s = timespan(d)
	return err
}
