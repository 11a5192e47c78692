package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/socketcluster-go/socketcluster/cluster"
)

// clusterPath is the page for operators with the figures of a node.
const clusterPath = "/cluster"

// clusterCommand shows the figures of a node.
func clusterCommand() *cobra.Command {
	var o struct {
		settings
		addr   string
		asJSON bool
	}
	c := &cobra.Command{
		Use: "cluster", Short: "Shows the nodes of a cluster, who leads what, and what is behind",
		Long: "Asks a node at its --metrics-addr, and shows the nodes of its cluster, the streams that store\n" +
			"histories and revocations, who leads them, where they are and which copies are behind. The exit\n" +
			"status is 0 if all is well, 1 if a stream has no leader, a node with storage is away, the node is\n" +
			"cut off, several nodes have one name, nodes have different history rules or nine tenths of the\n" +
			"room for revocations are taken, and 2 if the node does not answer.\n\n" + settingsHelp,
		Example:           "  socketcluster cluster --metrics-addr 127.0.0.1:9100\n  socketcluster cluster --config node.toml --json",
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(c *cobra.Command, _ []string) error {
			err := o.load(c.Flags())
			if err == nil {
				err = showCluster(c.Context(), c.OutOrStdout(), o.addr, o.asJSON)
			}
			return withStatus(err, 2)
		},
	}
	f := newFlags("Flags")
	o.defineConfig(f)
	f.StringVar(&o.addr, metricsAddrSetting, "", "`address` for operators of any node, such as 127.0.0.1:9100")
	f.BoolVar(&o.asJSON, "json", false, "print JSON")
	addFlags(c, f)
	c.AddCommand(clusterRemoveCommand())
	return c
}

// maxStats is the size of the largest answer of a node.
const maxStats = 1 << 20

// showCluster prints the figures of the node at an address.
func showCluster(ctx context.Context, w io.Writer, addr string, asJSON bool) error {
	if addr == "" {
		return fmt.Errorf("no node is named: set --%s", metricsAddrSetting)
	}
	s, err := askNode(ctx, addr)
	if err != nil {
		return fmt.Errorf("ask the node at %s: %w", addr, err)
	}
	if asJSON {
		text, err := json.MarshalIndent(s, "", "  ")
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "%s\n", text)
	} else {
		printCluster(w, s)
	}
	if len(ills(s)) > 0 {
		return statusError{errDenied, 1} // it has been printed
	}
	return nil
}

// askNode gets the figures of a node.
func askNode(ctx context.Context, addr string) (s cluster.Stats, err error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	tcp, err := net.ResolveTCPAddr("tcp", addr)
	if err != nil {
		return s, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(siteURL(tcp), "/")+clusterPath, nil)
	if err != nil {
		return s, err
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return s, err
	}
	defer resp.Body.Close()
	text, err := readAll(resp.Body, "the answer", maxStats)
	switch {
	case err != nil:
		return s, err
	case resp.StatusCode != http.StatusOK:
		return s, errors.New(strings.TrimSpace(string(text)))
	}
	return s, json.Unmarshal(text, &s)
}
