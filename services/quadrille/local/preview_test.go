package local

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/quadrille-io/quadrille/services/mailer/letter"
	"github.com/quadrille-io/quadrille/services/simulator/inbox"
)

// Every template can be looked at in every language, at an address of its own.
func TestPreviews(t *testing.T) {
	t.Parallel()
	all, err := previews()
	if err != nil {
		t.Fatal(err)
	}
	if want := len(letter.Examples()) * len(letter.Languages()); len(all) != want {
		t.Errorf("%d previews, want %d", len(all), want)
	}
	box, err := inbox.New(inbox.Config{Dir: t.TempDir(), Previews: all})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := box.Close(); err != nil {
			t.Error(err)
		}
	}()
	for _, p := range all {
		for _, path := range []string{"/preview/" + p.Language + "/" + p.Name, "/preview/" + p.Language + "/" + p.Name + "/html"} {
			w := httptest.NewRecorder()
			box.Handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, http.NoBody))
			if w.Code != http.StatusOK {
				t.Errorf("%s: %d", path, w.Code)
			}
		}
	}
}
