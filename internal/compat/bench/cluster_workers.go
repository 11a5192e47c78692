//go:build linux

package main

import (
	"context"
	"errors"
	"net"
	"path/filepath"

	"github.com/socketcluster-go/socketcluster/internal/compat/npm"
	"github.com/socketcluster-go/socketcluster/internal/compat/proc"
	"github.com/socketcluster-go/socketcluster/internal/sctest"
)

const numWorkers = 2

// startWorkers starts the cluster of the JavaScript packages: workers, a broker, and the
// state server that tells the workers where the broker is.
func startWorkers(ctx context.Context, l clusterLoad, env ...string) (*nodes, error) {
	packages, err := npm.InstallSCC(ctx)
	if err != nil {
		return nil, err
	}
	brokerAddr, err := sctest.ChooseAddr()
	if err != nil {
		return nil, err
	}
	n := &nodes{}
	launch := func(script string, more ...string) (*proc.Process, error) {
		cmd, err := proc.NodeCommand(ctx, "bench/js/"+script, append(append([]string{
			"NODE_PATH=" + filepath.Join(packages, "node_modules"),
			"PORT=0", "AUTH_KEY=" + authKey,
		}, env...), more...)...)
		if err != nil {
			return nil, err
		}
		return proc.Launch(ctx, cmd)
	}
	failed := func(err error) (*nodes, error) { return nil, errors.Join(err, n.stop()) }
	state, err := launch("scc-state.js")
	if err != nil {
		return failed(err)
	}
	n.helpers = append(n.helpers, state)
	_, statePort, err := net.SplitHostPort(state.Addr())
	if err != nil {
		return failed(err)
	}
	_, brokerPort, err := net.SplitHostPort(brokerAddr)
	if err != nil {
		return failed(err)
	}
	// The broker takes its settings from the environment.
	broker, err := launch("scc-broker.js", "SCC_STATE_SERVER_HOST=127.0.0.1", "SCC_STATE_SERVER_PORT="+statePort, "SCC_BROKER_SERVER_PORT="+brokerPort)
	if err != nil {
		return failed(err)
	}
	n.helpers = append(n.helpers, broker)
	for range numWorkers {
		p, err := launch("server.js", "SCC_STATE_PORT="+statePort)
		if err != nil {
			return failed(err)
		}
		n.servers = append(n.servers, server{p, endpoint{addr: p.Addr(), proto: scProtocol{}}})
	}
	if err := n.settle(ctx, l); err != nil {
		return failed(err)
	}
	return n, nil
}
