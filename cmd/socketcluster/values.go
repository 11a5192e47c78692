package main

import (
	"errors"
	"flag"
	"net/netip"
	"strings"
	"time"
)

// durationVar adds a flag for a time that is not below min.
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
		return ""
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

// parseNetworks reads a list of addresses and networks.
func parseNetworks(text string) ([]netip.Prefix, error) {
	var list []netip.Prefix
	for one := range strings.SplitSeq(text, ",") {
		one = strings.TrimSpace(one)
		network, err := netip.ParsePrefix(one)
		if err != nil {
			var addr netip.Addr
			if addr, err = netip.ParseAddr(one); err != nil || addr.Zone() != "" {
				return nil, formError(proxiesSetting)
			}
			network = netip.PrefixFrom(addr, addr.BitLen())
		}
		if network.Addr().Is4In6() {
			return nil, formError(proxiesSetting) // the server knows them in their short form
		}
		list = append(list, network)
	}
	return list, nil
}

// formError tells what a setting must be.
func formError(name string) error {
	return errors.New("it must be " + formOf(name))
}
