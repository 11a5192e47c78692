package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/socketcluster-go/socketcluster/cluster"
)

// clusterRemoveCommand removes a node for good.
func clusterRemoveCommand() *cobra.Command {
	var o struct {
		options
		timeout time.Duration
	}
	c := &cobra.Command{
		Use: "remove node", Short: "Removes a node that is gone for good from those that elect leaders",
		Long: "Connects to the nodes of --cluster-routes with the secret of the cluster, and removes a node that is gone\n" +
			"for good: it counts no longer when the others elect who may start and change streams, and its copies\n" +
			"go to nodes that have none. It refuses if the node is alive, and needs a majority of all nodes with\n" +
			"storage, the removed one included. The store of the node must not be used again. The exit status is 0\n" +
			"if the node is removed, and 1 otherwise.\n\n" + settingsHelp,
		Example:           "  socketcluster cluster remove c --config node.toml",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(c *cobra.Command, args []string) error {
			err := o.load(c.Flags())
			if err == nil {
				ctx, cancel := context.WithTimeout(c.Context(), o.timeout)
				defer cancel()
				err = o.removeNode(ctx, c.OutOrStdout(), c.ErrOrStderr(), args[0])
			}
			return withStatus(err, 1)
		},
	}
	f := newFlags("Flags")
	o.defineConfig(f)
	o.cluster.defineRoutes(f)
	f.DurationVar(&o.timeout, "timeout", 30*time.Second, "time in which it must be done")
	addFlags(c, f)
	return c
}

// removeNode removes a node, and prints what is left.
func (o *options) removeNode(ctx context.Context, out, stderr io.Writer, name string) error {
	if o.cluster.routes == "" {
		return fmt.Errorf("no other node is named: set --%s", clusterRoutesSetting)
	}
	no, err := o.cluster.joining(slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: slog.LevelError})))
	if err != nil {
		return err
	}
	left, err := cluster.Remove(ctx, no, name)
	if err != nil {
		return o.clusterError(err)
	}
	fmt.Fprintf(out, "Node %s is removed. Nodes with storage: %s. A majority is %d.\n", name, strings.Join(left, ", "), len(left)/2+1)
	if len(left) == 2 {
		fmt.Fprintln(out, "Histories and revocations wait whenever one of the two is away.")
	}
	return nil
}
