// Package numericdate reads and writes the dates in tokens (NumericDate, RFC
// 7519 section 2) without loss. A double has too few digits for the fractions
// of a second of a present date: two dates that differ by 100 ns would be
// equal.
//
// The functions do not block and do not allocate, and are safe for concurrent use.
package numericdate

import (
	"bytes"
	"cmp"
	"math"
	"strconv"
	"time"
)

// A Date is a time since the epoch, as exact as a clock.
type Date struct {
	sec  int64 // rounded down
	nsec int64 // below a second, rounded down
	more bool  // it is later than that, by less than a nanosecond
}

// far is the limit of dates, in seconds from the epoch on both sides: far
// beyond all calendars, but small enough to add to.
const far = 1e15

// MaxMilli is the largest distance from the epoch, in milliseconds, that a
// JavaScript date can hold (ECMA-262, time values).
const MaxMilli = 8.64e15

// Parse reads a raw JSON number. A number that no double can hold is refused,
// because an infinite exp would be a token without end (JWT-26). Dates beyond
// all calendars are moved to the limit of dates.
func Parse(raw []byte) (Date, bool) {
	digits, negative := bytes.CutPrefix(raw, []byte("-"))
	if len(digits) == 0 || digits[0] < '0' || digits[0] > '9' {
		return Date{}, false
	}
	if f, err := strconv.ParseFloat(string(raw), 64); err != nil || math.IsInf(f, 0) {
		return Date{}, false
	}
	n := decimal{}
	if i := bytes.IndexAny(digits, "eE"); i >= 0 {
		n.exponent, _ = strconv.Atoi(string(digits[i+1:])) // out of range it is the largest or smallest int
		n.exponent = min(max(n.exponent, -1e6), 1e6)       // beyond this the number is 0 or refused
		digits = digits[:i]
	}
	n.whole, n.fraction, _ = bytes.Cut(digits, []byte("."))
	d := n.date()
	if negative {
		d = d.negated()
	}
	return d, true
}

// decimal has the parts of a number.
type decimal struct {
	whole, fraction []byte // its digits
	exponent        int
}

func (n *decimal) len() int { return len(n.whole) + len(n.fraction) }

func (n *decimal) digit(i int) int64 {
	switch {
	case i < 0 || i >= n.len():
		return 0
	case i < len(n.whole):
		return int64(n.whole[i] - '0')
	}
	return int64(n.fraction[i-len(n.whole)] - '0')
}

func (n *decimal) date() Date {
	var d Date
	point := len(n.whole) + n.exponent // the number of digits before it
	for i := 0; i < point && d.sec < far && (i < n.len() || d.sec > 0); i++ {
		d.sec = d.sec*10 + n.digit(i)
	}
	if d.sec >= far {
		return Date{sec: far}
	}
	for i := point; i < point+9; i++ {
		d.nsec = d.nsec*10 + n.digit(i)
	}
	for i := max(point+9, 0); i < n.len() && !d.more; i++ {
		d.more = n.digit(i) != 0
	}
	return d
}

func (d Date) negated() Date {
	n := Date{-d.sec, -d.nsec, d.more}
	if n.more {
		n.nsec--
	}
	if n.nsec < 0 {
		n.sec--
		n.nsec += 1e9
	}
	return n
}

// Of returns the date of a time.
func Of(t time.Time) Date { return Date{sec: t.Unix(), nsec: int64(t.Nanosecond())} }

// After reports whether d is later than other.
func (d Date) After(other Date) bool {
	if c := cmp.Or(cmp.Compare(d.sec, other.sec), cmp.Compare(d.nsec, other.nsec)); c != 0 {
		return c > 0
	}
	return d.more && !other.more
}

// Add returns the date that is span later.
func (d Date) Add(span time.Duration) Date {
	d.sec += int64(span / time.Second)
	d.nsec += int64(span % time.Second)
	switch {
	case d.nsec >= 1e9:
		d.sec++
		d.nsec -= 1e9
	case d.nsec < 0:
		d.sec--
		d.nsec += 1e9
	}
	return d
}

// AddSeconds is Add for spans of any length.
func (d Date) AddSeconds(seconds float64) Date {
	whole, fraction := math.Modf(min(max(seconds, -far), far))
	d.sec += int64(whole)
	return d.Add(time.Duration(math.Round(fraction * 1e9)))
}

// Floor returns d, rounded down to the second.
func (d Date) Floor() Date { return Date{sec: d.sec} }

// InCalendar reports whether a JavaScript date can hold d.
func (d Date) InCalendar() bool {
	const last = MaxMilli / 1000
	return d.sec >= -last && !d.After(Date{sec: last})
}

// Time returns the nearest time that a JavaScript date can hold, truncated to
// the nanosecond.
func (d Date) Time() time.Time {
	switch {
	case d.InCalendar():
		return time.Unix(d.sec, d.nsec)
	case d.sec > 0:
		return time.UnixMilli(MaxMilli)
	}
	return time.UnixMilli(-MaxMilli)
}

// Milli returns the milliseconds since the epoch, rounded down.
func (d Date) Milli() int64 { return d.sec*1000 + d.nsec/1e6 }

// Append writes a time as a number, truncated to the microsecond, which is the
// resolution of a double until the year 2242.
func Append(dst []byte, t time.Time) []byte {
	us := t.UnixMicro()
	if us < 0 {
		dst = append(dst, '-')
		us = -us
	}
	dst = strconv.AppendInt(dst, us/1e6, 10)
	fraction := us % 1e6
	if fraction == 0 {
		return dst
	}
	dst = append(dst, '.')
	for unit := int64(1e5); fraction > 0; unit /= 10 {
		dst = append(dst, '0'+byte(fraction/unit))
		fraction %= unit
	}
	return dst
}
