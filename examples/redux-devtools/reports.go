package main

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/auth/httpauth"
)

// maxReports is how many bytes the reports may have together.
const maxReports = 4 * maxMessage

// errNoReport is what a report is refused with that lacks what it needs.
var errNoReport = errors.New("a report needs the type ACTIONS or STATE, and a payload")

// heading is what lists have of a report.
type heading struct {
	ID    string    `json:"id"`
	Title string    `json:"title"`
	Added time.Time `json:"added"`
}

// report is a report as the application has sent it, with its heading.
type report struct {
	heading
	full json.RawMessage
}

// reportsMessage is what monitors get about reports.
type reportsMessage struct {
	Type string `json:"type"` // list, or add
	Data any    `json:"data"` // headings, or one of them
}

// reports are the reports of this process.
type reports struct {
	limit int // in bytes

	mu   sync.Mutex
	all  []report // the oldest first
	size int      // in bytes
}

// add keeps a report. It returns errNoReport, or what is wrong with the JSON.
func (r *reports) add(body []byte) (heading, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(body, &fields); err != nil {
		return heading{}, err
	}
	var known struct {
		Type, Title, Action string
		Payload             string
		Exception           struct{ Message string }
	}
	// Fields of other types count as missing.
	if err := json.Unmarshal(body, &known); err != nil && !errors.As(err, new(*json.UnmarshalTypeError)) {
		return heading{}, err
	}
	if known.Type != "ACTIONS" && known.Type != "STATE" || known.Payload == "" {
		return heading{}, errNoReport
	}
	h := heading{ID: rand.Text(), Added: time.Now().UTC()}
	for _, title := range []string{known.Title, known.Exception.Message, known.Action} {
		if h.Title = title; title != "" {
			break
		}
	}
	for name, value := range map[string]any{"id": h.ID, "title": h.Title, "added": h.Added} {
		fields[name], _ = json.Marshal(value)
	}
	full, err := json.Marshal(fields)
	if err != nil {
		return heading{}, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all, r.size = append(r.all, report{h, full}), r.size+len(full)
	for r.size > r.limit { // without the oldest ones
		r.size -= len(r.all[0].full)
		r.all = slices.Delete(r.all, 0, 1)
	}
	return h, nil
}

// list returns the headings of all reports.
func (r *reports) list() []heading {
	r.mu.Lock()
	defer r.mu.Unlock()
	headings := make([]heading, len(r.all))
	for i, report := range r.all {
		headings[i] = report.heading
	}
	return headings
}

// get returns a report, or the JSON null if there is none.
func (r *reports) get(id string) json.RawMessage {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, report := range r.all {
		if report.ID == id {
			return report.full
		}
	}
	return json.RawMessage("null")
}

// reportsHandler takes a report from an application: {"type":"STATE",…}. With
// {"op":"list"} and {"op":"get","id":…} it answers as their names say.
type reportsHandler struct {
	reports  *reports
	exchange *socketcluster.Exchange
	origins  *httpauth.Origins
}

func (h *reportsHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !admit(h.origins, w, r) {
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxMessage))
	if err != nil {
		http.Error(w, err.Error(), http.StatusRequestEntityTooLarge)
		return
	}
	var request struct{ Op, ID string }
	if err := json.Unmarshal(body, &request); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	switch request.Op {
	case "list":
		answer(w, h.reports.list())
	case "get":
		answer(w, h.reports.get(request.ID))
	default:
		added, err := h.reports.add(body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		h.exchange.Publish(r.Context(), newReports, reportsMessage{"add", added})
		answer(w, map[string]string{"id": added.ID})
	}
}

func answer(w http.ResponseWriter, v any) {
	var b bytes.Buffer
	if err := json.NewEncoder(&b).Encode(v); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Write(b.Bytes())
}

// preflight answers the question that a browser asks before a page sends JSON to
// another origin.
func preflight(origins *httpauth.Origins) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if admit(origins, w, r) {
			w.Header().Set("Access-Control-Allow-Headers", "Content-Type")
			w.WriteHeader(http.StatusNoContent)
		}
	})
}

// admit refuses pages of other origins, and lets the admitted ones read the
// answer.
func admit(origins *httpauth.Origins, w http.ResponseWriter, r *http.Request) bool {
	if err := origins.Admit(r, true); err != nil {
		http.Error(w, err.Error(), http.StatusForbidden)
		return false
	}
	w.Header().Add("Vary", "Origin")
	if origin := r.Header.Get("Origin"); origin != "" {
		w.Header().Set("Access-Control-Allow-Origin", origin)
	}
	return true
}
