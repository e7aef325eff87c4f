package openapi_test

import (
	"slices"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/quadrille-io/quadrille/pkg/fault"
	"github.com/quadrille-io/quadrille/services/gateway/openapi"
)

func load(t *testing.T) *openapi3.T {
	t.Helper()
	document, err := openapi.JSON()
	if err != nil {
		t.Fatal(err)
	}
	loaded, err := openapi3.NewLoader().LoadFromData(document)
	if err != nil {
		t.Fatal(err)
	}
	return loaded
}

// The document is valid OpenAPI 3.0.3, its examples are valid for their schemas.
func TestDocumentIsValid(t *testing.T) {
	t.Parallel()
	document := load(t)
	if document.OpenAPI != "3.0.3" {
		t.Errorf("openapi: %s", document.OpenAPI)
	}
	if err := document.Validate(t.Context(), openapi3.EnableExamplesValidation()); err != nil {
		t.Error(err)
	}
	if len(document.Extensions) > 0 {
		t.Errorf("left over: %v", document.Extensions)
	}
}

// The error codes of the document are those that exist.
func TestErrorCodes(t *testing.T) {
	t.Parallel()
	var documented, known []string
	for _, code := range load(t).Components.Schemas["ErrorCode"].Value.Enum {
		documented = append(documented, code.(string))
	}
	for _, code := range fault.Codes() {
		known = append(known, code.Name)
	}
	slices.Sort(documented)
	if !slices.Equal(documented, known) {
		t.Errorf("documented: %v\nknown: %v", documented, known)
	}
}

// Every operation says what it answers when something is wrong, has an id and a summary.
func TestOperationsAreComplete(t *testing.T) {
	t.Parallel()
	ids := map[string]bool{}
	for path, item := range load(t).Paths.Map() {
		for method, op := range item.Operations() {
			name := method + " " + path
			if op.OperationID == "" || ids[op.OperationID] || op.Summary == "" || len(op.Tags) != 1 {
				t.Errorf("%s: needs an id of its own (%q), a summary and one tag", name, op.OperationID)
			}
			ids[op.OperationID] = true
			wanted := []string{"429", "500", "503"}
			if op.Security == nil || len(*op.Security) > 0 {
				wanted = append(wanted, "401")
			}
			if op.RequestBody != nil {
				wanted = append(wanted, "400", "413")
			}
			if len(item.Parameters) > 0 {
				wanted = append(wanted, "404")
			}
			for _, status := range wanted {
				response := op.Responses.Value(status)
				if response == nil || response.Value.Content["application/problem+json"] == nil {
					t.Errorf("%s: no problem for %s", name, status)
				}
			}
		}
	}
}
