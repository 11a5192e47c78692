package wire_test

import (
	"encoding/hex"
	"math"
	"testing"
	"time"

	"github.com/socketcluster-go/socketcluster/wire"
)

// TestAppendNumber compares with what JSON.stringify gives in Node 20 (CV-4).
func TestAppendNumber(t *testing.T) {
	tests := []struct {
		f    float64
		want string
	}{
		{0, "0"}, {math.Copysign(0, -1), "0"}, {1, "1"}, {-1, "-1"}, {1000, "1000"}, {1e3, "1000"},
		{-1.5, "-1.5"}, {0.1, "0.1"}, {1e21, "1e+21"}, {-1e21, "-1e+21"}, {1e20, "100000000000000000000"},
		{123456789012345680000, "123456789012345680000"}, {999999999999999900000, "999999999999999900000"},
		{1e-6, "0.000001"}, {1e-7, "1e-7"}, {-1e-7, "-1e-7"}, {1.5e-7, "1.5e-7"}, {123e-9, "1.23e-7"},
		{1e-10, "1e-10"}, {5e-324, "5e-324"}, {math.MaxFloat64, "1.7976931348623157e+308"},
		{9007199254740991, "9007199254740991"}, {9007199254740992, "9007199254740992"},
		{-9007199254740993, "-9007199254740992"}, {1e100, "1e+100"}, {0.0000012345, "0.0000012345"},
		{1.0 / 3, "0.3333333333333333"}, {4.35, "4.35"}, {1 << 63, "9223372036854776000"},
		{0.30000000000000004, "0.30000000000000004"}, {1e23, "1e+23"}, {1e16, "10000000000000000"},
		{12345678901234567890, "12345678901234567000"},
		{math.Inf(1), "null"}, {math.Inf(-1), "null"}, {math.NaN(), "null"},
	}
	for _, tt := range tests {
		if got := string(wire.AppendNumber([]byte("x"), tt.f)); got != "x"+tt.want {
			t.Errorf("AppendNumber(%g) = %q, want %q behind x", tt.f, got, tt.want)
		}
	}
}

// TestAppendString compares with what JSON.stringify gives in Node 20, as bytes
// (TR-21). Surrogates are written the way UTF-8 would write them.
func TestAppendString(t *testing.T) {
	tests := []struct{ s, want string }{
		{"", "2222"},
		{"a", "226122"},
		{`"`, "225c2222"},
		{`\`, "225c5c22"},
		{"/", "222f22"},
		{"\b\f\n\r\t", "225c625c665c6e5c725c7422"},
		{"\x00\x01\x1f", "225c75303030305c75303030315c753030316622"},
		{"\v", "225c753030306222"},
		{"\x7f", "227f22"},
		{"\u0080", "22c28022"},
		{"é", "22c3a922"},
		{"\u2028\u2029", "22e280a8e280a922"},
		{"<>&'", "223c3e262722"},
		{"😀", "22f09f988022"},
		{"\xed\xa0\x80", "225c756438303022"},
		{"\xed\xb0\x80", "225c756463303022"},
		{"a\xed\xbf\xbfb", "22615c75646666666222"},
		{"\xed\xa0\xbd", "225c756438336422"},
		{"\ufffd", "22efbfbd22"},
		{"\ufeff", "22efbbbf22"},
		{"日本", "22e697a5e69cac22"},
	}
	for _, tt := range tests {
		got := wire.AppendString([]byte("x"), tt.s)
		if got := hex.EncodeToString(got); got != "78"+tt.want {
			t.Errorf("AppendString(%q) = %s, want %s behind 78", tt.s, got, tt.want)
		}
	}
}

// TestAppendStringInvalid has no counterpart in JavaScript, whose strings cannot
// hold such bytes.
func TestAppendStringInvalid(t *testing.T) {
	tests := []struct{ s, want string }{
		{"\xff", `"` + "\ufffd" + `"`},
		{"a\xffb\xfe", `"a` + "\ufffd" + `b` + "\ufffd" + `"`},
		{"\xed", `"` + "\ufffd" + `"`},
		{"\xed\xa0", `"` + "\ufffd\ufffd" + `"`},
		{"\xed\xa0A", `"` + "\ufffd\ufffd" + `A"`},
		{"\xe2\x82\"", `"` + "\ufffd\ufffd" + `\""`},
		{"\xed\x9f\xbf", `"` + "\ud7ff" + `"`},
		{"\xc0\x80", `"` + "\ufffd\ufffd" + `"`},
	}
	for _, tt := range tests {
		if got := string(wire.AppendString(nil, tt.s)); got != tt.want {
			t.Errorf("AppendString(%q) = %q, want %q", tt.s, got, tt.want)
		}
	}
}

// TestFormatTime compares with Date.prototype.toISOString in Node 20 (HS-13).
func TestFormatTime(t *testing.T) {
	tests := []struct {
		ms   int64
		want string
	}{
		{0, "1970-01-01T00:00:00.000Z"},
		{-1, "1969-12-31T23:59:59.999Z"},
		{1795431896000, "2026-11-23T11:04:56.000Z"},
		{1795431896123, "2026-11-23T11:04:56.123Z"},
		{253402300800000, "+010000-01-01T00:00:00.000Z"},
		{-62167219200001, "-000001-12-31T23:59:59.999Z"},
		{-62198755200000, "-000001-01-01T00:00:00.000Z"},
		{8.64e15, "+275760-09-13T00:00:00.000Z"},
		{-8.64e15, "-271821-04-20T00:00:00.000Z"},
	}
	zone := time.FixedZone("elsewhere", 5*3600)
	for _, tt := range tests {
		for _, at := range []time.Time{
			time.UnixMilli(tt.ms),
			time.UnixMilli(tt.ms).In(zone),
			time.UnixMilli(tt.ms).Add(999 * time.Microsecond),
		} {
			if got := wire.FormatTime(at); got != tt.want {
				t.Errorf("FormatTime(%d ms) = %q, want %q", tt.ms, got, tt.want)
			}
		}
	}
}
