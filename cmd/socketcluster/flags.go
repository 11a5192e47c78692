package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// flagGroup is a part of the flags of a command, which has a heading of its own
// in the help.
type flagGroup struct {
	title string
	*pflag.FlagSet
}

func newFlags(title string) flagGroup {
	f := pflag.NewFlagSet(title, pflag.ContinueOnError)
	f.SortFlags = false
	return flagGroup{title, f}
}

// helpWidth is the width of help, in characters.
const helpWidth = 100

// addFlags adds flags to a command, and to its help.
func addFlags(c *cobra.Command, groups ...flagGroup) {
	c.Flags().SortFlags = false
	for _, g := range groups {
		c.Flags().AddFlagSet(g.FlagSet)
	}
	c.SetUsageFunc(func(c *cobra.Command) error {
		w := c.OutOrStdout()
		fmt.Fprintf(w, "Usage:\n  %s\n", c.UseLine())
		if c.HasExample() {
			fmt.Fprintf(w, "\nExamples:\n%s\n", c.Example)
		}
		for _, g := range groups {
			fmt.Fprintf(w, "\n%s:\n%s", g.title, g.FlagUsagesWrapped(helpWidth))
		}
		return nil
	})
}

// list adds a flag for texts that are separated by commas.
func (g flagGroup) list(p *[]string, name, usage string) {
	g.Func(name, usage, func(text string) error {
		*p = nil
		for one := range strings.SplitSeq(text, ",") {
			*p = append(*p, strings.TrimSpace(one))
		}
		return nil
	})
}

// formOf describes the valid values of a flag.
func formOf(f *pflag.Flag) string {
	switch f.Value.Type() {
	case "duration":
		return `a time such as "10s"`
	case "int", "int64":
		return "a whole number"
	case "bool":
		return "true or false"
	}
	return "a text in quotes"
}
