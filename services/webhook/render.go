package webhook

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"
)

var timestampName = (*timestamppb.Timestamp)(nil).ProtoReflect().Descriptor().FullName()

// withheld are fields that leave the system in no event: what a payment could be made with.
var withheld = map[protoreflect.Name]bool{"payment_token": true}

// render writes a message as the API writes things: camelCase, amounts as numbers, enums by the API's words
// (OUT_OF_STOCK), every field present. The protobuf JSON mapping would make texts of the amounts, and says of itself
// that its bytes may differ from one release to the next; a delivery that is made again must not differ.
func render(out []byte, m protoreflect.Message) ([]byte, error) {
	if at, is := m.Interface().(*timestamppb.Timestamp); is {
		return strconv.AppendQuote(out, at.AsTime().Format(time.RFC3339Nano)), nil
	}
	out = append(out, '{')
	fields, first := m.Descriptor().Fields(), true
	for i := range fields.Len() {
		field := fields.Get(i)
		if withheld[field.Name()] || field.ContainingOneof() != nil && !m.Has(field) {
			continue
		}
		if !first {
			out = append(out, ',')
		}
		first = false
		out = append(strconv.AppendQuote(out, field.JSONName()), ':')
		var err error
		if out, err = renderField(out, m, field); err != nil {
			return nil, err
		}
	}
	return append(out, '}'), nil
}

func renderField(out []byte, m protoreflect.Message, field protoreflect.FieldDescriptor) ([]byte, error) {
	switch {
	case field.IsMap():
		// None of the events has one; whoever adds the first decides how its keys are ordered.
		return nil, fmt.Errorf("render %s: maps are not known", field.FullName())
	case field.IsList():
		list := m.Get(field).List()
		out = append(out, '[')
		for i := range list.Len() {
			if i > 0 {
				out = append(out, ',')
			}
			var err error
			if out, err = renderValue(out, field, list.Get(i)); err != nil {
				return nil, err
			}
		}
		return append(out, ']'), nil
	case field.Message() != nil && !m.Has(field):
		return append(out, "null"...), nil
	default:
		return renderValue(out, field, m.Get(field))
	}
}

func renderValue(out []byte, field protoreflect.FieldDescriptor, v protoreflect.Value) ([]byte, error) {
	switch field.Kind() {
	case protoreflect.MessageKind, protoreflect.GroupKind:
		return render(out, v.Message())
	case protoreflect.EnumKind:
		return strconv.AppendQuote(out, enumWord(field.Enum(), v.Enum())), nil
	default:
		text, err := json.Marshal(v.Interface())
		if err != nil {
			return nil, fmt.Errorf("render %s: %w", field.FullName(), err)
		}
		return append(out, text...), nil
	}
}

// enumWord is a value's name without the enum's own, which the protobuf style puts before it:
// CANCEL_REASON_OUT_OF_STOCK of CancelReason is OUT_OF_STOCK. A value of a later release is its number.
func enumWord(enum protoreflect.EnumDescriptor, n protoreflect.EnumNumber) string {
	value := enum.Values().ByNumber(n)
	if value == nil {
		return strconv.Itoa(int(n))
	}
	var prefix strings.Builder
	for i, r := range string(enum.Name()) {
		if i > 0 && unicode.IsUpper(r) {
			prefix.WriteByte('_')
		}
		prefix.WriteRune(unicode.ToUpper(r))
	}
	return strings.TrimPrefix(string(value.Name()), prefix.String()+"_")
}
