package check

import (
	"bufio"
	"compress/gzip"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"os"
)

// Save keeps the evidence in a file, so that it can be judged again when a rule has changed.
func Save(path string, e *Evidence) error {
	file, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("keep the evidence: %w", err)
	}
	defer file.Close()
	packed, err := gzip.NewWriterLevel(file, gzip.BestSpeed)
	if err == nil {
		buf := bufio.NewWriterSize(packed, 1<<20)
		err = errors.Join(gob.NewEncoder(buf).Encode(e), buf.Flush(), packed.Close(), file.Close())
	}
	if err != nil {
		return fmt.Errorf("keep the evidence: %w", err)
	}
	return nil
}

// Load reads what Save has kept.
func Load(path string) (*Evidence, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("load evidence: %w", err)
	}
	defer file.Close()
	e, err := load(file)
	if err != nil {
		return nil, fmt.Errorf("load evidence %s: %w", path, err)
	}
	return e, nil
}

func load(r io.Reader) (*Evidence, error) {
	packed, err := gzip.NewReader(r)
	if err != nil {
		return nil, err
	}
	var e Evidence
	if err := gob.NewDecoder(bufio.NewReaderSize(packed, 1<<20)).Decode(&e); err != nil {
		return nil, err
	}
	return &e, nil
}
