package report

import (
	_ "embed"
	"fmt"
	"html/template"
	"maps"
	"slices"
	"strings"
	"time"
)

//go:embed page.html
var pageText string

var page = template.Must(template.New("report").Funcs(template.FuncMap{
	"ms": ms, "clock": func(t time.Time) string { return t.UTC().Format("15:04:05") },
	"date":  func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") },
	"group": group, "percent": func(share float64) string { return strings.TrimSuffix(fmt.Sprintf("%.1f", share*100), ".0") + " %" },
	"took": func(a, b time.Time) string { return b.Sub(a).Round(100 * time.Millisecond).String() },
}).Parse(pageText))

// ms writes milliseconds for a person.
func ms(n int64) string {
	d := time.Duration(n) * time.Millisecond
	switch {
	case n < 0:
		return "never"
	case d < time.Second:
		return d.String()
	case d < time.Minute:
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	return d.Round(time.Second).String()
}

// group writes a number with its thousands apart.
func group(n int) string {
	digits := fmt.Sprint(n)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// The strip is drawn in these units; it is as wide as the page.
const (
	stripWidth  = 1000.0
	rowHeight   = 9.0
	chartHeight = 120.0
)

// area groups kinds of faults for their colour and row.
var areas = []struct {
	Name, Class string
	kinds       []string
}{
	{"processes", "f1", []string{"kill", "kill-all", "pause", "pause-relay", "terminate", "roll"}},
	{"Kafka", "f2", []string{"kafka-"}},
	{"PostgreSQL", "f3", []string{"postgres-"}},
	{"ways between", "f4", []string{"reset", "refuse", "cut", "commit-lost", "lose-answers", "lose-requests", "half-answers", "slow", "latency"}},
	{"outside world", "f5", []string{"provider-", "carrier-", "mail-"}},
}

func areaOf(kind string) int {
	for i, a := range areas {
		if slices.ContainsFunc(a.kinds, func(k string) bool { return k == kind || strings.HasSuffix(k, "-") && strings.HasPrefix(kind, k) }) {
			return i
		}
	}
	return len(areas) - 1
}

// bar is a rectangle of the strip.
type bar struct {
	X, Y, W, H   float64
	Class, Title string
}

// tick is a mark of the time axis.
type tick struct {
	X    float64
	Text string
}

type view struct {
	*Report
	Bars          []bar
	Ticks         []tick
	Curve         string
	Top           string
	Width, Height float64
	ChartTop      float64
	Areas         []string
	Settings      []string
}

func newView(r Report) view {
	v := view{Report: &r, Width: stripWidth, ChartTop: rowHeight*float64(len(areas)) + 8}
	v.Height = v.ChartTop + chartHeight + 18
	total := max(float64(len(r.Seconds)), 1)
	x := func(t time.Time) float64 { return t.Sub(r.Begin).Seconds() / total * stripWidth }
	for _, f := range r.Faults {
		row := areaOf(string(f.Kind))
		v.Bars = append(v.Bars, bar{
			X: x(f.Begin), Y: rowHeight * float64(row), W: max(x(f.Ready)-x(f.Begin), 0.8), H: rowHeight - 2, Class: areas[row].Class,
			Title: fmt.Sprintf("%s %s %s %s", f.Begin.UTC().Format("15:04:05"), f.Kind, f.Target, f.Detail),
		})
	}
	v.chart(total)
	for _, a := range areas {
		v.Areas = append(v.Areas, a.Name)
	}
	for _, name := range slices.Sorted(maps.Keys(r.Environment)) {
		v.Settings = append(v.Settings, name+"="+r.Environment[name])
	}
	return v
}

// chart draws the orders accepted as bars and those ended as a line, in at most 250 steps.
func (v *view) chart(total float64) {
	step := max((len(v.Seconds)+249)/250, 1)
	var steps []Second
	top := 1
	for i := 0; i < len(v.Seconds); i += step {
		var s Second
		for _, one := range v.Seconds[i:min(i+step, len(v.Seconds))] {
			s.Accepted, s.Ended = s.Accepted+one.Accepted, s.Ended+one.Ended
		}
		steps, top = append(steps, s), max(top, s.Accepted, s.Ended)
	}
	width := float64(step) / total * stripWidth
	y := func(n int) float64 { return chartHeight * float64(n) / float64(top) }
	var curve strings.Builder
	for i, s := range steps {
		at := float64(i) * width
		v.Bars = append(v.Bars, bar{
			X: at, Y: v.ChartTop + chartHeight - y(s.Accepted), W: max(width-0.4, 0.4), H: y(s.Accepted), Class: "accepted",
			Title: fmt.Sprintf("%s: %d accepted, %d ended in %d s", v.Begin.Add(time.Duration(i*step)*time.Second).UTC().Format("15:04:05"), s.Accepted, s.Ended, step),
		})
		fmt.Fprintf(&curve, "%.1f,%.1f ", at+width/2, v.ChartTop+chartHeight-y(s.Ended))
	}
	v.Curve = curve.String()
	v.Top = fmt.Sprintf("%.0f orders/s", float64(top)/float64(step))
	every := time.Minute
	for time.Duration(total)*time.Second/every > 12 {
		every *= 2
	}
	for at := time.Duration(0); at.Seconds() < total*0.96; at += every { // one at the very end would be cut off
		v.Ticks = append(v.Ticks, tick{at.Seconds() / total * stripWidth, fmt.Sprintf("%d min", int(at.Minutes()))})
	}
}
