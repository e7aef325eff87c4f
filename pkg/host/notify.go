package host

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	mail "github.com/wneessen/go-mail"
)

// channel is a way to reach the operators.
type channel struct {
	name string
	send func(ctx context.Context, service string, notices []Notice) error
}

const (
	// sendTimeout bounds one mail or one POST.
	sendTimeout = 10 * time.Second
	// claimTime is how long a claimed group belongs to the replica that sends it: longer than a send
	// may take. A replica that dies meanwhile has told nobody, and another one does after this.
	claimTime = 3 * sendTimeout
	// quiet is how long a group is not told of again.
	quiet = time.Hour
)

// tell sends the notices that this channel was not sent within the hour. Each is claimed first, so that
// of two replicas one sends; it counts as sent only when it was.
func tell(ctx context.Context, pool *pgxpool.Pool, c channel, service string, notices []Notice) error {
	due, err := claimNotices(ctx, pool, c.name, notices)
	if err != nil || len(due) == 0 {
		return err
	}
	sendCtx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	failed := c.send(sendCtx, service, due)
	keys := make([]string, len(due))
	for i, n := range due {
		keys[i] = noticeKey(c.name, n)
	}
	// Also when ctx has ended meanwhile: what was sent must not be sent again.
	ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), sendTimeout)
	defer cancel()
	mark := `UPDATE notice SET sent_at = clock_timestamp() WHERE group_key = ANY($1)`
	if failed != nil {
		mark = `DELETE FROM notice WHERE group_key = ANY($1)`
	}
	if _, err := pool.Exec(ctx, mark, keys); err != nil && failed == nil {
		return fmt.Errorf("note that operators were told: %w", err)
	}
	return failed
}

// noticeKey keeps the channels apart: a webhook that is down must not have the mail sent again.
func noticeKey(channel string, n Notice) string { return channel + " " + n.Group }

// claimNotices returns those of the notices that are due, and keeps others from them for claimTime: the
// row says that it was sent an hour ago less that.
func claimNotices(ctx context.Context, pool *pgxpool.Pool, channel string, notices []Notice) ([]Notice, error) {
	byKey := map[string]Notice{}
	var keys []string
	for _, n := range notices {
		key := noticeKey(channel, n)
		if _, twice := byKey[key]; !twice {
			keys = append(keys, key)
		}
		byKey[key] = n
	}
	if len(keys) == 0 {
		return nil, nil
	}
	rows, err := pool.Query(ctx, `
		INSERT INTO notice (group_key, sent_at)
		SELECT k, clock_timestamp() - $2::interval FROM unnest($1::text[]) AS k ORDER BY k COLLATE "C"
		ON CONFLICT (group_key) DO UPDATE SET sent_at = excluded.sent_at
		WHERE notice.sent_at <= clock_timestamp() - $3::interval
		RETURNING group_key`, keys, quiet-claimTime, quiet)
	if err != nil {
		return nil, fmt.Errorf("claim notices: %w", err)
	}
	claimed, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("claim notices: %w", err)
	}
	due := make([]Notice, len(claimed))
	for i, key := range claimed {
		due[i] = byKey[key]
	}
	return due, nil
}

func sendMail(ctx context.Context, o Operators, service string, notices []Notice) error {
	host, port, err := net.SplitHostPort(o.SMTP)
	if err != nil {
		return fmt.Errorf("OPERATORS_SMTP: %w", err)
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		return fmt.Errorf("OPERATORS_SMTP: %w", err)
	}
	msg := mail.NewMsg()
	if err := msg.From(o.From); err != nil {
		return fmt.Errorf("OPERATORS_FROM: %w", err)
	}
	if err := msg.To(o.Mail...); err != nil {
		return fmt.Errorf("OPERATORS_MAIL: %w", err)
	}
	msg.Subject(mailSubject(service, notices))
	msg.SetBodyString(mail.TypeTextPlain, mailText(service, notices))
	client, err := mail.NewClient(host, mail.WithPort(number), mail.WithTLSPolicy(mail.TLSOpportunistic), mail.WithTimeout(sendTimeout))
	if err != nil {
		return fmt.Errorf("set up the mail to operators: %w", err)
	}
	if err := client.DialAndSendWithContext(ctx, msg); err != nil {
		return fmt.Errorf("send the mail to operators: %w", err)
	}
	return nil
}

func mailSubject(service string, notices []Notice) string {
	count := 0
	for _, n := range notices {
		count += n.Count
	}
	return fmt.Sprintf("[quadrille] %s: %d need a person", service, count)
}

func mailText(service string, notices []Notice) string {
	var b strings.Builder
	for _, n := range notices {
		fmt.Fprintf(&b, "%s\n", n.Text)
		fmt.Fprintf(&b, "  group: %s\n  how many: %d, the oldest since %s\n", n.Group, n.Count, n.Since.UTC().Format(time.RFC3339))
		if len(n.Subjects) > 0 {
			fmt.Fprintf(&b, "  subjects: %s", strings.Join(n.Subjects, ", "))
			if n.Count > len(n.Subjects) {
				b.WriteString(", ...")
			}
			b.WriteString("\n")
		}
		b.WriteString("\n")
	}
	fmt.Fprintf(&b, "What waits in %s: `quadrille dlq list`. The same group is not told of again within the hour.\n", service)
	return b.String()
}

// webhookBody is what OPERATORS_WEBHOOK gets.
type webhookBody struct {
	Service string   `json:"service"`
	Notices []Notice `json:"notices"`
}

func postWebhook(ctx context.Context, client *http.Client, target, service string, notices []Notice) error {
	body, err := json.Marshal(webhookBody{Service: service, Notices: notices})
	if err != nil {
		return fmt.Errorf("encode the operators' webhook: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("call the operators' webhook: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		// Without the URL: whoever knows it may post there.
		var inURL *url.Error
		if errors.As(err, &inURL) {
			err = inURL.Err
		}
		return fmt.Errorf("call the operators' webhook: %w", err)
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10)) // so that the connection can be used again
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("the operators' webhook answered %s", resp.Status)
	}
	return nil
}
