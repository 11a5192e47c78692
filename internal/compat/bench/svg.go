//go:build linux

package main

import (
	"cmp"
	"encoding/xml"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
)

// chart is a picture of costs. The y axis is logarithmic, as servers differ by
// factors. So is the x axis if the points have places on it; otherwise they are
// cases, side by side, with no lines between them.
type chart struct {
	title  string
	y      string    // what it measures
	x      string    // what the places are, if there are any
	labels []string  // of the points
	places []float64 // of the points, above 0, or nil for cases
	series []series
}

// series has a value for each point; 0 is none.
type series struct {
	name, color string
	values      []float64
}

// Sizes in pixels: of the picture, and of what is around the plot.
const (
	chartWidth, chartHeight                     = 720, 360
	chartLeft, chartRight, chartTop, chartBelow = 70, 110, 44, 58
)

func (c chart) writeSVG(w io.Writer) error {
	low, high := c.bounds()
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" font-family="sans-serif" font-size="12" fill="#333">`+"\n",
		chartWidth, chartHeight, chartWidth, chartHeight)
	fmt.Fprintf(&b, `<title>%s</title>`+"\n"+`<rect width="100%%" height="100%%" fill="#fff"/>`+"\n", escape(c.title))
	text(&b, chartLeft, 20, "start", `font-weight="bold" font-size="14"`, c.title)
	text(&b, chartLeft, chartTop-8, "start", "", c.y)
	bottom := float64(chartHeight - chartBelow)
	yOf := func(v float64) float64 { return scale(math.Log(v), math.Log(low), math.Log(high), bottom, chartTop) }
	for _, v := range ticks(low, high) {
		y := yOf(v)
		fmt.Fprintf(&b, `<path d="M%d %.1fH%d" stroke="#ddd"/>`+"\n", chartLeft, y, chartWidth-chartRight)
		text(&b, chartLeft-8, y+4, "end", "", fmt.Sprintf("%g", v))
	}
	for i, label := range c.labels {
		text(&b, c.xOf(i), bottom+18, "middle", "", label)
	}
	text(&b, (chartLeft+chartWidth-chartRight)/2, bottom+42, "middle", "", c.x)
	type name struct {
		series
		y float64
	}
	var names []name
	for _, s := range c.series {
		var path strings.Builder
		last := -1
		for i, v := range s.values {
			if v <= 0 {
				continue
			}
			command := "L"
			if last < 0 {
				command = "M"
			}
			fmt.Fprintf(&path, "%s%.1f %.1f", command, c.xOf(i), yOf(v))
			fmt.Fprintf(&b, `<circle cx="%.1f" cy="%.1f" r="4" fill="%s"><title>%s: %s</title></circle>`+"\n",
				c.xOf(i), yOf(v), s.color, escape(s.name), significant(v))
			last = i
		}
		if last < 0 {
			continue
		}
		if c.places != nil {
			fmt.Fprintf(&b, `<path d="%s" fill="none" stroke="%s" stroke-width="2"/>`+"\n", path.String(), s.color)
		}
		names = append(names, name{s, yOf(s.values[last]) + 4})
	}
	// Each name is beside its last point, or below the one above it.
	slices.SortStableFunc(names, func(a, b name) int { return cmp.Compare(a.y, b.y) })
	const lineHeight = 14
	y := 0.0
	for _, n := range names {
		y = max(n.y, y+lineHeight)
		text(&b, chartWidth-chartRight+12, y, "start", fmt.Sprintf(`fill="%s"`, n.color), n.name)
	}
	b.WriteString("</svg>\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// bounds are the first and the last tick.
func (c chart) bounds() (low, high float64) {
	low, high = math.Inf(1), 0
	for _, s := range c.series {
		for _, v := range s.values {
			if v > 0 {
				low, high = min(low, v), max(high, v)
			}
		}
	}
	if high == 0 {
		return 1, 10
	}
	down := math.Pow(10, math.Floor(math.Log10(low)))
	for _, step := range []float64{5, 2, 1} {
		if step*down <= low {
			low = step * down
			break
		}
	}
	up := math.Pow(10, math.Floor(math.Log10(high)))
	for _, step := range []float64{1, 2, 5, 10} {
		if step*up >= high {
			high = step * up
			break
		}
	}
	if low == high {
		high = 10 * low
	}
	return low, high
}

// ticks are 1, 2 and 5 times the powers of ten from low to high.
func ticks(low, high float64) (all []float64) {
	const tolerance = 1e-9
	for power := math.Floor(math.Log10(low) + tolerance); power <= math.Log10(high)+tolerance; power++ {
		for _, step := range []float64{1, 2, 5} {
			if v := step * math.Pow(10, power); v >= low*(1-tolerance) && v <= high*(1+tolerance) {
				all = append(all, v)
			}
		}
	}
	return all
}

// xOf is where a point is. Cases have the middle of a column each.
func (c chart) xOf(i int) float64 {
	const right = chartWidth - chartRight
	if c.places == nil {
		return scale(float64(i)+0.5, 0, float64(len(c.labels)), chartLeft, right)
	}
	first, last := c.places[0], c.places[len(c.places)-1]
	const margin = 24
	return scale(math.Log(c.places[i]), math.Log(first), math.Log(last), chartLeft+margin, right-margin)
}

func scale(v, low, high, from, to float64) float64 {
	if low == high {
		return (from + to) / 2
	}
	return from + (v-low)/(high-low)*(to-from)
}

func text(b *strings.Builder, x, y float64, anchor, more, s string) {
	if s != "" {
		fmt.Fprintf(b, `<text x="%.1f" y="%.1f" text-anchor="%s" %s>%s</text>`+"\n", x, y, anchor, more, escape(s))
	}
}

func escape(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s)) // a Builder does not fail
	return b.String()
}
