package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

const (
	document = "docs/PROTOCOL.md"
	begin    = "<!-- make conformance -->\n"
	end      = "<!-- end -->\n"
)

func main() {
	verbose := flag.Bool("v", false, "list every rule with its tests")
	write := flag.Bool("w", false, "put the table into "+document)
	flag.Parse()
	if err := run(".", *verbose, *write); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(root string, verbose, write bool) error {
	r, err := inspect(root)
	if err != nil {
		return err
	}
	if verbose {
		fmt.Println(r.details())
	}
	fmt.Print(r.summary())
	if write {
		if err := writeTable(filepath.Join(root, document), r.summary()); err != nil {
			return err
		}
	}
	if problems := r.problems(); len(problems) > 0 {
		return errors.New(strings.Join(problems, "\n"))
	}
	return nil
}

// inspect makes the report on the repository at root.
func inspect(root string) (report, error) {
	rules, err := readRules(table)
	if err != nil {
		return report{}, err
	}
	tests, err := scanTests(root)
	if err != nil {
		return report{}, err
	}
	text, err := os.ReadFile(filepath.Join(root, document))
	if err != nil {
		return report{}, err
	}
	return newReport(rules, tests, scanDeviations(string(text), rules), scanUntested(string(text))), nil
}

// tableOf returns the table in a document, between its marks, and the text
// before and after it.
func tableOf(text string) (before, table, after string, err error) {
	before, rest, ok := strings.Cut(text, begin)
	table, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		return "", "", "", fmt.Errorf("%q and %q do not mark a table", strings.TrimSpace(begin), strings.TrimSpace(end))
	}
	return before + begin, table, end + after, nil
}

func writeTable(path, table string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	before, _, after, err := tableOf(string(text))
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return os.WriteFile(path, []byte(before+"\n"+table+"\n"+after), 0o644)
}
