package console

import (
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"strings"
	"sync"

	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/cmd/socketcluster/printable"
	"github.com/socketcluster-go/socketcluster/wire"
)

// printer prints for people, or one JSON object a line for programs.
type printer struct {
	out   io.Writer
	color bool
	json  bool
}

// lockedWriter is a writer for several goroutines, until it is closed: handlers
// of a client may outlive its end.
type lockedWriter struct {
	mu     sync.Mutex
	out    io.Writer
	closed bool
}

// Write implements io.Writer.
func (w *lockedWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return len(p), nil
	}
	return w.out.Write(p)
}

func (w *lockedWriter) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
}

// The colours of what is printed, as parameters of the control sequence SGR.
const (
	grey   = "90"
	red    = "31"
	green  = "32"
	yellow = "33"
	cyan   = "36"
)

func (p printer) paint(color, text string) string {
	if !p.color {
		return text
	}
	return "\x1b[" + color + "m" + text + "\x1b[0m"
}

// line prints a line, or an object for programs.
func (p printer) line(text string, object any) {
	if p.json {
		encoded, err := json.Marshal(object)
		if err != nil {
			encoded = []byte(`{"type":"error"}`)
		}
		text = printable.Text(string(encoded))
	}
	_, _ = io.WriteString(p.out, text+"\n") // who cannot be told cannot be told so
}

// output is what is printed for programs.
type output struct {
	Type  string          `json:"type"`
	Name  string          `json:"name,omitempty"`
	Data  json.RawMessage `json:"data,omitempty"`
	Error any             `json:"error,omitempty"`
	Text  string          `json:"text,omitempty"`
}

// happening prints something that the server has sent.
func (p printer) happening(h happening) {
	color := map[string]string{"publish": cyan, "transmit": cyan, "call": yellow, "event": grey, "close": grey}[h.kind]
	if h.kind == "event" && (h.name == "error" || h.name == "subscribeFail" || h.name == "kickOut" || h.name == "connectAbort") {
		color = red
	}
	kind := h.kind + " "
	if h.kind == "event" {
		kind = ""
	}
	p.line(p.paint(color, "« "+printable.Text(kind+h.name))+" "+printable.Text(string(h.data)), output{Type: h.kind, Name: h.name, Data: h.data})
}

// answer prints the answer of a call.
func (p printer) answer(data json.RawMessage) {
	text := printable.Text(string(data))
	if data == nil {
		text = p.paint(grey, "(no data)")
	}
	p.line(p.paint(green, "→ ")+text, output{Type: "answer", Data: data})
}

// failure prints the error of a command.
func (p printer) failure(err error) {
	o := output{Type: "error", Error: err.Error()}
	if e, ok := errors.AsType[*wire.Error](err); ok {
		o.Error = e
	}
	p.line(p.paint(red, "✗ ")+printable.Text(err.Error()), o)
}

// text prints something else.
func (p printer) text(text string) {
	p.line(printable.Text(strings.TrimRight(text, "\n")), output{Type: "text", Text: text})
}

// logger returns a logger that prints what the client logs.
func (p printer) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(logWriter{p}, nil))
}

type logWriter struct{ p printer }

// Write implements io.Writer.
func (w logWriter) Write(line []byte) (int, error) {
	w.p.text(string(line))
	return len(line), nil
}

// claims returns what a token says, or null. It is not verified.
func claims(t *auth.Token) json.RawMessage {
	if t == nil {
		return json.RawMessage("null")
	}
	return t.Payload()
}
