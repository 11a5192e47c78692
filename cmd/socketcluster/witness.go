package main

import (
	"context"
	"log/slog"
)

// serveWitness is a node that only stores and votes, until ctx ends.
func serveWitness(ctx context.Context, o options, log *slog.Logger) error {
	node, err := o.startNode(ctx, log)
	if err != nil {
		return err
	}
	p := newOps(ctx, node, log)
	stop, err := p.serve(o.metricsAddr)
	if err != nil {
		node.Close()
		return err
	}
	p.begin(nil, nil)
	log.Info("this node is a witness: it stores and votes, and has no clients", slog.String("node", node.Name()))
	<-ctx.Done()
	node.Close()
	stop()
	return nil
}
