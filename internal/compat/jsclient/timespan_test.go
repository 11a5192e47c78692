package jsclient

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/socketcluster-go/socketcluster/auth"
)

// JWT-8: texts for lengths of time mean the same as in jsonwebtoken, which
// reads them with the package ms. Each text is compared twice: as what
// ParseTimespan answers, and as the exp that it gives to a token.
func TestTimespansOfJavaScript(t *testing.T) {
	n := startNode(t)
	texts := timespanCorpus()
	milliseconds := decode[[]*float64](t, n.do(t, "milliseconds", texts))
	if len(milliseconds) != len(texts) {
		t.Fatalf("%d answers to %d texts", len(milliseconds), len(texts))
	}
	engine := newJWT(t, auth.Options{Key: key})
	read := 0
	for i, text := range texts {
		want := milliseconds[i]
		span, err := auth.ParseTimespan(text)
		token, signErr := engine.Sign(t.Context(), json.RawMessage(`{"iat":1000}`), auth.ExpiresIn(text))
		if want == nil {
			if err == nil || signErr == nil {
				t.Errorf("%q: read as %v (%v), ms refuses it", text, span, signErr)
			}
			continue
		}
		read++
		ns := math.Round(*want * 1e6)
		switch fits := math.Abs(ns) < math.MaxInt64; {
		case fits && (err != nil || span != time.Duration(ns)):
			t.Errorf("%q: %v, %v; ms reads %v ms", text, span, err, *want)
		case !fits && (err == nil || !strings.Contains(err.Error(), "out of range")):
			t.Errorf("%q: %v, %v; ms reads %v ms", text, span, err, *want)
		}
		if signErr != nil {
			t.Errorf("%q: %v", text, signErr)
			continue
		}
		if exp, _ := token.Claim("exp"); exp != math.Floor(1000+*want/1000) {
			t.Errorf("%q: exp %v; ms reads %v ms", text, exp, *want)
		}
	}
	if refused := len(texts) - read; read < 2000 || refused < 2000 {
		t.Errorf("%d texts read and %d refused: too few to compare", read, refused)
	}
}

// timespanCorpus is every number with every unit, and texts at random of the
// letters that matter.
func timespanCorpus() []string {
	numbers := []string{
		"0", "1", "60", "007", "1.5", ".5", "0.001", "1.9999999", "-1", "-.5", "-0", "1e3", "+1", "1.", ".", "-", "--1", "1.2.3", "1,5", "1_0",
		"0x10", "\u0661", "90071992547409931", strings.Repeat("9", 60), strings.Repeat("0", 99) + "1", strings.Repeat("0", 98) + "1",
	}
	gaps := []string{"", " ", "   ", "\t", "\u00a0"}
	units := []string{
		"", "ms", "msec", "msecs", "millisecond", "milliseconds", "s", "sec", "secs", "second", "seconds", "m", "min", "mins", "minute", "minutes",
		"h", "hr", "hrs", "hour", "hours", "d", "day", "days", "w", "week", "weeks", "y", "yr", "yrs", "year", "years",
		"month", "mo", "us", "mss", "dayz", "s ", "\u017f", "wee\u212a",
	}
	var texts []string
	for _, number := range numbers {
		for _, gap := range gaps {
			for _, unit := range units {
				texts = append(texts, number+gap+unit, gap+number+strings.ToUpper(unit))
			}
		}
	}
	random := rand.New(rand.NewPCG(1, 2))
	const letters = "0123456789.- msechourdayinkw"
	for range 5000 {
		text := make([]byte, 1+random.IntN(8))
		for i := range text {
			text[i] = letters[random.IntN(len(letters))]
		}
		texts = append(texts, string(text))
	}
	return texts
}
