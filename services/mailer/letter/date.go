package letter

import (
	"fmt"
	"time"
)

// Date shows a moment as the language writes it: 21 November 2026, 15:04 KST in English, 2026년 11월 21일 (토) 오후 3:04 in
// Korean, where the zone is only named if it is another than Korea's. The moment's own zone counts.
func Date(at time.Time, language string) string {
	if language != "ko" {
		return at.Format("2 January 2006, 15:04 MST")
	}
	half, hour := "오전", at.Hour()
	if hour >= 12 {
		half, hour = "오후", hour-12
	}
	if hour == 0 {
		hour = 12
	}
	text := fmt.Sprintf("%d년 %d월 %d일 (%s) %s %d:%02d", at.Year(), at.Month(), at.Day(),
		[]string{"일", "월", "화", "수", "목", "금", "토"}[at.Weekday()], half, hour, at.Minute())
	if zone := at.Format("MST"); zone != "KST" {
		text += " " + zone
	}
	return text
}
