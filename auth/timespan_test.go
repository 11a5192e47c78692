package auth_test

import (
	"strings"
	"testing"
	"time"

	"github.com/socketcluster-go/socketcluster/auth"
)

// JWT-9: the vectors of jsonwebtoken, as exp of a token that was issued at 1000.
func TestTimespanClaims(t *testing.T) {
	j := plain(t)
	for span, want := range map[string]float64{
		"60": 1000, "30m": 2800, "1.5h": 6400, "-1s": 999, "5 minutes": 1300,
		"1 Day": 87400, "10 hrs": 37000, "1w": 605800, "1y": 31558600,
		".5s": 1000, "5M": 1300, "100 ": 1000,
		"300y": 9467281000, // past what a time.Duration holds
	} {
		t.Run("JWT-9 "+span, func(t *testing.T) {
			claims := map[string]any{"iat": 1000}
			tok, err := j.Sign(t.Context(), claims, auth.ExpiresIn(span), auth.NotBefore(span))
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{"exp", "nbf"} {
				if got, _ := tok.Claim(name); got != want {
					t.Errorf("%s = %v, want %v", name, got, want)
				}
			}
		})
	}
	t.Run("JWT-9 number", func(t *testing.T) {
		tok, err := j.Sign(t.Context(), map[string]any{"iat": 1000}, auth.ExpiresIn(60*time.Second))
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := tok.Claim("exp"); got != 1060.0 {
			t.Errorf("exp = %v, want 1060", got)
		}
	})
}

func TestParseTimespan(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"0": 0, "60": 60 * time.Millisecond, "1msec": time.Millisecond, "2 Milliseconds": 2 * time.Millisecond,
		"3secs": 3 * time.Second, "1 sec": time.Second, "2mins": 2 * time.Minute, "1hr": time.Hour,
		"1 weeks": 7 * 24 * time.Hour, "2yrs": 2 * 31557600 * time.Second, "-.5h": -30 * time.Minute,
		"1.25s": 1250 * time.Millisecond, "5   d": 120 * time.Hour, strings.Repeat("0", 98) + "1s": time.Second, "292y": 292 * 31557600 * time.Second,
	} {
		t.Run("JWT-8 "+text, func(t *testing.T) {
			got, err := auth.ParseTimespan(text)
			if err != nil || got != want {
				t.Errorf("got %v, %v; want %v", got, err, want)
			}
		})
	}
	for _, text := range []string{
		"", " ", ".", "-", "s", "1.s", "1.", "+5m", "1e3", " 5m", "5m ", "5\tm", "--5", "1.5.5s", "1 month", "5 M s",
		"5\u017f", "5 wee\u212as", "0x10", "NaN", "Infinity", "1_000",
		strings.Repeat("0", 99) + "1s", strings.Repeat("1", 98) + "ms ", strings.Repeat(" ", 200),
	} {
		t.Run("JWT-8 refused "+text, func(t *testing.T) {
			if got, err := auth.ParseTimespan(text); err == nil {
				t.Errorf("read as %v", got)
			}
		})
	}
	for _, text := range []string{"293y", "-293y", strings.Repeat("9", 99) + "y"} {
		t.Run("out of range "+text, func(t *testing.T) {
			if got, err := auth.ParseTimespan(text); err == nil || !strings.Contains(err.Error(), "out of range") {
				t.Errorf("got %v, %v", got, err)
			}
		})
	}
}

// An engine of one's own sees the span as it was given.
func TestTimespanDuration(t *testing.T) {
	type custom string
	for name, c := range map[string]struct {
		opt   auth.SignOption
		given bool
		want  time.Duration
		bad   bool
	}{
		"absent":     {auth.NoTimestamp(), false, 0, false},
		"text":       {auth.ExpiresIn("2m"), true, 2 * time.Minute, false},
		"named text": {auth.ExpiresIn(custom("2m")), true, 2 * time.Minute, false},
		"duration":   {auth.ExpiresIn(time.Minute), true, time.Minute, false},
		"zero":       {auth.ExpiresIn(time.Duration(0)), true, 0, false},
		"bad":        {auth.ExpiresIn("soon"), true, 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			span := auth.ApplySign(c.opt).ExpiresIn
			got, err := span.Duration()
			if span.Given() != c.given || got != c.want || (err != nil) != c.bad {
				t.Errorf("got %v %v %v", span.Given(), got, err)
			}
		})
	}
}
