package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// misused makes the error of arguments. Its text has up to three lines: what is
// wrong, the nearest name, and how to get help. typed is a name that none of
// names is, if that is what is wrong.
func misused(c *cobra.Command, err error, typed string, names ...string) error {
	hint := ""
	if name := nearest(typed, names); name != "" {
		hint = fmt.Sprintf("\nDid you mean %s?", name)
	}
	return statusError{fmt.Errorf("%w%s\n%q tells more", err, hint, c.CommandPath()+" --help"), 2}
}

// misusedFlag reports an error in the flags of a command.
func misusedFlag(c *cobra.Command, err error) error {
	unknown, ok := errors.AsType[*pflag.NotExistError](err)
	if !ok {
		return misused(c, err, "")
	}
	name, dashes := unknown.GetSpecifiedName(), "--"
	if short := unknown.GetSpecifiedShortnames(); short != "" {
		// -addr stands for the flags -a, -d, -d and -r.
		name, _, _ = strings.Cut(short, "=")
		dashes = "-"
	}
	var names []string
	c.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, "--"+f.Name) })
	return misused(c, fmt.Errorf("unknown flag: %s%s", dashes, name), "--"+name, names...)
}

// nearest returns the name that somebody may have meant, or "".
func nearest(typed string, names []string) string {
	list := &cobra.Command{}
	for _, name := range names {
		list.AddCommand(&cobra.Command{Use: name, Run: func(*cobra.Command, []string) {}})
	}
	for list.SuggestionsMinimumDistance = 1; typed != "" && list.SuggestionsMinimumDistance <= 3; list.SuggestionsMinimumDistance++ {
		if found := list.SuggestionsFor(typed); len(found) > 0 {
			return found[0]
		}
	}
	return ""
}

// noArgs is for commands without arguments.
func noArgs(c *cobra.Command, args []string) error {
	if len(args) > 0 {
		return misused(c, fmt.Errorf("unexpected argument: %q", args[0]), "")
	}
	return nil
}

// newGroup makes a command that has commands and does nothing by itself.
func newGroup(name, short string, commands ...*cobra.Command) *cobra.Command {
	group := &cobra.Command{
		Use: name, Short: short,
		Args:               cobra.ArbitraryArgs, // names that no command has, and their flags
		FParseErrWhitelist: cobra.FParseErrWhitelist{UnknownFlags: true},
		RunE: func(c *cobra.Command, args []string) error {
			return unknownCommand(c, append(args, "")[0])
		},
	}
	group.AddCommand(commands...)
	return group
}

// unknownCommand reports a name that no command in a group has.
func unknownCommand(group *cobra.Command, name string) error {
	if name == "" {
		return misused(group, errors.New("a command is missing"), "")
	}
	var names []string
	for _, c := range group.Commands() {
		names = append(names, c.Name())
	}
	return misused(group, fmt.Errorf("unknown command: %q", name), name, names...)
}

// helpCommand shows the help of a command. That of cobra would show the usage of
// all for a name that no command has.
func helpCommand() *cobra.Command {
	return &cobra.Command{
		Use: "help [command]", Short: "Describes a command",
		RunE: func(c *cobra.Command, args []string) error {
			found, rest, err := c.Root().Find(args)
			if err != nil || len(rest) > 0 {
				return unknownCommand(found, rest[0])
			}
			return found.Help()
		},
	}
}
