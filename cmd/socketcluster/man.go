package main

import (
	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

// manCommand writes man pages.
func manCommand() *cobra.Command {
	return &cobra.Command{
		Use: "man folder", Short: "Writes man pages, one for each command, into a folder",
		Long:    "Writes man pages, one for each command, into a folder that exists.",
		Example: "  socketcluster man /usr/local/share/man/man1",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			header := &doc.GenManHeader{Section: "1", Source: "SocketCluster for Go", Manual: "SocketCluster for Go"}
			return withStatus(doc.GenManTree(c.Root(), header, args[0]), 1)
		},
	}
}
