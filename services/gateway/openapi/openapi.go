// Package openapi is the description of the public API, written by hand in openapi.yaml, and the pages that show it.
package openapi

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"sync"

	"go.yaml.in/yaml/v3"
)

//go:embed openapi.yaml
var document []byte

// JSON is the document as it is served at /openapi.json: OpenAPI 3.0.3.
var JSON = sync.OnceValues(func() ([]byte, error) {
	whole := map[string]any{}
	if err := yaml.Unmarshal(document, &whole); err != nil {
		return nil, fmt.Errorf("read openapi.yaml: %w", err)
	}
	delete(whole, "x-shared") // merged in where it is used
	out, err := json.Marshal(whole)
	if err != nil {
		return nil, fmt.Errorf("write openapi.json: %w", err)
	}
	return out, nil
})
