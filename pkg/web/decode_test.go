package web_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"github.com/quadrille-io/quadrille/pkg/fault"
	"github.com/quadrille-io/quadrille/pkg/web"
)

type terms struct {
	PaymentAmount int64   `json:"paymentAmount"`
	CouponID      *string `json:"couponId"`
}

type order struct {
	terms
	UserID string            `json:"userId"`
	Items  []item            `json:"items"`
	Labels map[string]string `json:"labels"`
	Extra  any               `json:"extra"`
	Ref    uuid.UUID         `json:"ref"`
	Due    *time.Time        `json:"due"`
	Ratio  float64           `json:"ratio"`
	Gift   bool              `json:"gift"`
	Hidden string            `json:"-"`
	Small  uint8             `json:"a/b~c"`
}

type item struct {
	ProductID string `json:"productId"`
	Quantity  int32  `json:"quantity"`
}

// decode runs Decode as a handler sees it.
func decode(body, contentType string, dst any) error {
	e := echo.New()
	req := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
	req.Header.Set("Content-Type", contentType)
	return web.Decode(e.NewContext(req, httptest.NewRecorder()), dst)
}

func TestDecodeTakesWhatIsRight(t *testing.T) {
	t.Parallel()
	var got order
	body := ` {"userId":"test1234","paymentAmount":257620,"couponId":null,"items":[{"productId":"P","quantity":2147483647}],
		"labels":{"a":"b"},"extra":{"any":[1.5,{"x":null}]},"ref":"0199a1b2-0000-7000-8000-000000000001",
		"due":"2026-01-02T03:04:05Z","ratio":1e-3,"gift":true,"a/b~c":255} `
	if err := decode(body, "application/json; charset=UTF-8", &got); err != nil {
		t.Fatalf("%v: %+v", err, err)
	}
	if got.UserID != "test1234" || got.PaymentAmount != 257620 || got.CouponID != nil || got.Items[0].Quantity != 2147483647 ||
		got.Labels["a"] != "b" || got.Ref[15] != 1 || got.Due.Year() != 2026 || got.Ratio != 0.001 || !got.Gift || got.Small != 255 {
		t.Errorf("read as %+v", got)
	}
}

func TestDecodeRefusals(t *testing.T) {
	t.Parallel()
	const invalid, unknown, twice = fault.CodeInvalidField, fault.CodeUnknownField, fault.CodeDuplicateField
	tests := map[string]struct {
		body   string
		code   string
		faults []string // pointer and code
	}{
		"empty":                    {"", fault.CodeInvalidJSON, nil},
		"blanks":                   {" \n", fault.CodeInvalidJSON, nil},
		"broken":                   {`{"userId":`, fault.CodeInvalidJSON, nil},
		"two values":               {`{} {}`, fault.CodeInvalidJSON, nil},
		"garbage behind":           {`{}]`, fault.CodeInvalidJSON, nil},
		"comment":                  {`{/**/}`, fault.CodeInvalidJSON, nil},
		"trailing comma":           {`{"userId":"x",}`, fault.CodeInvalidJSON, nil},
		"not UTF-8":                {"{\"userId\":\"\xff\"}", fault.CodeInvalidJSON, nil},
		"leading zero":             {`{"paymentAmount":010}`, fault.CodeInvalidJSON, nil},
		"NaN":                      {`{"ratio":NaN}`, fault.CodeInvalidJSON, nil},
		"too deep":                 {`{"extra":` + strings.Repeat("[", 40) + strings.Repeat("]", 40) + `}`, fault.CodeInvalidJSON, nil},
		"deep and broken":          {strings.Repeat("[", 60000), fault.CodeInvalidJSON, nil},
		"null":                     {`null`, invalid, []string{" " + invalid}},
		"an array":                 {`[]`, invalid, []string{" " + invalid}},
		"a string":                 {`"x"`, invalid, []string{" " + invalid}},
		"unknown":                  {`{"paidAmount":1}`, unknown, []string{"/paidAmount " + unknown}},
		"unknown, nested":          {`{"items":[{"productId":"P"},{"price":{"a":[1]}}]}`, unknown, []string{"/items/1/price " + unknown}},
		"other case":               {`{"USERID":"x"}`, unknown, []string{"/USERID " + unknown}},
		"hidden":                   {`{"Hidden":"x"}`, unknown, []string{"/Hidden " + unknown}},
		"hidden by dash":           {`{"-":"x"}`, unknown, []string{"/- " + unknown}},
		"embedded's own name":      {`{"terms":{}}`, unknown, []string{"/terms " + unknown}},
		"duplicate":                {`{"userId":"a","userId":"b"}`, twice, []string{"/userId " + twice}},
		"duplicate, escaped":       {`{"userId":"a","user\u0049d":"b"}`, twice, []string{"/userId " + twice}},
		"duplicate in any":         {`{"extra":{"a":{"k":1,"k":2}}}`, twice, []string{"/extra/a/k " + twice}},
		"duplicate in map":         {`{"labels":{"k":"1","k":"2"}}`, twice, []string{"/labels/k " + twice}},
		"a decimal for an integer": {`{"paymentAmount":257620.0}`, invalid, []string{"/paymentAmount " + invalid}},
		"an exponent":              {`{"paymentAmount":1e3}`, invalid, []string{"/paymentAmount " + invalid}},
		"beyond int64":             {`{"paymentAmount":9223372036854775808}`, invalid, []string{"/paymentAmount " + invalid}},
		"beyond int32":             {`{"items":[{"quantity":2147483648}]}`, invalid, []string{"/items/0/quantity " + invalid}},
		"negative unsigned":        {`{"a/b~c":-1}`, invalid, []string{"/a~1b~0c " + invalid}},
		"number as string":         {`{"paymentAmount":"1"}`, invalid, []string{"/paymentAmount " + invalid}},
		"string as number":         {`{"userId":1}`, invalid, []string{"/userId " + invalid}},
		"bool as number":           {`{"gift":1}`, invalid, []string{"/gift " + invalid}},
		"object for array":         {`{"items":{"0":{}}}`, invalid, []string{"/items " + invalid}},
		"array for object":         {`{"items":[[]]}`, invalid, []string{"/items/0 " + invalid}},
		"null element":             {`{"items":[null]}`, invalid, []string{"/items/0 " + invalid}},
		"bad uuid":                 {`{"ref":"nope"}`, invalid, []string{"/ref " + invalid}},
		"bad time":                 {`{"due":"tomorrow"}`, invalid, []string{"/due " + invalid}},
		"number as uuid":           {`{"ref":7}`, invalid, []string{"/ref " + invalid}},
		"map of numbers":           {`{"labels":{"a":1}}`, invalid, []string{"/labels/a " + invalid}},
		"zero character":           {`{"userId":"a\u0000b"}`, invalid, []string{"/userId " + invalid}},
		"zero in any":              {`{"extra":["a\u0000b"]}`, invalid, []string{"/extra/0 " + invalid}},
		"float beyond":             {`{"ratio":1e999}`, invalid, []string{"/ratio " + invalid}},
		"several":                  {`{"userId":1,"nope":2}`, invalid, []string{"/userId " + invalid, "/nope " + unknown}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var refusal *fault.Refusal
			if err := decode(tt.body, "application/json", &order{}); !errors.As(err, &refusal) {
				t.Fatalf("error %v, want a refusal", err)
			}
			var faults []string
			for _, f := range refusal.Errors {
				faults = append(faults, f.Pointer+" "+f.Code)
				if f.Detail == "" {
					t.Errorf("%s has no detail", f.Pointer)
				}
			}
			if diff := cmp.Diff(tt.faults, faults); refusal.Status != 400 || refusal.Code != tt.code || diff != "" {
				t.Errorf("refused with %v, want 400 %s; faults (-want +got):\n%s", refusal, tt.code, diff)
			}
		})
	}
}

func TestDecodeMediaTypes(t *testing.T) {
	t.Parallel()
	for contentType, want := range map[string]bool{
		"application/json": true, "Application/JSON; charset=utf-8": true,
		"": false, "text/plain": false, "application/x-www-form-urlencoded": false, "application/json; charset=utf-16": false,
		"application/jsonx": false, "application/problem+json": false,
	} {
		err := decode(`{}`, contentType, &order{})
		if want != (err == nil) || (err != nil && !errors.Is(err, fault.Of(fault.CodeUnsupportedMediaType, ""))) {
			t.Errorf("Content-Type %q: %v, want taken=%v", contentType, err, want)
		}
	}
}

func TestDecodeBoundsItsAnswer(t *testing.T) {
	t.Parallel()
	var body strings.Builder
	for i := range 1000 {
		body.WriteString(`,"x` + strings.Repeat("y", i%50) + string(rune('a'+i%26)) + `":1`)
	}
	var refusal *fault.Refusal
	err := decode(`{"userId":"u"`+body.String()+`}`, "application/json", &order{})
	if !errors.As(err, &refusal) || len(refusal.Errors) == 0 || len(refusal.Errors) > 16 {
		t.Errorf("%d faults listed (%v), want 1 to 16", len(refusal.Errors), err)
	}
}

// FuzzDecode: whatever comes in, it does not panic; what is refused is a Refusal of 400; and what is taken says the
// same when it is read a second time by a reader that is not ours.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		``, `{}`, `null`, `{"userId":"a","items":[{"productId":"P","quantity":1}]}`, `{"items":[null]}`, `{"extra":{"a":[{}]}}`,
		`{"userId":"a","userId":"b"}`, `{"paymentAmount":1.0}`, `{"due":"2026-01-02T03:04:05Z"}`, "{\"a\xff\":1}", `[[[[[[`, `{"\u0000":1}`,
		`{"ref":"0199a1b2-0000-7000-8000-000000000001"}`, `{"labels":{"":"x"}}`, `{"a/b~c":255}`, `{"couponId":"\ud800"}`, `{"ratio":-0}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var got order
		err := web.DecodeBytes(body, &got)
		var refusal *fault.Refusal
		switch {
		case err == nil:
			if !strings.HasPrefix(strings.TrimSpace(string(body)), "{") {
				t.Errorf("took %q, which is no object", body)
			}
		case !errors.As(err, &refusal), refusal.Status != 400, !fault.Known(refusal.Code):
			t.Errorf("%q: %v, want a refusal of 400", body, err)
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	body := []byte(`{"userId":"test1234","items":[{"productId":"PRD_240701120000001_0001_101","quantity":1}],"couponId":null,"paymentAmount":10050}`)
	b.ReportAllocs()
	for b.Loop() {
		if err := web.DecodeBytes(body, &order{}); err != nil {
			b.Fatal(err)
		}
	}
}
