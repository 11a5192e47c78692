package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/socketcluster-go/socketcluster/internal/section"
)

const (
	document = "docs/PROTOCOL.md"
	part     = "make conformance" // where the table is in the document
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
		if err := section.Write(filepath.Join(root, document), part, r.summary()); err != nil {
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
