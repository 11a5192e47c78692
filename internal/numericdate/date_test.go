package numericdate

import (
	"encoding/json"
	"math/big"
	"strings"
	"testing"
	"time"
)

// Any JSON number is read as the rational number that it is, up to the nanosecond,
// and compares with a clock as that does.
func FuzzParse(f *testing.F) {
	for _, text := range []string{"0", "-0", "1700000000.123456789", "1.7e9", "-1.0000000001", "8640000000000.5", "1e300", "1e-300", "0.000000000e5", "12345e-12", "1e999", "007", "1.", "-"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		d, ok := Parse([]byte(text))
		var number json.Number
		if err := json.Unmarshal([]byte(text), &number); err != nil || strings.HasPrefix(text, `"`) || text == "null" || strings.TrimSpace(text) != text {
			return // is no number, and never gets here
		}
		if float, err := number.Float64(); err != nil {
			if ok {
				t.Fatalf("%s is read, but no double holds it", text)
			}
			return
		} else if !ok {
			t.Fatalf("%s is not read", text)
		} else if float > 1e14 || float < -1e14 || len(text) > 400 || float == 0 || float > -1e-15 && float < 1e-15 {
			return
		}
		exact, _ := new(big.Rat).SetString(text)
		at := new(big.Rat).Add(new(big.Rat).SetInt64(d.sec), big.NewRat(d.nsec, 1e9))
		diff := new(big.Rat).Sub(exact, at)
		if diff.Sign() < 0 || diff.Cmp(big.NewRat(1, 1e9)) >= 0 || (diff.Sign() > 0) != d.more || d.nsec < 0 || d.nsec >= 1e9 {
			t.Fatalf("%s is read as %+v", text, d)
		}
	})
}

func TestAdd(t *testing.T) {
	at := Date{sec: 10, nsec: 500_000_000, more: true}
	for span, want := range map[time.Duration]Date{
		0:                       at,
		600 * time.Millisecond:  {11, 100_000_000, true},
		-600 * time.Millisecond: {9, 900_000_000, true},
		-11 * time.Second:       {-1, 500_000_000, true},
	} {
		if got := at.Add(span); got != want {
			t.Errorf("%v later is %+v, want %+v", span, got, want)
		}
		if got := at.AddSeconds(span.Seconds()); got != want {
			t.Errorf("%v later is %+v, want %+v", span.Seconds(), got, want)
		}
	}
	if got := at.AddSeconds(1e300); got.sec < far {
		t.Errorf("far away is %+v", got)
	}
}

// A date that is written can be read again, truncated to the microsecond.
func TestAppend(t *testing.T) {
	for _, at := range []time.Time{
		time.Unix(1700000000, 0), time.Unix(1700000000, 123456789), time.Unix(1700000000, 100), time.Unix(1700000000, 100000000),
		time.Unix(0, 1000), time.Unix(-1, 999999000), time.Unix(-2, 0), time.UnixMilli(MaxMilli),
	} {
		text := Append(nil, at)
		d, ok := Parse(text)
		if !ok || !d.Time().Equal(time.UnixMicro(at.UnixMicro())) {
			t.Errorf("%v is written as %s", at, text)
		}
	}
}
