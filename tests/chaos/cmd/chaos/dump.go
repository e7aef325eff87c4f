package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/quadrille-io/quadrille/tests/chaos/check"
)

// dump keeps what stood on the topics, a line per record.
func dump(path string, events []check.Event) error {
	file, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("keep the topics: %w", err)
	}
	defer file.Close()
	buf := bufio.NewWriterSize(file, 1<<20)
	lines := json.NewEncoder(buf)
	for i := range events {
		if err := lines.Encode(&events[i]); err != nil {
			return fmt.Errorf("keep the topics: %w", err)
		}
	}
	if err := errors.Join(buf.Flush(), file.Close()); err != nil {
		return fmt.Errorf("keep the topics: %w", err)
	}
	return nil
}
