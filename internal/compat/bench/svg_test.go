//go:build linux

package main

import (
	"encoding/xml"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
)

// element is what the tests look at in a picture.
type element struct {
	name, text string
	attr       map[string]string
}

func draw(t *testing.T, c chart) (all []element) {
	t.Helper()
	var b strings.Builder
	if err := c.writeSVG(&b); err != nil {
		t.Fatal(err)
	}
	d := xml.NewDecoder(strings.NewReader(b.String()))
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatalf("%v in\n%s", err, b.String())
		}
		switch v := token.(type) {
		case xml.StartElement:
			e := element{name: v.Name.Local, attr: map[string]string{}}
			for _, a := range v.Attr {
				e.attr[a.Name.Local] = a.Value
			}
			all = append(all, e)
		case xml.CharData:
			if s := strings.TrimSpace(string(v)); s != "" {
				all[len(all)-1].text = s
			}
		}
	}
}

func some(all []element, name string, ok func(element) bool) (found []element) {
	for _, e := range all {
		if e.name == name && ok(e) {
			found = append(found, e)
		}
	}
	return found
}

func testChart() chart {
	return chart{
		title: "Costs <&>", y: "CPU µs", x: "subscribers",
		labels: []string{"10", "100", "1000"}, places: []float64{10, 100, 1000},
		series: []series{
			{"go", "#00f", []float64{2, 20, 200}},
			{"js", "#f00", []float64{0, 40, 201}}, // its first point was not measured
		},
	}
}

func TestChart(t *testing.T) {
	all := draw(t, testChart())
	texts := make(map[string]bool)
	for _, e := range all {
		texts[e.text] = true
	}
	for _, want := range []string{"Costs <&>", "CPU µs", "subscribers", "10", "100", "1000", "go", "js", "go: 20.0"} {
		if !texts[want] {
			t.Errorf("no text %q", want)
		}
	}
	dots := some(all, "circle", func(element) bool { return true })
	if len(dots) != 5 {
		t.Fatalf("%d dots", len(dots))
	}
	// Both axes are logarithmic: equal factors are equal distances.
	at := func(i int, of string) string { return dots[i].attr[of] }
	if at(0, "cx") != "94.0" || at(1, "cx") != "340.0" || at(2, "cx") != "586.0" {
		t.Errorf("x: %s, %s, %s", at(0, "cx"), at(1, "cx"), at(2, "cx"))
	}
	// The axis ends at 2 and 500, some 2.4 powers of ten.
	if at(0, "cy") != "302.0" || at(1, "cy") != "194.4" || at(2, "cy") != "86.8" {
		t.Errorf("y: %s, %s, %s", at(0, "cy"), at(1, "cy"), at(2, "cy"))
	}
	lines := some(all, "path", func(e element) bool { return e.attr["stroke-width"] == "2" })
	if len(lines) != 2 || strings.Count(lines[0].attr["d"], "L") != 2 || strings.Count(lines[1].attr["d"], "L") != 1 {
		t.Errorf("lines: %+v", lines)
	}
	names := some(all, "text", func(e element) bool { return e.attr["fill"] != "" })
	if len(names) != 2 || names[0].text != "js" || names[1].attr["y"] != "104.6" {
		t.Errorf("names: %+v", names)
	}
}

func TestChartOfCases(t *testing.T) {
	c := testChart()
	c.places, c.x = nil, ""
	all := draw(t, c)
	if lines := some(all, "path", func(e element) bool { return e.attr["stroke-width"] == "2" }); len(lines) != 0 {
		t.Errorf("cases have lines: %+v", lines)
	}
	if dots := some(all, "circle", func(element) bool { return true }); len(dots) != 5 || dots[1].attr["cx"] != "340.0" {
		t.Errorf("dots: %+v", dots)
	}
}

func TestChartWithoutValues(t *testing.T) {
	c := testChart()
	c.series = []series{{name: "go", values: []float64{0, 0, 0}}}
	draw(t, c)
}

func TestTicks(t *testing.T) {
	for _, test := range []struct {
		low, high float64
		want      []float64
	}{
		{1, 10, []float64{1, 2, 5, 10}},
		{0.5, 2, []float64{0.5, 1, 2}},
		{20, 500, []float64{20, 50, 100, 200, 500}},
	} {
		if got := ticks(test.low, test.high); !reflect.DeepEqual(got, test.want) {
			t.Errorf("%v to %v: %v", test.low, test.high, got)
		}
	}
}

func TestBounds(t *testing.T) {
	for _, test := range []struct {
		values    []float64
		low, high float64
	}{
		{[]float64{3, 4}, 2, 5},
		{[]float64{0, 0.7, 51}, 0.5, 100},
		{[]float64{10, 10}, 10, 100},
	} {
		c := chart{series: []series{{values: test.values}}}
		if low, high := c.bounds(); low != test.low || high != test.high {
			t.Errorf("%v: %v to %v, want %v to %v", test.values, low, high, test.low, test.high)
		}
	}
}
