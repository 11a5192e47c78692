package auth

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/socketcluster-go/socketcluster/internal/numericdate"
)

// maxTimespanText is the length of the longest text that is parsed (JWT-8).
const maxTimespanText = 100

// timespanUnits maps each spelling of a unit to milliseconds (JWT-8). A year
// has 365.25 days; there are no months. No unit means milliseconds.
var timespanUnits = map[string]float64{
	"": 1, "ms": 1, "msec": 1, "msecs": 1, "millisecond": 1, "milliseconds": 1,
	"s": 1e3, "sec": 1e3, "secs": 1e3, "second": 1e3, "seconds": 1e3,
	"m": 6e4, "min": 6e4, "mins": 6e4, "minute": 6e4, "minutes": 6e4,
	"h": 36e5, "hr": 36e5, "hrs": 36e5, "hour": 36e5, "hours": 36e5,
	"d": 864e5, "day": 864e5, "days": 864e5,
	"w": 6048e5, "week": 6048e5, "weeks": 6048e5,
	"y": 315576e5, "yr": 315576e5, "yrs": 315576e5, "year": 315576e5, "years": 315576e5,
}

var errTimespan = errors.New("not a timespan")

// ParseTimespan reads a duration in the form of JWT options in JavaScript: a
// decimal number, optional spaces, an optional unit, as in "30m", "1.5 hours",
// "7d" or "-10s". Case does not matter.
//
// A number without a unit counts milliseconds: "60" is 60 ms, not a minute.
func ParseTimespan(s string) (time.Duration, error) {
	ms, err := parseMillis(s)
	if err != nil {
		return 0, fmt.Errorf("auth: %q: %w", s, err)
	}
	ns := math.Round(ms * float64(time.Millisecond))
	// The float64 nearest to MaxInt64 is 2^63, which does not fit.
	if math.Abs(ns) >= math.MaxInt64 {
		return 0, fmt.Errorf("auth: %q: timespan out of range", s)
	}
	return time.Duration(ns), nil
}

// parseMillis returns milliseconds as a double, so that spans beyond the 292
// years of a time.Duration work in claims, as they do in JavaScript.
func parseMillis(s string) (float64, error) {
	if len(s) > maxTimespanText {
		return 0, errTimespan
	}
	end := numberLen(s)
	if end == 0 {
		return 0, errTimespan
	}
	// Only ASCII is folded: a Unicode fold would accept U+017F as an s.
	unit := strings.Map(asciiLower, strings.TrimLeft(s[end:], " "))
	scale, ok := timespanUnits[unit]
	if !ok {
		return 0, errTimespan
	}
	n, err := strconv.ParseFloat(s[:end], 64)
	if err != nil {
		return 0, errTimespan
	}
	return n * scale, nil
}

// numberLen returns the length of the leading -?digits*.?digits+ of s, or 0 if
// there is none.
func numberLen(s string) int {
	i := 0
	if i < len(s) && s[i] == '-' {
		i++
	}
	whole := digits(s[i:])
	i += whole
	if i < len(s) && s[i] == '.' {
		fraction := digits(s[i+1:])
		if fraction == 0 {
			return 0
		}
		return i + 1 + fraction
	}
	if whole == 0 {
		return 0
	}
	return i
}

func digits(s string) int {
	n := 0
	for n < len(s) && '0' <= s[n] && s[n] <= '9' {
		n++
	}
	return n
}

func asciiLower(r rune) rune {
	if 'A' <= r && r <= 'Z' {
		return r + ('a' - 'A')
	}
	return r
}

// A Timespan is a duration that was given to an option, as a [time.Duration] or
// as text for [ParseTimespan]. The zero value means that the option was not
// given.
type Timespan struct {
	text     string
	duration time.Duration
	kind     timespanKind
}

type timespanKind uint8

const (
	timespanAbsent timespanKind = iota
	timespanText
	timespanDuration
)

func timespanOf[T ~string | time.Duration](v T) Timespan {
	if d, ok := any(v).(time.Duration); ok {
		return Timespan{duration: d, kind: timespanDuration}
	}
	return Timespan{text: reflect.ValueOf(v).String(), kind: timespanText}
}

// Given reports whether the option was given at all.
func (t Timespan) Given() bool { return t.kind != timespanAbsent }

// Duration returns the span, or an error if the text is not a timespan or does
// not fit a time.Duration. A Timespan that was not given is 0.
func (t Timespan) Duration() (time.Duration, error) {
	if t.kind == timespanText {
		return ParseTimespan(t.text)
	}
	return t.duration, nil
}

// empty reports whether the text is empty. JavaScript refuses empty text
// earlier, and with another message, than text that it cannot read.
func (t Timespan) empty() bool { return t.kind == timespanText && t.text == "" }

// after returns the numeric date that is this span after base, computed as in
// JavaScript: for text the sum is rounded down to the second (JWT-8); of a
// duration, the whole seconds are added.
func (t Timespan) after(base float64) (float64, bool) {
	if t.kind != timespanText {
		return base + math.Floor(t.duration.Seconds()), true
	}
	ms, err := parseMillis(t.text)
	return math.Floor(base + ms/1000), err == nil
}

// afterDate is after without the limits of a double.
func (t Timespan) afterDate(base numericdate.Date) (numericdate.Date, bool) {
	if t.kind != timespanText {
		return base.AddSeconds(math.Floor(t.duration.Seconds())), true
	}
	ms, err := parseMillis(t.text)
	return base.AddSeconds(ms / 1000).Floor(), err == nil
}
