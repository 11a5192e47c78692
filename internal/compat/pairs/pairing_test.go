package pairs

import (
	"fmt"
	"net"
	"os/exec"
	"strconv"
	"syscall"
	"testing"

	"github.com/socketcluster-go/socketcluster/internal/compat/proc"
	"github.com/socketcluster-go/socketcluster/internal/sctest"
)

// pairing is a client with a server.
type pairing int

const (
	goTo20 pairing = iota
	goTo14
	goToOurs
	npmToOurs
	numPairings
)

// String returns the heading of the pairing in the table.
func (p pairing) String() string {
	return [...]string{
		"Go client, socketcluster-server 20.0.1", "Go client, socketcluster-server 14.7.2",
		"Go client, this server", "socketcluster-client 20.0.2, this server",
	}[p]
}

// ourServers are the pairings with this server, and goClients those with the Go
// client.
var (
	ourServers = []pairing{goToOurs, npmToOurs}
	goClients  = []pairing{goTo20, goTo14, goToOurs}
)

// key signs the tokens of all servers.
const key = "the auth key of the pairings, which all servers share"

// Pings come often, so that cases can wait for some. A server that is frozen is
// given up soon, but not by a busy machine.
const (
	pingInterval = "300"
	pingTimeout  = "20000"
	// frozenTimeout is the timeout of servers that belong to one case.
	frozenTimeout = "3000"
)

// command returns the command that starts the server of a pairing.
func (p pairing) command(t *testing.T, port int, pingTimeout string) *exec.Cmd {
	env := []string{
		"AUTH_KEY=" + key, "PORT=" + strconv.Itoa(port), "PING_INTERVAL=" + pingInterval, "PING_TIMEOUT=" + pingTimeout,
	}
	switch p {
	case goTo20:
		return proc.Node(t, "pairs/js/server20.js", env...)
	case goTo14:
		return proc.Node(t, "pairs/js/server14.js", env...)
	}
	return proc.Binary(proc.GoBuild(t, "./pairs/server"), env...)
}

// freePort returns a port on which nobody listens.
func freePort(t *testing.T) int {
	t.Helper()
	_, port, err := net.SplitHostPort(sctest.FreeAddr(t))
	if err != nil {
		t.Fatal(err)
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	return number
}

// host is a server process that a case may kill and start again.
type host struct {
	t       *testing.T
	pairing pairing
	port    int
	process *proc.Process // nil while there is none
}

// newHost returns a server for one case, which has not been started.
func newHost(t *testing.T, p pairing) *host {
	h := &host{t: t, pairing: p, port: freePort(t)}
	t.Cleanup(func() {
		if h.process == nil {
			return
		}
		_ = h.thaw() // a frozen one does not end
		if err := h.process.Stop(); err != nil {
			t.Error(err)
		}
	})
	return h
}

// processSteps are those of the server process.
var processSteps = map[string]func(*host) error{
	"start":     (*host).start,
	"kill":      (*host).kill,
	"freeze":    (*host).freeze,
	"thaw":      (*host).thaw,
	"awaitExit": (*host).awaitExit,
}

func (h *host) start() (err error) {
	if h.process != nil {
		return fmt.Errorf("%v already runs", h.pairing)
	}
	h.process, err = proc.Launch(h.t.Context(), h.pairing.command(h.t, h.port, frozenTimeout))
	return err
}

// kill ends the process without giving it time for anything.
func (h *host) kill() error {
	if err := syscall.Kill(h.process.Pid(), syscall.SIGKILL); err != nil {
		return err
	}
	return h.awaitExit()
}

// freeze stops the process, and waits until all of it has stopped.
func (h *host) freeze() error {
	if err := syscall.Kill(h.process.Pid(), syscall.SIGSTOP); err != nil {
		return err
	}
	for {
		var ws syscall.WaitStatus
		switch _, err := syscall.Wait4(h.process.Pid(), &ws, syscall.WUNTRACED, nil); {
		case err == syscall.EINTR:
		case err != nil:
			return err
		case !ws.Stopped():
			return fmt.Errorf("%v ended instead", h.pairing)
		default:
			return nil
		}
	}
}

func (h *host) thaw() error { return syscall.Kill(h.process.Pid(), syscall.SIGCONT) }

func (h *host) awaitExit() error {
	<-h.process.Exited()
	h.process = nil
	return nil
}
