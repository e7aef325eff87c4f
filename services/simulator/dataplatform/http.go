package dataplatform

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/quadrille-io/quadrille/services/simulator/answer"
)

// maxBody is the largest batch that is taken.
const maxBody = 64 << 20

// document is what is read of a batch; fields that are added to it later are none of our business.
type document struct {
	Schema  string `json:"schema"`
	BatchID string `json:"batchId"`
	Replay  bool   `json:"replay"`
	Facts   []struct {
		ID         string          `json:"id"`
		Type       string          `json:"type"`
		Service    string          `json:"service"`
		Subject    string          `json:"subject"`
		Sequence   int64           `json:"sequence"`
		OccurredAt time.Time       `json:"occurredAt"`
		Data       json.RawMessage `json:"data"`
	} `json:"facts"`
}

// read decodes a batch and says what is wrong with it, "" if nothing is.
func read(id string, body []byte) (received, string) {
	var d document
	switch err := json.Unmarshal(body, &d); {
	case err != nil:
		return received{}, "the body is not the JSON object of a batch"
	case d.Schema != "quadrille.facts.v1":
		return received{}, "the schema is not known"
	case d.BatchID != id:
		return received{}, "the body is of another batch than the header"
	case len(d.Facts) == 0:
		return received{}, "a batch without facts"
	}
	b := received{ID: d.BatchID, Replay: d.Replay, Facts: make([]noted, 0, len(d.Facts))}
	for _, f := range d.Facts {
		if f.ID == "" || f.Type == "" || f.Subject == "" || f.OccurredAt.IsZero() {
			return received{}, "a fact without id, type, subject or time"
		}
		b.Facts = append(b.Facts, noted{
			ID: f.ID, Type: f.Type, Service: f.Service, Subject: f.Subject, Sequence: f.Sequence, At: f.OccurredAt,
			Opaque: len(f.Data) == 0 || bytes.Equal(f.Data, []byte("null")),
		})
	}
	return b, ""
}

// postFacts answers once the batch is on the disk. A batch that was taken before is taken again, and changes nothing.
func (s *Server) postFacts(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		answer.Refuse(w, http.StatusBadRequest, "invalid_body", "the body cannot be read, or is too large")
		return
	}
	id, err := verify(s.key, r.Header, body, s.cfg.Now())
	if err != nil {
		answer.Refuse(w, http.StatusUnauthorized, "invalid_signature", err.Error())
		return
	}
	batch, wrong := read(id, body)
	if wrong != "" {
		answer.Refuse(w, http.StatusBadRequest, "invalid_batch", wrong)
		return
	}
	repeated, err := s.memory.take(batch)
	switch {
	case errors.Is(err, errOther):
		answer.Refuse(w, http.StatusConflict, "batch_id_reused", err.Error())
	case err != nil:
		slog.Error("data platform cannot store a batch", "error", err)
		answer.Refuse(w, http.StatusInternalServerError, "storage", "the batch cannot be stored")
	default:
		s.last.Store(&body)
		answer.JSON(w, http.StatusOK, map[string]any{"batchId": id, "facts": len(batch.Facts), "repeated": repeated})
	}
}

func (s *Server) getReceived(w http.ResponseWriter, r *http.Request) {
	limit := 1000
	var err error
	if v := r.URL.Query().Get("limit"); v != "" {
		limit, err = strconv.Atoi(v)
	}
	if err != nil || limit < 1 || limit > 100_000 {
		answer.Refuse(w, http.StatusBadRequest, "invalid_request", "limit must be 1 to 100000")
		return
	}
	list, more := s.memory.list(r.URL.Query().Get("orderId"), limit)
	if err := s.memory.settle(); err != nil {
		answer.Refuse(w, http.StatusInternalServerError, "storage", "what came cannot be stored")
		return
	}
	answer.JSON(w, http.StatusOK, answer.List[Order]{Data: list, HasMore: more})
}

func (s *Server) getTotals(w http.ResponseWriter, _ *http.Request) {
	totals := s.memory.sum()
	if err := s.memory.settle(); err != nil {
		answer.Refuse(w, http.StatusInternalServerError, "storage", "what came cannot be stored")
		return
	}
	answer.JSON(w, http.StatusOK, totals)
}

func (s *Server) getLast(w http.ResponseWriter, _ *http.Request) {
	body := s.last.Load()
	if body == nil {
		answer.Refuse(w, http.StatusNotFound, "not_found", "no batch has come since the start")
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(*body) // a caller that hung up asked for nothing more
}

// Received are all orders with what came about them, the newest first: for checks that each fact came once.
func (s *Server) Received() []Order {
	list, _ := s.memory.list("", s.memory.size()+1)
	return list
}

// Totals is how much came.
func (s *Server) Totals() Totals { return s.memory.sum() }
