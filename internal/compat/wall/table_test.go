package wall

import (
	"fmt"
	"strings"
)

// steps are those of the scenario, in its order, with their columns.
var steps = []struct{ name, column string }{
	{"connect", "Connect"},
	{"pings", "Pings"},
	{"call", "Call"},
	{"error", "Error"},
	{"event", "Events"},
	{"called", "Called"},
	{"login", "Login"},
	{"subscribe", "Subscribe"},
	{"publish", "Publish"},
	{"receive", "Receive"},
	{"reconnect", "Reconnect"},
}

// row is what has been seen of a client.
type row struct {
	client
	works map[string]bool // by the name of the step
}

// render returns the rows as a table in Markdown.
func render(rows []row) string {
	var b strings.Builder
	b.WriteString("| Client | Version | Language | Protocol |")
	for _, s := range steps {
		b.WriteString(" " + s.column + " |")
	}
	b.WriteString(" What fails |\n|---|---|---|--:|" + strings.Repeat(":-:|", len(steps)) + "---|\n")
	for _, r := range rows {
		fmt.Fprintf(&b, "| %s%s | %s | %s | %d |", r.name, r.with, r.version, r.language, r.protocol)
		var reasons []string
		for _, s := range steps {
			mark := "✓"
			if !r.works[s.name] {
				mark = "**no**"
				if why := r.fails[s.name]; why != "" {
					reasons = append(reasons, why)
				}
			}
			b.WriteString(" " + mark + " |")
		}
		fmt.Fprintf(&b, " %s |\n", strings.Join(reasons, " "))
	}
	return b.String()
}
