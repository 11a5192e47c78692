package wall

import (
	"testing"

	"github.com/socketcluster-go/socketcluster/internal/compat/browsertest"
)

func TestMain(m *testing.M) { browsertest.Main(m) }

// clientTable has the clients that applications use.
var clientTable = table{
	part:  "clients, by " + command,
	about: []string{"Client", "Version", "Language", "Protocol"},
	steps: []step{
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
	},
}

// Each client passes the steps that are not listed as failing, and no others.
func TestClients(t *testing.T) {
	rows := make([]row, len(clients))
	t.Run("run", func(t *testing.T) {
		for i, c := range clients {
			t.Run(c.name+" "+c.version+c.with, func(t *testing.T) {
				t.Parallel() // most of it is waiting
				rows[i] = c.run(t)
			})
		}
	})
	clientTable.check(t, rows)
}
