package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/rules"
)

// allOps are the operations that a rule can allow.
var allOps = []rules.Op{rules.Subscribe, rules.Publish, rules.Presence}

// checkOptions are the settings of check.
type checkOptions struct {
	tokenInput
	claimsFile string
	noToken    bool
	asJSON     bool
	ops        []rules.Op
}

// runCheck reports what the owner of a token may do by channel rules.
func runCheck(ctx context.Context, args []string, s streams) error {
	var o checkOptions
	f := newFlags("check", " [channel...] <token.txt\nWithout channels it lists everything that the rules allow. The exit status is 0 if all is\nallowed, 1 if something is denied or the token is refused, and 2 if there is no result.", s.err)
	o.define(f)
	if err := o.parse(f, args); err != nil {
		return answer(err)
	}
	if err := o.check(); err != nil {
		return badUsage(f, err)
	}
	set, err := o.rules()
	if err != nil {
		return answer(err)
	}
	if set == nil {
		return answer(fmt.Errorf("no rules are set: use -%s, or -%s with a file that contains them", rulesSetting, configSetting))
	}
	token, standing, err := o.subject(ctx, s.in)
	if err != nil {
		return answer(err)
	}
	r := report{Standing: standing}
	if f.NArg() == 0 {
		r.Grants = grants(set, token, o.ops)
	}
	for _, channel := range f.Args() {
		for _, op := range o.ops {
			d := set.Decide(op, channel, token)
			r.Decisions = append(r.Decisions, decision{channel, op.String(), d.Allowed, d.Reason})
		}
	}
	return answer(r.write(s.out, o.asJSON))
}

func (o *checkOptions) define(f *flag.FlagSet) {
	o.tokenInput.define(f)
	f.StringVar(&o.rulesFile, rulesSetting, "", "JSON `file` with the rules, in place of those of the config file")
	f.StringVar(&o.claimsFile, "claims", "", "JSON `file` with claims, in place of a token")
	f.BoolVar(&o.noToken, "no-token", false, "check what a client without a token may do")
	f.BoolVar(&o.asJSON, "json", false, "print JSON")
	f.Func("op", "`operations`, separated by commas: subscribe, publish, presence; all if not set", o.setOps)
}

func (o *checkOptions) setOps(list string) error {
	for name := range strings.SplitSeq(list, ",") {
		i := slices.IndexFunc(allOps, func(op rules.Op) bool { return op.String() == name })
		if i < 0 {
			return errors.New("the operations are subscribe, publish and presence")
		}
		o.ops = append(o.ops, allOps[i])
	}
	return nil
}

// check refuses settings that exclude each other, and sets defaults.
func (o *checkOptions) check() error {
	sources := 0
	for _, given := range []bool{o.tokenFile != "" || o.unverified, o.claimsFile != "", o.noToken} {
		if given {
			sources++
		}
	}
	if sources > 1 {
		return errors.New("a token, -claims and -no-token exclude each other")
	}
	if o.ops == nil {
		o.ops = allOps
	}
	return nil
}

// subject returns the token of the check, or nil for a client without one.
func (o *checkOptions) subject(ctx context.Context, stdin io.Reader) (token *auth.Token, standing string, err error) {
	switch {
	case o.noToken:
		return nil, "A client without a token.", nil
	case o.claimsFile != "":
		text, err := readLimited(o.claimsFile, maxToken)
		if err != nil {
			return nil, "", err
		}
		if token, err = auth.NewToken("", text); err != nil {
			return nil, "", fmt.Errorf("%s: %w", o.claimsFile, err)
		}
		return token, "NOT VERIFIED: these are claims from a file.", nil
	}
	return o.read(ctx, stdin)
}

// report is what check prints.
type report struct {
	Standing  string     `json:"standing"`
	Decisions []decision `json:"decisions,omitempty"`
	Grants    []grant    `json:"grants,omitempty"`
}

// decision is the result for one channel of the arguments.
type decision struct {
	Channel string `json:"channel"`
	Op      string `json:"op"`
	Allowed bool   `json:"allowed"`
	Reason  string `json:"reason"`
}

// grant is a channel that one rule gives.
type grant struct {
	Rule     int      `json:"rule"`
	Pattern  string   `json:"pattern"`
	Channel  string   `json:"channel,omitempty"`
	Wildcard bool     `json:"wildcard,omitempty"` // the * in the channel stands for any text
	Ops      []string `json:"ops,omitempty"`
	Reason   string   `json:"reason,omitempty"` // why the rule gives nothing
}

// grants lists the channels that the rules give for some operations.
func grants(set *rules.Set, token *auth.Token, ops []rules.Op) []grant {
	list := set.Rules()
	var all []grant
	for _, g := range set.Check(token) {
		one := grant{Rule: g.Rule, Pattern: list[g.Rule].String(), Channel: g.Channel, Wildcard: g.Wildcard >= 0, Reason: g.Reason}
		for _, op := range g.Ops {
			if slices.Contains(ops, op) {
				one.Ops = append(one.Ops, op.String())
			}
		}
		if one.Channel != "" && one.Ops == nil {
			one = grant{Rule: g.Rule, Pattern: one.Pattern, Reason: "it is about other operations"}
		}
		all = append(all, one)
	}
	return all
}

// write prints a report. Its error is errDenied if the report contains a
// denial.
func (r *report) write(w io.Writer, asJSON bool) error {
	if asJSON {
		encoder := json.NewEncoder(w)
		encoder.SetIndent("", "  ")
		if err := encoder.Encode(r); err != nil {
			return err
		}
	} else if err := r.writeText(w); err != nil {
		return err
	}
	if slices.ContainsFunc(r.Decisions, func(d decision) bool { return !d.Allowed }) {
		return errDenied
	}
	return nil
}

func (r *report) writeText(w io.Writer) error {
	fmt.Fprintln(w, r.Standing)
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, d := range r.Decisions {
		result := "denied"
		if d.Allowed {
			result = "allowed"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", result, d.Op, shown(d.Channel, true), d.Reason)
	}
	for _, g := range r.Grants {
		channel, rest := "-", "nothing: "+g.Reason
		if g.Channel != "" {
			channel, rest = shown(g.Channel, g.Wildcard), strings.Join(g.Ops, ", ")
		}
		if g.Wildcard {
			rest += " (any text for *)"
		}
		fmt.Fprintf(table, "rule %d (%s)\t%s\t%s\n", g.Rule, g.Pattern, channel, rest)
	}
	if r.Decisions == nil && r.Grants == nil {
		fmt.Fprintln(table, "There are no rules, so that everything is denied.")
	}
	return table.Flush()
}

// shown returns the name of a channel for a terminal, which may come from a
// token that nobody has verified. A * that is not part of the pattern is quoted
// too.
func shown(name string, star bool) string {
	quoted := strconv.Quote(name)
	if quoted[1:len(quoted)-1] != name || name == "" || strings.Contains(name, " ") || !star && strings.Contains(name, "*") {
		return quoted
	}
	return name
}
