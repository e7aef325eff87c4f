package inbox

import (
	"net/http"
)

// Preview is a mail as the shop would write it, to be looked at. Name and Language are words of a URL.
type Preview struct {
	Name, Language      string
	Subject, Text, HTML string
}

// previewGroup is the previews in one language.
type previewGroup struct {
	Language string
	Previews []Preview
}

func (s *Server) listPreviews(w http.ResponseWriter, _ *http.Request) {
	var groups []previewGroup
	at := map[string]int{}
	for _, p := range s.previews {
		i, known := at[p.Language]
		if !known {
			i = len(groups)
			at[p.Language] = i
			groups = append(groups, previewGroup{Language: p.Language})
		}
		groups[i].Previews = append(groups[i].Previews, p)
	}
	render(w, "previews", groups)
}

func (s *Server) preview(r *http.Request) (Preview, bool) {
	for _, p := range s.previews {
		if p.Language == r.PathValue("language") && p.Name == r.PathValue("name") {
			return p, true
		}
	}
	return Preview{}, false
}

func (s *Server) getPreview(w http.ResponseWriter, r *http.Request) {
	p, ok := s.preview(r)
	if !ok {
		http.NotFound(w, r)
		return
	}
	page := mailPage{Subject: p.Subject, Facts: []mailFact{{"Template", p.Name}, {"Language", p.Language}}}
	render(w, "mail", page.look("/preview/"+p.Language+"/"+p.Name, r.URL.Query().Get("view"), contentsOf(p.HTML, p.Text, "")...))
}

func (s *Server) getPreviewHTML(w http.ResponseWriter, r *http.Request) {
	p, ok := s.preview(r)
	if !ok {
		http.NotFound(w, r)
		return
	}
	frame(w, p.HTML)
}
