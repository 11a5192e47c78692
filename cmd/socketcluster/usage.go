package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// misused makes the error of arguments that a command does not take. It has
// three lines at most: what is wrong, the nearest name, and how to get help.
func misused(c *cobra.Command, err error) error {
	text := strings.NewReplacer("\n\n", "\n", "\n\t", " ").Replace(strings.TrimSpace(err.Error()))
	return statusError{fmt.Errorf("%s\n%q tells more", text, c.CommandPath()+" --help"), 2}
}

// unknownFlag adds the nearest name to the error of an unknown flag, as cobra
// does for commands.
func unknownFlag(c *cobra.Command, err error) error {
	unknown, ok := errors.AsType[*pflag.NotExistError](err)
	if !ok {
		return err
	}
	name := "--" + unknown.GetSpecifiedName()
	if short := unknown.GetSpecifiedShortnames(); short != "" {
		// -addr stands for the flags -a, -d, -d and -r.
		name, _, _ = strings.Cut("-"+short, "=")
	}
	return fmt.Errorf("unknown flag: %s%s", name, nearest(strings.TrimLeft(name, "-"), "--", c.Flags()))
}

// nearest returns a line with the name of a flag that somebody may have meant,
// or "".
func nearest(typed, prefix string, flags *pflag.FlagSet) string {
	list := &cobra.Command{SuggestionsMinimumDistance: 2}
	flags.VisitAll(func(f *pflag.Flag) {
		list.AddCommand(&cobra.Command{Use: f.Name, Run: func(*cobra.Command, []string) {}})
	})
	if found := list.SuggestionsFor(typed); len(found) > 0 {
		return "\nDid you mean this? " + prefix + found[0]
	}
	return ""
}

// helpCommand shows the help of a command. That of cobra would answer a typo
// with the usage of all.
func helpCommand() *cobra.Command {
	return &cobra.Command{
		Use: "help [command]", Short: "Describes a command",
		RunE: func(c *cobra.Command, args []string) error {
			found, _, err := c.Root().Find(args)
			if err != nil {
				return misused(c.Root(), err)
			}
			return found.Help()
		},
	}
}
