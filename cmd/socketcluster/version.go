package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// versionCommand prints the same as the flag --version.
func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Prints the version of the command",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(c.OutOrStdout(), c.Root().Name(), "version", c.Root().Version)
			return withStatus(err, 1)
		},
	}
}

// version returns the version of this module in the program, and what it was
// built with.
func version() string {
	module := "unknown"
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		module = info.Main.Version
	}
	return fmt.Sprintf("%s (%s, %s/%s)", module, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}
