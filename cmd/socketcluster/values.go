package main

import (
	"errors"
	"flag"
	"math"
	"strconv"
	"strings"
	"time"
)

// durationVar adds a flag for a duration of at least min.
func durationVar(f *flag.FlagSet, p *time.Duration, name string, value, min time.Duration, usage string) {
	*p = value
	f.Var(&duration{p, name, min}, name, usage)
}

type duration struct {
	value *time.Duration
	name  string
	min   time.Duration
}

// String implements flag.Value, which calls it on a zero duration too.
func (d *duration) String() string {
	if d.value == nil {
		return time.Duration(0).String()
	}
	return d.value.String()
}

// Set implements flag.Value.
func (d *duration) Set(text string) error {
	value, err := time.ParseDuration(text)
	if err != nil || value < d.min {
		return formError(d.name)
	}
	*d.value = value
	return nil
}

// noMax is for whole numbers of any size.
const noMax = math.MaxInt

// intVar adds a flag for a whole number that is not negative, nor above max.
func intVar(f *flag.FlagSet, p *int, name string, max int, usage string) {
	f.Var(&integer{p, name, max}, name, usage)
}

type integer struct {
	value *int
	name  string
	max   int
}

// String implements flag.Value, which calls it on a zero integer too.
func (i *integer) String() string {
	if i.value == nil {
		return "0"
	}
	return strconv.Itoa(*i.value)
}

// Set implements flag.Value.
func (i *integer) Set(text string) error {
	value, err := strconv.Atoi(text)
	if err != nil || value < 0 || value > i.max {
		return formError(i.name)
	}
	*i.value = value
	return nil
}

// parseList reads a list that is separated by commas.
func parseList(text string) []string {
	var list []string
	for one := range strings.SplitSeq(text, ",") {
		list = append(list, strings.TrimSpace(one))
	}
	return list
}

// formError describes the valid values of a setting.
func formError(name string) error {
	return errors.New("it must be " + formOf(name))
}
