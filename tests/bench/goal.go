package bench

import "fmt"

// goals are what we have set ourselves, each with what was measured. What was not measured is not in the list.
func goals(r *Result) []Goal {
	f := r.Figures
	var all []Goal
	add := func(name string, measured, least float64, format, unit string) {
		if measured != 0 {
			all = append(all, Goal{name, "at least " + fmt.Sprintf(format, least) + unit, fmt.Sprintf(format, measured) + unit, measured >= least})
		}
	}
	most := func(name string, measured, most float64, format, unit string) {
		if measured != 0 {
			all = append(all, Goal{name, "at most " + fmt.Sprintf(format, most) + unit, fmt.Sprintf(format, measured) + unit, measured <= most})
		}
	}
	add("completed from the command feed", f.FeedPerSecond, 3_000, "%.0f", "/s")
	add("completed through REST", f.RESTPerSecond, 1_500, "%.0f", "/s")
	add("part of the floor", f.RatioToFloor, .5, "%.2f", "")
	add("times Temporal", f.RatioToTemporal, 150, "%.0f", "")
	add("times Watermill", f.RatioToWatermill, 10, "%.1f", "")
	most("placed to COMPLETED at 10/s, p50", f.Low.P50, 25, "%.1f", " ms")
	most("placed to COMPLETED at half load, p50", f.Half.P50, 60, "%.1f", " ms")
	most("placed to COMPLETED at half load, p99", f.Half.P99, 200, "%.1f", " ms")
	add("one hot product, of the rate of a thousand", f.RatioHot, .9, "%.2f", "")
	add("sold-out refusals, times the rate of sales", f.RatioSoldOut, 3, "%.2f", "")
	add("with past orders, of the rate of empty tables", f.RatioHistory, .9, "%.2f", "")
	add("a backlog drained, of the full rate", f.RatioBacklog, .9, "%.2f", "")
	most("live memory after a backlog, times before", f.GrowthAfter, 1.25, "%.2f", "")
	most("live memory in the second half of draining it, times the first", f.GrowthDraining, 1.25, "%.2f", "")
	most("idle CPU of all services", r.IdlePercent, 2, "%.2f", " % of a core")
	return all
}
