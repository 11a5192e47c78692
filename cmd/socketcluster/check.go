package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

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

// checkCommand reports what the owner of a token may do by channel rules.
func checkCommand() *cobra.Command {
	var o checkOptions
	c := &cobra.Command{
		Use: "check [channel...]", Short: "Reports what the owner of a token may do by channel rules",
		Long: "Reports what the owner of the token on the standard input may do by channel rules, or by those\n" +
			"of the demo if none are set. Without channels it lists everything that the rules allow. The exit\n" +
			"status is 0 if all is allowed, 1 if something is denied or the token is refused, and 2 if there\n" +
			"is no result.\n\n" + settingsHelp,
		Example:           "  socketcluster check --no-token\n  socketcluster check --rules rules.json --op subscribe user/alice <token.txt",
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(c *cobra.Command, channels []string) error {
			err := o.load(c.Flags())
			if err == nil {
				err = o.run(c, channels)
			}
			return withStatus(err, 2)
		},
	}
	f := newFlags("Flags")
	o.define(f)
	f.StringVar(&o.rulesFile, rulesSetting, "", "JSON `file` with the rules, in place of those of the config file")
	f.StringVar(&o.claimsFile, "claims", "", "JSON `file` with claims, in place of a token")
	f.BoolVar(&o.noToken, "no-token", false, "check what a client without a token may do")
	f.BoolVar(&o.asJSON, "json", false, "print JSON")
	f.Func("op", "`operations`, separated by commas: subscribe, publish, presence; all if not set", o.setOps)
	addFlags(c, f)
	return c
}

// run prints a report. Its error is a statusError if something is denied or the
// token is refused.
func (o *checkOptions) run(c *cobra.Command, channels []string) error {
	if err := o.check(); err != nil {
		return misused(c, err)
	}
	set, demo, err := o.rules()
	if err != nil {
		return err
	}
	token, standing, err := o.subject(c.Context(), c.InOrStdin())
	if errors.Is(err, errNoKey) {
		err = fmt.Errorf("%w; --unverified accepts any token, and --no-token needs none", err)
	}
	if err != nil {
		return err
	}
	r := report{Standing: standing}
	if demo {
		r.Rules = "No rules are set: these are the rules of the demo."
	}
	if len(channels) == 0 {
		r.Grants = grants(set, token, o.ops)
	}
	for _, channel := range channels {
		for _, op := range o.ops {
			d := set.Decide(op, channel, token)
			r.Decisions = append(r.Decisions, decision{channel, op.String(), d.Allowed, d.Reason})
		}
	}
	return r.write(c.OutOrStdout(), o.asJSON)
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
		return errors.New("a token, --claims and --no-token exclude each other")
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
	Rules     string     `json:"rules,omitempty"` // which rules these are, if none are set
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

// write prints a report. Its error is an errDenied if the report contains a
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
		return statusError{errDenied, 1}
	}
	return nil
}

func (r *report) writeText(w io.Writer) error {
	fmt.Fprintln(w, r.Standing)
	if r.Rules != "" {
		fmt.Fprintln(w, r.Rules)
	}
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
