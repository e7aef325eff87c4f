package local

import (
	"fmt"
	"time"
	_ "time/tzdata" // the machine may have none

	"github.com/quadrille-io/quadrille/services/mailer/letter"
	"github.com/quadrille-io/quadrille/services/simulator/inbox"
)

// shopZone is where the seeded shop is.
const shopZone = "Asia/Seoul"

// previews are the mails that mailer writes, in every language, for the inbox to show.
func previews() ([]inbox.Preview, error) {
	zone, err := time.LoadLocation(shopZone)
	if err != nil {
		return nil, fmt.Errorf("find the shop's time zone: %w", err)
	}
	writer, err := letter.New(letter.Config{ShopURL: "https://shop.example", Zone: zone})
	if err != nil {
		return nil, err
	}
	names := map[string]string{"en": "Hong Gil-dong", "ko": "홍길동"}
	var all []inbox.Preview
	for _, language := range letter.Languages() {
		for _, e := range letter.Examples() {
			l, err := writer.Write(e.Mail, names[language], language)
			if err != nil {
				return nil, err
			}
			all = append(all, inbox.Preview{Name: e.Name, Language: language, Subject: l.Subject, Text: l.Text, HTML: l.HTML})
		}
	}
	return all, nil
}
