package main

import (
	"errors"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

// manCommand writes man pages.
func manCommand() *cobra.Command {
	return &cobra.Command{
		Use: "man folder", Short: "Writes man pages, one for each command, into a folder",
		Long:    "Writes man pages, one for each command, into a folder that exists.",
		Example: "  socketcluster man /usr/local/share/man/man1",
		Args: func(c *cobra.Command, args []string) error {
			if len(args) != 1 {
				return misused(c, errors.New("one folder must be given"), "")
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			header := &doc.GenManHeader{Section: "1", Source: "SocketCluster for Go", Manual: "SocketCluster for Go"}
			return doc.GenManTree(c.Root(), header, args[0])
		},
	}
}
