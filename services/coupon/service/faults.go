package service

import (
	"cmp"
	"slices"

	"github.com/quadrille-io/quadrille/pkg/fault"
)

// faults collects what is wrong with the fields of a body.
type faults []fault.FieldError

func (f *faults) missing(pointer string, is bool) {
	if is {
		*f = append(*f, fault.FieldError{Pointer: pointer, Code: fault.CodeMissingField, Detail: "The field is required."})
	}
}

func (f *faults) invalid(pointer string, is bool, detail string) {
	if is {
		*f = append(*f, fault.FieldError{Pointer: pointer, Code: fault.CodeInvalidField, Detail: detail})
	}
}

// sorted by pointer: the same request is refused with the same words.
func (f faults) sorted() []fault.FieldError {
	slices.SortStableFunc(f, func(a, b fault.FieldError) int { return cmp.Compare(a.Pointer, b.Pointer) })
	return f
}
